"""The exported page opens from file://, asks for nothing, and shows Python's numbers."""

import pytest

from minivit.learn import record
from minivit.learn.walk import TINY
from minivit.page.examples import ten_digits
from minivit.page.models import shown, tiny
from minivit.page.play import export_page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def exported(chromium, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "page.html"
    print(export_page("pretrained", str(path)))
    assert path.stat().st_size < 12_000_000
    return path.as_uri()


def table(page):
    page.click(".detail .astable summary")
    page.wait_for_selector(".detail .astable tbody tr")
    return [row.locator("td").all_inner_texts() for row in page.locator(".detail .astable tbody tr").all()]


def texts(values):
    return [[f"{value:.4g}" for value in row[:8]] for row in values[:12]]


def test_the_tiny_model_in_full(exported, open_page):
    page = open_page("#model=tiny&digit=8&tensor=blocks.0.attn.scores&way=backward&head=0", url=exported)
    tape = record(tiny().params, TINY, ten_digits().images[8], 8)
    page.wait_for_selector(".matrix")
    assert table(page) == texts(tape.steps["blocks.0.attn.scores"].grad[0])
    page.focus(".matrix .cursor")
    page.keyboard.press("Enter")
    page.wait_for_selector(".entry .terms")
    assert "the same to" in page.inner_text(".entry .result")


def test_the_other_model_in_float32(exported, open_page):
    page = open_page("#digit=1&tensor=blocks.2.h&way=forward", url=exported)
    model = shown("pretrained")
    value = record(model.params, model.config, ten_digits().images[1], 1).steps["blocks.2.h"].value
    page.wait_for_selector(".matrix")
    assert table(page) == texts(value.astype("float32").astype("float64"))
    assert "float32" in page.inner_text("footer")
    assert 2 <= page.locator(".digits button").count() < 10
    page.select_option(".controls select", "tiny")
    page.wait_for_function("() => document.querySelectorAll('.digits button').length === 10")


def test_stored_finite_differences(exported, open_page):
    page = open_page("#model=tiny&digit=8&tensor=blocks.0.h&way=backward&entry=0.0", url=exported)
    page.wait_for_selector(".stored .ref")
    page.click(".stored .ref >> nth=0")
    page.click("text=Measure it")
    page.wait_for_selector(".slope")
    assert "agree in" in page.inner_text(".measure")


def test_every_view_of_the_file(exported, open_page):
    page = open_page("#model=tiny&digit=3", url=exported)
    for view in ("attention", "rollout", "lens", "pixels", "step", "bugs", "tape"):
        page.click(f"#tab-{view}")
        page.wait_for_selector(f"#tab-{view}[aria-selected=true]")
    assert page.locator(".field").count() == 0
