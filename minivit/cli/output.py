"""What the command line prints on, and how: whatever the terminal, the encoding and the names are."""

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from ..errors import DataWarning


@contextlib.contextmanager
def prepared_output() -> Iterator[None]:
    """While this is open, printing works: characters that an encoding lacks are printed as escapes, and where stdout or
    stderr was closed there is one that swallows everything."""
    with contextlib.ExitStack() as undo:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is None:
                undo.callback(setattr, sys, name, None)
                setattr(sys, name, undo.enter_context(open(os.devnull, "w", encoding="utf-8")))
            elif isinstance(stream, io.TextIOWrapper):
                undo.callback(stream.reconfigure, errors=stream.errors)
                stream.reconfigure(errors="backslashreplace")
        yield


@contextlib.contextmanager
def prepared_warnings() -> Iterator[None]:
    """While this is open, minivit's own warnings are printed as a line each, and NumPy's about NaN and infinity not at
    all: training and prediction look for these themselves."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def show_line(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, DataWarning):
                complain(message, "warning")
            else:
                show(message, category, *place, **more)

        warnings.showwarning = show_line
        warnings.filterwarnings("ignore", ".* encountered in", RuntimeWarning)
        warnings.simplefilter("always", DataWarning)
        yield


def complain(error: object, who: str = "minivit") -> None:
    """Print one line on stderr, if there is anybody to read it."""
    with contextlib.suppress(OSError):
        print(f"{who}: {escaped(str(error))}", file=sys.stderr, flush=True)


def escaped(text: str) -> str:
    """The text on one line: what cannot be printed, in a file's name for example, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def drop_unread_output() -> None:
    """If what was printed can go nowhere, keep Python from complaining about it when it exits."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError):  # no file behind it
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
