"""The page in a real browser: drawing, clicking, keys, planted bugs, the tour, and what it costs."""

import re
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.browser

SEVEN = [(60, 50), (190, 50), (150, 120), (105, 215)]


def draw(page, points=SEVEN, steps=12):
    box = page.locator(".field").bounding_box()
    places = [(box["x"] + x / 256 * box["width"], box["y"] + y / 256 * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=steps)
    page.mouse.up()


def wait_for_points(page, counts):
    """Wait until the address, which follows the pen, has strokes of this many points."""
    read = "address().unpackStrokes(address().read(location.hash).strokes || '').map((points) => points.length)"
    page.wait_for_function(f"(counts) => {read}.join() === counts.join()", arg=counts)


def answer(page, expected):
    page.wait_for_selector(f'.says[data-prediction="{expected}"]')
    return page.inner_text(".says")


def test_draw_a_seven_with_the_mouse(open_page):
    page = open_page("#digit=1")
    answer(page, "1")
    draw(page)
    assert "; was " in answer(page, "7"), "the live region says what the answer was before"
    assert page.locator(".made li").count() >= 2, "how the drawing became pixels is shown"
    page.click("text=Clear")
    answer(page, "0")


def test_draw_a_seven_with_a_finger(open_page):
    page = open_page("#digit=1", width=360, height=740, has_touch=True, is_mobile=True)
    box = page.locator(".field").bounding_box()
    places = [(box["x"] + x / 256 * box["width"], box["y"] + y / 256 * box["height"]) for x, y in SEVEN]
    session = page.context.new_cdp_session(page)
    points = [
        (a[0] + (b[0] - a[0]) * k / 8, a[1] + (b[1] - a[1]) * k / 8)
        for a, b in zip(places, places[1:])
        for k in range(9)
    ]
    for number, (x, y) in enumerate(points):
        kind = "touchMove" if number else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    answer(page, "7")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_drawing_is_in_the_address(open_page):
    page = open_page("#digit=1")
    draw(page)
    wait_for_points(page, [37])  # half a seven may be called a seven as well
    said = answer(open_page(page.evaluate("location.hash")), "7").partition(";")[0]
    page.wait_for_selector(f'.says:has-text("{said}")')


def test_what_is_drawn_is_what_the_pen_did(open_page):
    """A stroke is one stroke, however many events it came in and however often it was sent; it is undone as a whole."""
    page = open_page("#digit=1")
    for number in (1, 2):
        draw(page, [(40, 40 + 60 * number), (128, 90 + 60 * number), (200, 40 + 60 * number)], steps=20)
        page.wait_for_function("(n) => document.querySelectorAll('.made polyline').length === n", arg=number)
        wait_for_points(page, [41] * number)
    page.click("text=Undo stroke")
    page.wait_for_function("() => document.querySelectorAll('.made polyline').length === 1")


def test_pixels_by_keyboard(open_page):
    page = open_page("#digit=1")
    before = page.inner_text(".says")
    page.focus(".picture .cursor")
    for _ in range(6):
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Space")
    page.wait_for_function("() => location.hash.includes('pixels=')")
    page.wait_for_function("(before) => document.querySelector('.says').innerText !== before", arg=before)
    assert page.get_attribute(".picture .cursor", "aria-label") == "row 6, column 6: 255"


def test_a_picture_from_a_file(open_page, tmp_path):
    image = pytest.importorskip("PIL.Image", reason='pip install ".[play]"')
    from minivit.page.examples import ten_digits

    digit = 255 - ten_digits().images[4][0]
    image.fromarray(np.pad(np.kron(digit, np.ones((6, 6), np.uint8)), 30, constant_values=255)).save(
        tmp_path / "four.png"
    )
    page = open_page("#digit=1")
    page.set_input_files("input[type=file]", tmp_path / "four.png")
    answer(page, "4")
    (tmp_path / "none.png").write_bytes(b"no picture")
    page.set_input_files("input[type=file]", tmp_path / "none.png")
    page.wait_for_selector(".error")


def test_a_class_is_chosen_and_its_loss_flows_back(open_page, served):
    from minivit.learn.tape import record
    from minivit.page.examples import ten_digits

    model = served.session._models["pretrained"]
    page = open_page("#digit=2&tensor=logits&way=backward")
    page.check('.answer input[value="5"]')
    page.wait_for_selector("text=dlogits = softmax(logits), minus 1 at 5")
    grad = record(model.params, model.config, ten_digits().images[2], 5).steps["logits"].grad
    page.wait_for_function(
        "(text) => document.querySelector('.readout').innerText.includes(text)", arg=f"{grad[0]:.4g}"
    )


@pytest.mark.parametrize("model", ["tiny", "pretrained"])
def test_a_finite_difference_by_click(open_page, served, model):
    page = open_page(f"#model={model}&digit=3&tensor=blocks.0.attn.scores&way=backward&entry=1.0.5")
    page.click("text=Measure it")
    shown = {name: page.inner_text(f'[data-slope="{name}"]') for name in ("computed", "measured")}
    from minivit.page.requests import Request

    found = served.session.slope(Request(model, digit=3), "blocks.0.attn.scores", (1, 0, 5))
    assert shown == {"computed": f"{found['gradient']:.12g}", "measured": f"{found['measured']:.12g}"}
    assert page.inner_text(".slope + .agree").removeprefix("= ") == f"agree in {found['digits']} digits"
    assert found["digits"] >= 4


def test_the_gradients_of_all_keys_add_up_to_nothing(open_page):
    """The sums of a row and of a column stand below the values: that of a column of dk is zero but for rounding."""
    page = open_page("#model=tiny&digit=3&tensor=blocks.0.attn.k&way=backward&entry=1.4.2")
    sums = page.wait_for_selector(".values .hint:has-text('Sum of row 4')").inner_text()
    row, column = map(float, re.match(r"Sum of row 4: (\S+), of column 2: (\S+)\. ", sums).groups())
    assert abs(column) < 1e-12 < 1e-6 < abs(row)


def bugs():
    from minivit.page.bugs import BUGS

    return [bug.name for bug in BUGS]


@pytest.mark.parametrize("name", bugs())
def test_each_planted_bug_turns_the_right_tensors_red(open_page, served, name):
    from minivit.learn.tape import record
    from minivit.page.bugs import BUGS
    from minivit.page.examples import ten_digits

    model = served.session._models["tiny"]
    bug = next(bug for bug in BUGS if bug.name == name)
    wrong = record(model.params, model.config, ten_digits().images[3], 3, bug).disagreements()
    page = open_page("#model=tiny&digit=3&view=bugs")
    page.select_option(".view select", name)
    page.wait_for_selector(".red li")
    assert page.locator(".red .ref").all_inner_texts() == wrong
    assert bug.new.strip() in page.inner_text(".planted")
    page.click("#tab-tape")
    page.click("button.fold")
    red = [strip.get_attribute("data-tensor") for strip in page.locator(".strip.wrong").all()]
    assert sorted(red) == sorted(wrong)


def test_surprise_me(open_page, served):
    """The bug is not named, and neither is its line; a right guess is recognised, and so is a wrong one."""
    page = open_page("#model=tiny&digit=3&view=bugs")
    page.click("text=Surprise me")
    page.wait_for_selector(".red li")
    bug = served.session._bug(page.evaluate("new URLSearchParams(location.hash.slice(1)).get('bug')"))
    assert bug.reason not in page.inner_text("body") and bug.title not in page.inner_text(".red")
    assert page.locator(".planted").count() == 0
    for red in page.locator(".red .ref").all():
        red.click()
        page.wait_for_function(f"() => document.querySelector('.detail h2').innerText === 'd{red.inner_text()}'")
        if bug.file in page.locator(".source .place").first.inner_text():
            break
    lines = {line.locator(".number").inner_text(): line for line in page.locator(".code li").all()}
    other = next(n for n, line in lines.items() if n != str(bug.line) and line.locator(".point").count())
    lines[other].locator(".point").click()
    page.wait_for_selector("text=No, this line is as it should be.")
    if str(bug.line) in lines:
        lines[str(bug.line)].locator(".point").click()
    else:
        page.click("text=Tell me")
    page.wait_for_selector(".planted")
    assert bug.reason in page.inner_text(".planted")


def test_one_step_and_undo(open_page):
    page = open_page("#model=tiny&digit=3&view=step")
    page.click("text=Take a step")
    page.wait_for_selector("text=The loss was")
    words = page.inner_text(".view").split()
    before, after = (float(words[words.index(word) + 1].rstrip(".")) for word in ("was", "now"))
    assert after < before
    entries = [row.locator("td").nth(2).inner_text() for row in page.locator(".view tbody tr").all()]
    moved, of = zip(*(map(int, entry.split(" of ")) for entry in entries))
    assert len(entries) > 15 and sum(moved) > 0.9 * sum(of)
    page.click(".view >> text=Undo")
    page.wait_for_selector("text=0 steps taken")


def test_the_whole_tour_by_keyboard(open_page):
    page = open_page()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText") == "Start the tour":
            break
    page.keyboard.press("Enter")
    titles = []
    for _ in range(14):
        page.wait_for_selector(f"text=Stop {len(titles) + 1} of 14")
        page.wait_for_function("() => document.activeElement.matches('.tour h2')")
        titles.append(page.inner_text(".tour h2"))
        for _ in range(4):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.innerText") == "Next":
                page.keyboard.press("Enter")
                break
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert titles == re.findall(r"^\*\*\d+\. \[(.+?)\]\(examples/", readme, re.M)


def test_keys_reach_everything(open_page):
    page = open_page("#model=tiny&digit=3&tensor=blocks.0.attn.attn")
    page.wait_for_selector(".matrix")
    page.focus(".matrix .cursor")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute(".matrix .cursor", "aria-label").startswith("rows 1, columns 1: ")
    page.keyboard.press("Enter")
    page.wait_for_selector(".entry")
    page.keyboard.press("b")
    page.wait_for_selector(".ways button:nth-child(2)[aria-pressed=true]")
    page.keyboard.press("Escape")
    page.wait_for_selector(".entry", state="detached")
    page.focus("#tab-tape")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#tab-attention[aria-selected=true]:focus")
    seen = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("`${document.activeElement.className}|${document.activeElement.tagName}|`"))
    for part in ("|INPUT|", "cursor", "|SELECT|", "|SUMMARY|"):
        assert any(part in at for at in seen), part


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "state",
    [
        "#digit=3",
        "#model=tiny&digit=3&tensor=blocks.0.h&way=backward&entry=0.0",
        "#digit=3&view=attention&stop=4",
        "#digit=3&view=lens",
        "#digit=3&view=pixels",
        "#model=tiny&digit=3&view=bugs&bug=softmax-diagonal",
        "#digit=3&view=step&steps=1",
    ],
)
def test_axe_finds_nothing_serious(open_page, state, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason='pip install ".[browser]"').Axe()
    page = open_page(state, color_scheme=scheme)
    page.wait_for_timeout(400)
    found = axe.run(page).response["violations"]
    serious = [
        (v["id"], v["nodes"][0]["html"][:200], v["nodes"][0]["failureSummary"][:300])
        for v in found
        if v["impact"] in ("serious", "critical")
    ]
    assert not serious


