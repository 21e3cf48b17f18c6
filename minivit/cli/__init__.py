"""The command line: `minivit.cli:main` runs one command and returns its exit status."""

import signal
import sys
from collections.abc import Sequence
from typing import Any

from ..errors import MinivitError, TrainingError
from ..run.folder import Interrupted
from ..run.signals import on_signals
from .output import complain, drop_unread_output, prepared_output, prepared_warnings
from .parser import make_parser

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit status: 0; 1 when training or a check failed; 2 for bad input; 130 after SIGINT (Ctrl-C),
    143 after SIGTERM, 129 after SIGHUP (128 and the signal's number). What minivit or the operating system raises on
    purpose is one line; anything else is a bug, in minivit or in an operation that was edited, and shows its
    traceback."""
    with prepared_output(), prepared_warnings():
        return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    arguments = make_parser().parse_args(argv)
    try:
        with on_signals(_end):  # SIGTERM and others end a command as Ctrl-C does
            status = arguments.command(arguments) or 0
            sys.stdout.flush()
            return status
    except Interrupted as error:
        return _failed(error, 128 + error.number)
    except KeyboardInterrupt as error:
        return _failed("interrupted", 128 + int(error.args[0] if error.args else signal.SIGINT))
    except TrainingError as error:
        return _failed(error, 1)
    except BrokenPipeError:  # whoever read the output, `head` for one, has read enough
        return 0
    except MemoryError as error:
        return _failed(f"not enough memory ({error}): choose a smaller model", 2)
    except (MinivitError, OSError) as error:
        return _failed(error, 2)
    finally:
        drop_unread_output()


def _end(number: int, frame: Any) -> None:
    raise KeyboardInterrupt(number)


def _failed(error: object, status: int) -> int:
    complain(error)
    return status
