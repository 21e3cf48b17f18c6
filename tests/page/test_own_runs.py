"""A run of one's own in the browser: its class names, pictures and size, and, while it trains, its curve."""

import pytest

from minivit.page.models import last_save, shown
from minivit.page.session import Session
from minivit.run import resume_run
from tests.tools import tiny as tiny_data
from tests.tools.runs import start

from .conftest import interrupted_run, serve

pytestmark = pytest.mark.browser


@pytest.fixture
def url_of():
    """A function that serves a session and returns the URL; named before `open_page`, it outlives the pages."""
    stops = []

    def url_of(session):
        url, stop = serve(session)
        stops.append(stop)
        return url

    yield url_of
    for stop in stops:
        stop()


def test_names_pictures_and_size(url_of, open_page, tmp_path):
    data, folder = tiny_data.write_data(tmp_path / "data", shape=(1, 24, 20)), tmp_path / "run"
    start(data, folder)
    model = shown(str(folder))
    page = open_page("#digit=2", url=url_of(Session([model], folder)))
    assert page.locator(".digits button").count() == 3
    assert page.inner_text("h3 >> text=What the model sees") == "What the model sees: 24 x 20"
    names = [model.config.class_name(k) for k in range(3)]
    assert page.locator(".answer .class").all_inner_texts() == names
    assert "Or choose a test picture" in page.inner_text(".left")
    page.click("#tab-step")
    page.wait_for_selector("text=How this run was trained")
    assert page.locator(".curve").count() == 2


def test_the_curve_follows_a_run_that_is_training(url_of, open_page, tmp_path, monkeypatch):
    """Stopped after a save, shown, and resumed to its end while the page is open."""
    folder = interrupted_run(tmp_path, monkeypatch, 2)
    page = open_page("#view=step&digit=1", url=url_of(Session([last_save(folder)], folder)))
    page.wait_for_selector("text=This run is training")
    first = page.inner_text(".live [role=status]")
    loss = page.inner_text(".answer .hint")
    resume_run(str(folder))
    page.wait_for_selector("text=How this run was trained", timeout=10_000)
    assert page.inner_text(".live [role=status]") != first
    assert page.locator(".curve polyline").count() >= 2
    page.wait_for_function("(loss) => document.querySelector('.answer .hint').innerText !== loss", arg=loss)