@pytest.mark.parametrize("width", [360, 760, 1280, 2560])
def test_nothing_is_wider_than_the_window(open_page, width):
    page = open_page("#model=tiny&digit=3&tensor=blocks.0.h&way=backward&entry=0.0", width=width)
    page.wait_for_selector(".entry")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelectorAll('*').length") < 3000


def test_two_hundred_strokes_leave_nothing_behind(open_page, served):
    page = open_page("#model=tiny&digit=1", width=1200, height=600)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    rng = np.random.default_rng(0)

    def used():
        session.send("HeapProfiler.collectGarbage")
        found = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
        return found["JSHeapUsedSize"] / 1e6, found["Nodes"], found["JSEventListeners"]

    measured = []
    for number in range(200):
        if number % 10 == 0:
            page.click("text=Clear")
        draw(page, [tuple(point) for point in rng.integers(20, 236, (3, 2))], steps=2)
        if number in (49, 199):
            page.click("text=Clear")
            page.wait_for_selector('[data-digit="0"][aria-pressed=true]')
            page.wait_for_timeout(500)
            measured.append(used())
    print(f"heap in MB, nodes and listeners after 50 and 200 strokes: {measured}")
    (heap, nodes, listeners), (heap2, nodes2, listeners2) = measured
    assert heap2 < heap + 5 and nodes2 < nodes + 500 and listeners2 < listeners + 100
    assert len(served.session._tapes) <= 16
