"""What the page costs, measured and printed, never asserted: other machines are slower. The server is a process of its
own, as people have it."""

import os
import re
import statistics
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.browser


def report(name, values, limit):
    middle, at95 = statistics.median(values), statistics.quantiles(values, n=20)[-1]
    print(f"budget: {name}: median {middle:.1f} ms, 95th percentile {at95:.1f} ms of {len(values)} ({limit} ms)")


@pytest.fixture(scope="module")
def command():
    """`minivit play` in a process: its URL, and how long it took to say it."""
    pytest.importorskip("starlette", reason='pip install ".[play]"')
    pytest.importorskip("uvicorn", reason='pip install ".[play]"')
    begun = time.perf_counter()
    started = [sys.executable, "-m", "minivit", "play", "--no-browser"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(started, stdout=subprocess.PIPE, text=True, env=environment) as process:
        yield process.stdout.readline().strip(), begun
        process.terminate()


def test_budgets(open_page, command):
    url, begun = command
    page = open_page("#digit=1", url=url)
    print(f"budget: start to page {time.perf_counter() - begun:.2f} s, with what the browser takes (1.5 s)")
    page.evaluate("""() => {
      window.ink = [];
      document.querySelector('.field').addEventListener('pointermove', (event) => {
        const begun = event.timeStamp;
        requestAnimationFrame(() => window.ink.push(performance.now() - begun));
      });
    }""")
    runs = []
    for number in range(30):
        if number % 5 == 0:
            page.click("text=Clear")
            page.wait_for_timeout(150)
        page.evaluate("performance.clearMeasures('minivit run')")
        box = page.locator(".field").bounding_box()
        places = [(box["x"] + x, box["y"] + y) for x, y in [(40 + number, 40), (200, 60 + number), (100, 200)]]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=4)
        page.mouse.up()
        page.wait_for_timeout(200)
        runs += page.evaluate("performance.getEntriesByName('minivit run').map((one) => one.duration)")
    ink = page.evaluate("window.ink")
    slopes = []
    state = "#digit=3&tensor=blocks.1.attn.scores&way=backward&entry=0.0."
    page = open_page(f"{state}16", url=url)
    for number in range(10):
        page.evaluate("(hash) => (location.hash = hash)", f"{state}{number}")
        page.wait_for_selector(f"text=dblocks.1.attn.scores[0, 0, {number}]")
        page.evaluate("performance.clearMeasures('minivit slope')")
        page.click("text=Measure it")
        page.wait_for_function("() => performance.getEntriesByName('minivit slope').length")
        slopes += page.evaluate("performance.getEntriesByName('minivit slope').map((one) => one.duration)")
    report("ink", ink, 16)
    report("stroke to class, attention and pixel gradient", runs, 50)
    report("finite difference", slopes, 100)
    assert runs and ink and slopes and re.match(r"http://127\.0\.0\.1:\d+/", url)
