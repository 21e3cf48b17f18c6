"""A run's folder: the files in it, who may write to them, and what remains when a run is stopped.

config.json         the settings, written first
metrics.jsonl       a line for every report
state.safetensors   all that is needed to resume: written at every save and removed at the end
model.safetensors   the trained model: the averaged weights with --ema, else the last
result.json         what came out, written last
curves.png          loss and error over the epochs, where matplotlib is installed
confusion.png       the confusion matrix of the test set, likewise
"""

import contextlib
import json
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ..atomic import check_format, read_json, write_atomically
from ..data import full_name
from ..errors import CheckpointError, MinivitError

FORMAT = 1  # of config.json, state.safetensors and result.json; a file without a number is of format 0, and is read
STATE = "state.safetensors"
PICTURES = ("curves.png", "confusion.png")
FILES = ("config.json", "metrics.jsonl", STATE, "model.safetensors", "result.json", *PICTURES)
SETTINGS = {"data", "data_sha256", "model", "train"}  # what config.json holds, at least
RESULT = {"test_accuracy", "test_correct", "test_total", "parameters", "train_seconds", "seed", "data"}  # result.json


class Interrupted(MinivitError):
    """Training was stopped by a signal, `number`, and what was saved is kept. The message says how to resume."""

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.number = int(number)


def new_folder(data: str, out: str | None, overwrite: bool) -> Path:
    """The folder for a new run, made: `out`, without the files of a run, or the first free runs/<data>-<n>.

    Raises FileExistsError if `out` holds a run and `overwrite` is false, OSError if the folder cannot be made.
    """
    if out is None:
        return _first_free(Path(full_name(data)).name)
    folder = Path(out)
    found = [name for name in ("config.json", "model.safetensors", "result.json") if (folder / name).exists()]
    if found and not overwrite:
        what = "a run" if "config.json" in found else " and ".join(found)
        raise FileExistsError(f"{folder} holds {what} already: choose another --out, --resume it, or --overwrite it")
    if "config.json" in found:
        with locked(folder):  # not while another process trains in it
            pass
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    return folder


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from training in a run's folder, and say what is left of the run if it is stopped.

    Raises CheckpointError if another process is training in it, Interrupted instead of KeyboardInterrupt, and an
    OSError that says how to resume.
    """
    with open(folder / "config.json") as file:
        if not _lock(file):
            raise CheckpointError(f"{folder}: another process is training in it; let it end, or choose another --out")
        try:
            yield
        except KeyboardInterrupt as error:
            number = error.args[0] if error.args else signal.SIGINT
            raise Interrupted(f"stopped; what was saved before is kept, {resume_hint(folder)}", number) from None
        except BrokenPipeError:
            raise Interrupted(
                f"stopped, since nobody reads what it prints; all is kept, {resume_hint(folder)}"
            ) from None
        except OSError as error:
            reason = f"cannot write to {folder}: {error.strerror or error}; what was saved before is kept"
            raise OSError(f"{reason}, {resume_hint(folder)}") from None


def resume_hint(folder: Path) -> str:
    """What to type to resume a run."""
    return f"resume it with: minivit train --resume {shlex.quote(str(folder))}"


def rewind_to_last_save(folder: Path, metrics: list[dict[str, Any]]) -> None:
    """Bring a folder back to its last save: without files that a killed process wrote in part, and with these reports
    in metrics.jsonl; the lines behind them will be written again."""
    for name in FILES:
        for part in folder.glob(f".{name}.*"):
            part.unlink()
    write_atomically(folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in metrics).encode())


def add_metrics(folder: Path, report: dict[str, Any]) -> None:
    """Add a line to metrics.jsonl."""
    with open(folder / "metrics.jsonl", "a") as file:
        file.write(json.dumps(report) + "\n")


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; empty if there is none. Raises CheckpointError if it is damaged."""
    path = folder / "metrics.jsonl"
    try:
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    except ValueError as error:
        raise CheckpointError(f"{path}: damaged, a line of it is not JSON ({error})") from None


def is_run(folder: Path) -> bool:
    """Whether a folder's config.json is a run's: other libraries write one, too."""
    values = read_json(folder / "config.json")
    return isinstance(values, dict) and values.keys() >= SETTINGS


def read_settings(folder: Path) -> dict[str, Any] | None:
    """What config.json holds, in today's format; None if there is none. Raises CheckpointError if it is damaged or of a
    later format."""
    settings = _read(folder / "config.json", SETTINGS)
    return None if settings is None else current_settings(settings)


def current_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """A run's settings, of any format so far, with today's names."""
    renamed = {"warmup": "warmup_fraction", "views": "tta"}  # format 0
    return {**settings, "train": {renamed.get(name, name): value for name, value in settings["train"].items()}}


def read_result(folder: Path) -> dict[str, Any] | None:
    """What result.json holds, in today's format; None if there is none. Raises CheckpointError if it is damaged or of a
    later format."""
    result = _read(folder / "result.json", RESULT)
    if result is not None and "views" in result:
        result["tta"] = result.pop("views")
    return result


def _read(path: Path, names: set[str]) -> dict[str, Any] | None:
    values = read_json(path)
    if values is not None and not (isinstance(values, dict) and values.keys() >= names):
        raise CheckpointError(f"{path}: not written by minivit train, expected values of {', '.join(sorted(names))}")
    if values is not None:
        check_format(values, FORMAT, path)
    return values


def _first_free(name: str) -> Path:
    n = 1
    while True:
        folder = Path("runs") / f"{name}-{n}"
        try:
            folder.mkdir(parents=True)  # whoever makes it has it
            return folder
        except FileExistsError:
            n += 1


def _lock(file: IO) -> bool:
    """Lock an open file until it is closed or the process ends, however it ends; False if someone else has locked it.
    Where files have no such locks (Windows, some network drives) nothing is locked, and it is True."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        pass
    return True
