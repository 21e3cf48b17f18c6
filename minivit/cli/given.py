"""What arguments of several commands stand for."""

import argparse
import contextlib
import glob
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from .. import weights
from ..errors import ConfigError, DataError
from ..preprocess import other_pillow
from ..run import Run, load_run
from .output import complain


def answers(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was said about another library's file."""
    return {name: getattr(arguments, name) for name in weights.Answers._fields}


def load(arguments: argparse.Namespace) -> Run:
    """The run, or the model, that was named. Says so if the pictures of a data set were made by another Pillow."""
    run = load_run(arguments.run, getattr(arguments, "device", "cpu"), **answers(arguments))
    if note := other_pillow(run.model.preprocessing):
        complain(note, "note")
    return run


def data_of(run: Run) -> str:
    """The data that a run was trained on. Raises ConfigError for a model that comes without its run."""
    if "data" in run.settings:
        return run.settings["data"]
    raise ConfigError("nothing tells what data this model was trained on: name some with --data")


@contextlib.contextmanager
def data_at_hand(run: Run, data: str | None) -> Iterator[None]:
    """While the run's own data are read, where `data` names no others: DataError also says what to do if they have
    moved."""
    try:
        yield
    except DataError as error:
        if data is not None or os.path.exists(data_of(run)):
            raise
        raise DataError(f"{error}; if the run's data have moved, say where they are now with --data") from None


def expanded(names: Sequence[str]) -> Iterator[str]:
    """The names, and the files that patterns like *.png match where the shell leaves them as they are, on Windows."""
    for name in names:
        matching = [] if sys.platform != "win32" or os.path.exists(name) else sorted(glob.glob(name))
        yield from matching or [name]
