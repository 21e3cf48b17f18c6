"""A place on the page is in its address, level and all, and the browser goes back and forward between places."""

import pytest

pytestmark = pytest.mark.browser

SCORES = "#model=tiny&view=tape&way=backward&digit=3&tensor=blocks.0.attn.scores"


def level(page):
    page.wait_for_timeout(250)  # the address follows a little later
    found = page.evaluate("Object.fromEntries(new URLSearchParams(location.hash.slice(1)))")
    shown = page.locator(".levels [aria-current]").count() and page.inner_text(".levels [aria-current]")
    return found["level"], found.get("tensor"), found.get("entry"), shown


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("#model=tiny&digit=3", ("1", None, None, 0)),
        (f"{SCORES}&level=1", ("1", None, None, 0)),
        (f"{SCORES}&level=2&entry=0.1.2", ("2", "blocks.0.attn.scores", None, "blocks.0.attn.scores")),
        (f"{SCORES}&entry=1.2.3", ("3", "blocks.0.attn.scores", "1.2.3", "[1, 2, 3]")),
        (f"{SCORES}&level=3", ("3", "blocks.0.attn.scores", "0.0.0", "[0, 0, 0]")),
    ],
)
def test_an_address_names_a_level(open_page, state, expected):
    page = open_page(state)
    page.wait_for_selector(".overview" if expected[0] == "1" else ".matrix")
    assert (page.locator(".entry").count() == 1) == ("[" in str(expected[3]))
    assert level(page) == expected


def test_up_and_down_the_levels_and_back(open_page):
    page = open_page("#model=tiny&digit=3")
    page.click(".stations button >> text=Patches")
    page.wait_for_selector(".matrix")
    assert level(page)[:3] == ("2", "patches", None)
    page.focus(".matrix .cursor")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector(".entry")
    assert level(page)[:3] == ("3", "patches", "0.1")
    page.click(".digits button >> nth=5")
    page.wait_for_selector('.digits [data-digit="5"][aria-pressed=true]')
    level(page)
    page.click(".levels button >> nth=0")
    page.wait_for_selector(".overview")
    assert level(page)[0] == "1"
    for expected in ("3", "3", "2", "1"):
        page.evaluate("history.back()")
        page.wait_for_timeout(250)
        assert level(page)[0] == expected
    assert page.get_attribute(".digits button >> nth=3", "aria-pressed") == "true"
    page.evaluate("history.forward()")
    page.wait_for_selector(".matrix")
    assert level(page)[:2] == ("2", "patches")


def test_drawing_is_one_step_of_the_history(open_page):
    page = open_page("#digit=1&view=attention")
    page.wait_for_timeout(250)
    before = page.evaluate("history.length")
    box = page.locator(".field").bounding_box()
    for x in (60, 120, 180):
        page.mouse.move(box["x"] + x, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + x, box["y"] + 200, steps=8)
        page.mouse.up()
        page.wait_for_timeout(200)
    page.wait_for_function("() => location.hash.includes('strokes=')")
    assert page.evaluate("history.length") == before + 1
    page.evaluate("history.back()")
    page.wait_for_function("() => location.hash.includes('digit=1')")
    page.wait_for_selector('.says[data-prediction="1"]')


def test_a_new_address_is_not_lost_to_a_state_that_waits_to_be_written(open_page):
    page = open_page(f"{SCORES}&entry=0.1.2")
    page.wait_for_selector("text=dblocks.0.attn.scores[0, 1, 2]")
    page.wait_for_timeout(250)
    # The page is busy until the state's 150 ms are over, and the address changes in the next task: its event comes
    # after the state's turn to be written.
    page.evaluate(
        """async (hash) => {
          dispatchEvent(new HashChangeEvent("hashchange"));
          await new Promise((then) => setTimeout(then, 120));
          setTimeout(() => (location.hash = hash), 10);
          for (const begun = performance.now(); performance.now() - begun < 200; );
        }""",
        f"{SCORES}&entry=0.2.3",
    )
    page.wait_for_selector("text=dblocks.0.attn.scores[0, 2, 3]", timeout=5000)
