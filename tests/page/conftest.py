"""A server of the page, and Chromium to look at it: for the group `browser`."""

import shutil
import signal
import threading
from types import SimpleNamespace

import pytest

from minivit.run import Interrupted
from minivit.run.display import Display
from tests.tools import tiny
from tests.tools.runs import start

TOKEN = "token-of-the-tests"


def serve(session):
    """(the URL of the page, a function that stops the server)."""
    from minivit.page.server import listen, make_app, server_of

    listening = listen(0)
    server = server_of(make_app(session, TOKEN))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()

    def stop():
        server.should_exit = True
        thread.join(10)
        listening.close()

    return f"http://127.0.0.1:{listening.getsockname()[1]}/{TOKEN}/", stop


def interrupted_run(tmp_path, monkeypatch, *steps):
    """The folder of a run that was interrupted after the first of these steps, counted from 1, and saved; a resumed one
    is interrupted after the next of them."""
    folder, show, done = tmp_path / "run", Display.step, []

    def step(self, result):
        show(self, result)
        done.append(result)
        if len(done) in steps:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Display, "step", step)
    with pytest.raises(Interrupted):
        start(tiny.write_data(tmp_path / "data", shape=(1, 28, 28)), folder)
    return folder


@pytest.fixture(scope="session")
def served():
    """A served page: url, and its session with the pretrained and the tiny model."""
    pytest.importorskip("starlette", reason='pip install ".[play]"')
    pytest.importorskip("uvicorn", reason='pip install ".[play]"')
    from minivit.page.models import shown, tiny
    from minivit.page.session import Session

    session = Session([shown("pretrained"), tiny()])
    url, stop = serve(session)
    yield SimpleNamespace(url=url, session=session)
    stop()


@pytest.fixture(scope="session")
def chromium():
    """Debian's Chromium, driven by Playwright; nothing is downloaded."""
    playwright = pytest.importorskip("playwright.sync_api", reason='pip install ".[browser]"')
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-background-networking", "--js-flags=--expose-gc"]
        browser = driver.chromium.launch(executable_path=program, args=options)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, served):
    """A function that opens the page with a state (what stands behind "#") and waits for it. At the end there must have
    been no message on the console and no request to anybody but the server."""
    contexts, messages, foreign = [], [], []

    def open_at(state="", url=None, width=1280, height=900, **more):
        context = chromium.new_context(viewport={"width": width, "height": height}, **more)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: messages.append(str(error)))
        address = url or served.url
        page.on("request", lambda request: foreign.append(request.url) if not request.url.startswith(address) else None)
        page.goto(address + state)
        page.wait_for_selector(".page")
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert not messages
    assert not [url for url in foreign if not url.startswith(("data:", "blob:"))]
