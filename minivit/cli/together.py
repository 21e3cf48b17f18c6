"""A command that several ranks run together: rank 0 talks, and an error in any of them ends all."""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable

from ..ranks import MPIRanks
from .output import complain


def run_together(ranks: MPIRanks, run: Callable[[], tuple[int, str]]) -> int:
    """This rank's part of a command: `run` it, silently in all ranks but the first. Returns the exit status, if it is
    that of all ranks; a rank that fails alone says why, and MPI ends all."""
    errors = sys.stderr

    def say(message: str) -> None:
        if "\n" not in message:
            return complain(message)
        with contextlib.suppress(OSError):  # a traceback
            print(message, file=errors, flush=True)

    with contextlib.ExitStack() as stack:
        if ranks.rank:
            nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
            stack.enter_context(contextlib.redirect_stderr(nowhere))
        try:
            status, message = run()
        except SystemExit as end:  # the parser, which has said why
            status, message = int(end.code or 0), ""
        except BaseException:
            status, message = 1, traceback.format_exc()
    if status:
        ranks.end(status, message, say)
    return status
