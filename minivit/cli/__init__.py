"""The command line: `minivit.cli:main` runs one command and returns its exit status."""

import signal
import sys
from collections.abc import Sequence
from typing import Any

from ..errors import ConfigError, MinivitError, TrainingError
from ..ranks import MPIRanks, Ranks, started_ranks
from ..run.folder import Interrupted
from ..run.signals import on_signals
from . import commands, looking
from .output import complain, drop_unread_output, prepared_output, prepared_warnings
from .parser import make_parser
from .together import run_together

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit status: 0; 1 when training or a check failed; 2 for bad input; 130 after SIGINT (Ctrl-C),
    143 after SIGTERM, 129 after SIGHUP (128 and the signal's number). What minivit or the operating system raises on
    purpose is one line; anything else is a bug, in minivit or in an operation that was edited, and shows its
    traceback. Where mpiexec has started several processes, they run the command together."""
    with prepared_output(), prepared_warnings():
        try:
            ranks = started_ranks()
        except MinivitError as error:
            complain(error)
            return 2
        if isinstance(ranks, MPIRanks):
            return run_together(ranks, lambda: _run(argv, ranks))
        status, message = _run(argv, ranks)
        if message:
            complain(message)
        return status


def _run(argv: Sequence[str] | None, ranks: Ranks) -> tuple[int, str]:
    """The exit status, and the line that explains it."""
    arguments, unknown = make_parser().parse_known_args(argv)
    if unknown:
        arguments.parser.error(f"unrecognized arguments: {' '.join(unknown)}")  # with the usage of the command
    arguments.ranks = ranks
    try:
        ranks.check()
        if ranks.size > 1 and arguments.command not in (commands.train, looking.evaluate):
            raise ConfigError(f"{ranks.size} ranks share the work of train and eval only: start this without mpiexec")
        with on_signals(_end):  # SIGTERM and others end a command as Ctrl-C does
            status = arguments.command(arguments) or 0
            sys.stdout.flush()
            return status, ""
    except Interrupted as error:
        return 128 + error.number, str(error)
    except KeyboardInterrupt as error:
        return 128 + int(error.args[0] if error.args else signal.SIGINT), "interrupted"
    except TrainingError as error:
        return 1, str(error)
    except BrokenPipeError:  # whoever read the output, `head` for one, has read enough
        return 0, ""
    except MemoryError as error:
        return 2, f"not enough memory ({error}): choose a smaller model"
    except (MinivitError, OSError) as error:
        return 2, str(error)
    finally:
        drop_unread_output()


def _end(number: int, frame: Any) -> None:
    raise KeyboardInterrupt(number)
