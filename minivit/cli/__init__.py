"""The command line: `minivit.cli:main` runs one command and returns its exit status."""

import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from ..errors import MinivitError, TrainingError
from ..run.folder import Interrupted
from ..run.signals import on_signals
from .parser import make_parser

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit status: 0; 1 when training or a check failed; 2 for bad input; 130 after SIGINT (Ctrl-C),
    143 after SIGTERM, 129 after SIGHUP (128 and the signal's number). What minivit or the operating system raises on
    purpose is one line; anything else is a bug, in minivit or in an operation that was edited, and shows its
    traceback."""
    arguments = make_parser().parse_args(argv)
    warnings.filterwarnings("ignore", ".* encountered in", RuntimeWarning)  # training finds and names NaN itself
    try:
        with on_signals(_end):  # SIGTERM and others end a command as Ctrl-C does
            status = arguments.command(arguments) or 0
            sys.stdout.flush()
            return status
    except Interrupted as error:
        return _complain(error, 128 + error.number)
    except KeyboardInterrupt as error:
        return _complain("interrupted", 128 + int(error.args[0] if error.args else signal.SIGINT))
    except TrainingError as error:
        return _complain(error, 1)
    except BrokenPipeError:  # whoever read the output, `head` for one, has read enough
        return 0
    except MemoryError as error:
        return _complain(f"not enough memory ({error}): choose a smaller model", 2)
    except (MinivitError, OSError) as error:
        return _complain(error, 2)
    finally:
        _drop_unread_output()


def _end(number: int, frame: Any) -> None:
    raise KeyboardInterrupt(number)


def _drop_unread_output() -> None:
    """If nobody reads what was printed, keep Python from complaining about it when it exits."""
    try:
        sys.stdout.flush()
    except OSError:  # or there is no room for it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(error: Any, status: int) -> int:
    with contextlib.suppress(OSError):  # after SIGHUP there is no terminal to tell it to
        print(f"minivit: {error}", file=sys.stderr)
    return status
