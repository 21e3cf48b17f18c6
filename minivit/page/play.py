"""`minivit play`: start the server, say where it is, and open a browser."""

import secrets
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

from ..errors import ConfigError, MissingPackageError
from .export import export
from .models import shown, tiny


def play_page(run: str, port: int, browser: bool, say: Callable[[str], None]) -> None:
    """Serve the page for a model until Ctrl-C. run: "pretrained", "tiny" or a run's folder; port 0: a free one;
    browser: whether to open one. Raises MissingPackageError without the packages of [play], ConfigError for a port that
    is taken and a model that the page cannot show, and what `load_run` raises."""
    try:
        from .server import listen, make_app, server_of
        from .session import Session
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("starlette", "uvicorn", "anyio"):
            raise
        raise MissingPackageError(
            f"{error.name} is not installed: pip install minivit[play]; --export page.html needs nothing"
        ) from None
    models = [tiny()] if run == "tiny" else [shown(run), tiny()]
    path = Path(run)
    folder = None if run in ("pretrained", "tiny") else path.parent if path.is_file() else path
    listening, token = listen(port), secrets.token_urlsafe(16)
    with listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/{token}/"
        say(f"{url}\nCtrl-C ends it.")
        if browser:
            threading.Timer(0.1, webbrowser.open, (url,)).start()
        server_of(make_app(Session(models, folder), token)).run(sockets=[listening])


def export_page(run: str, path: str) -> str:
    """Write the page of a model as one file, and say what is in it. run: as above. Raises ConfigError for a name that
    is no page's, OSError if it cannot be written, and what `load_run` raises."""
    if not path.endswith((".html", ".htm")):
        raise ConfigError(f"--export {path}: a page's name ends in .html")
    if not Path(path).absolute().parent.is_dir():  # known now, and not only after all is computed
        raise FileNotFoundError(f"{path}: there is no such folder")
    counts = export(None if run == "tiny" else shown(run), path)
    told = ", ".join(f"{count} digits of {key}" for key, count in counts.items())
    return f"written to {path}: {told}; {Path(path).stat().st_size / 1e6:.1f} MB"
