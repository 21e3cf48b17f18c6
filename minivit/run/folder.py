"""A run's folder: the files in it, which of them may be replaced, and what remains when a run is stopped.

config.json         the settings, and what the run is called in the other files
metrics.jsonl       a line for every report, written whole at every save
state.safetensors   all that is needed to resume: written at every save and removed at the end
model.safetensors   the trained model: the weights after the last step, with --ema their average, and with --patience
                    those of the best epoch
result.json         what came out, written last
curves.png          loss and error over the epochs, where matplotlib is installed
confusion.png       the confusion matrix of the test set, likewise
mistakes.png        the test pictures that were classified wrongly with the most confidence, likewise

Nothing of a run is in its folder before its first step is done, and nothing of what was there is gone.
"""

import contextlib
import itertools
import json
import os
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..atomic import is_private, open_regular, read_json, write_atomically
from ..checkpoint import is_ours
from ..data import short_name
from ..errors import CheckpointError, MinivitError
from ..settings import check
from .lock import HeldFolder, held
from .records import RESULT, SETTINGS

STATE = "state.safetensors"
PICTURES = ("curves.png", "confusion.png", "mistakes.png")
FILES = ("config.json", "metrics.jsonl", STATE, "model.safetensors", "result.json", *PICTURES)
PNG = b"\x89PNG\r\n\x1a\n"  # how such a file begins


class Interrupted(MinivitError):
    """Training was stopped by a signal, `number`, and what was saved is kept. The message says how to resume."""

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.number = int(number)


@contextlib.contextmanager
def new_folder(data: str, out: str | None, overwrite: bool) -> Iterator[HeldFolder]:
    """Hold the folder for a new run: `out`, or the first free runs/<data>-<n>; one that was made for it is removed
    again if it stays empty. Nothing in it is changed.

    Raises FileExistsError if it holds a run and `overwrite` is false, or files that no run wrote; CheckpointError if
    another process trains in it; OSError if it cannot be made.
    """
    if out is not None:
        check(out != "", "--out is empty: name a folder")
        with contextlib.ExitStack() as stack:
            folder = _made(stack, Path(out))
            _refuse_if_taken(folder.path, overwrite)
            if not os.access(folder.path, os.W_OK):  # known now, and not only after the first step
                raise PermissionError(f"{out}: this folder may not be written to: choose another --out")
            yield folder
        return
    for number in itertools.count(1):
        with contextlib.ExitStack() as stack:
            path = Path("runs") / f"{short_name(data)}-{number}"
            try:
                folder = _made(stack, path, fresh=True)
            except (FileExistsError, CheckpointError):  # whoever makes it has it
                if os.path.lexists(path):
                    continue
                raise
            yield folder
            return


def _made(stack: contextlib.ExitStack, path: Path, fresh: bool = False) -> HeldFolder:
    """The folder, held until the stack closes. Raises OSError, in one line, if it cannot be made."""
    try:
        return stack.enter_context(held(path, make=True, fresh=fresh))
    except OSError as error:
        if error.strerror is None or fresh and isinstance(error, FileExistsError):
            raise
        raise type(error)(f"{path} cannot be made a run's folder ({error.strerror}): choose another --out") from None


def _refuse_if_taken(folder: Path, overwrite: bool) -> None:
    found = refuse_foreign_files(folder)
    if found and not overwrite:
        what = "a run" if "config.json" in found else f"{' and '.join(found)} of a run"
        raise FileExistsError(f"{folder} holds {what} already: choose another --out, --resume it, or --overwrite it")


def refuse_foreign_files(folder: Path) -> list[str]:
    """The names of a run's files that are there. Raises FileExistsError, naming them, if no run wrote one of them."""
    found = [name for name in FILES if os.path.lexists(folder / name)]
    written = {name: _written_by_a_run(folder / name) for name in found}
    unclear = written.get("config.json") is True  # beside a run's settings, it counts as the run's
    foreign = [name for name in found if not (unclear if written[name] is None else written[name])]
    if foreign:
        raise FileExistsError(
            f"{folder} holds {' and '.join(foreign)}, which no run of minivit wrote: "
            "choose another --out, or move what is there away"
        )
    return found


def _written_by_a_run(path: Path) -> bool | None:
    """Whether a run wrote a file of this name; None if nothing in it says so, or that it was somebody else."""
    if path.is_symlink():
        return False
    try:
        if path.suffix == ".safetensors":
            return is_ours(path)
        if path.suffix == ".json":
            values = read_json(path)
            names = (SETTINGS if path.name == "config.json" else RESULT).keys()
            return isinstance(values, dict) and values.keys() >= names
        with open_regular(path) as file:
            start = file.readline(1 << 20)
        if path.suffix == ".png":
            return None if start[: len(PNG)] == PNG[: len(start)] else False
        line = json.loads(start) if start.endswith(b"\n") else None
        return line if line is None else isinstance(line, dict) and {"step", "epoch", "loss"} <= line.keys()
    except (CheckpointError, FileNotFoundError):
        return None if path.is_file() else False
    except (ValueError, RecursionError):
        return False


def remove_run(folder: Path) -> None:
    """Remove a run's files, but for its settings, which those of the next run replace: whatever happens in between,
    what is left is a run that starts from its beginning."""
    for name in FILES[1:]:
        (folder / name).unlink(missing_ok=True)


def rewind_to_last_save(folder: Path, metrics: list[dict[str, Any]]) -> None:
    """Bring a folder back to its last save: without files that a killed process wrote in part, and with these reports
    in metrics.jsonl; the lines behind them will be written again."""
    remove_parts(folder)
    write_atomically(folder / "metrics.jsonl", metrics_bytes(metrics))


def remove_parts(folder: Path) -> None:
    """Remove what a killed process has written of a run's files and not finished."""
    for path in folder.iterdir():
        if any(is_private(path.name, of=name) for name in FILES):
            path.unlink()


def metrics_bytes(metrics: list[dict[str, Any]]) -> bytes:
    """Reports as metrics.jsonl."""
    return "".join(json.dumps(line) + "\n" for line in metrics).encode()


def add_metrics(folder: Path, report: dict[str, Any]) -> None:
    """Add a line to metrics.jsonl, for those who read along; the next save writes the whole file, so that it does not
    matter if this cannot be done."""
    with contextlib.suppress(OSError), open(folder / "metrics.jsonl", "a") as file:
        file.write(json.dumps(report) + "\n")


def resume_hint(folder: Path, device: str = "cpu") -> str:
    """What to type to resume a run."""
    more = "" if device == "cpu" else f" --device {device}"
    return f"resume it with: minivit train --resume {shell_name(folder)}{more}"


def shell_name(folder: Path) -> str:
    """A folder's name as it can be pasted into a command."""
    name = str(folder)
    return shlex.quote(f"./{name}" if name.startswith("-") else name)
