"""Small runs, whole or stopped."""

import signal
from pathlib import Path
from typing import Any

import pytest

from minivit.run import Interrupted, Run, start_run
from minivit.run.records import read_metrics
from minivit.train import TrainConfig
from tests.tools import tiny

STEPS = 9  # three epochs of three batches of 18 images, of which 54 are left when a tenth is held out
ALL = {"config.json", "metrics.jsonl", "model.safetensors", "result.json"}  # that a run leaves, pictures apart


def start(data: str, out: Path | None, overwrite: bool = False, say: Any = print, **settings: Any) -> Run:
    """A run with everything that draws or changes with time: dropouts, augmentation, Muon, the mean of the weights."""
    always = {"epochs": 3, "batch_size": 18, "muon": 1e-3, "ema": 0.9, "patch_dropout_until": 0.5, "save_every": 2}
    config = TrainConfig(**{**always, "threads": 1, **settings})
    model = {**tiny.MODEL, **tiny.DROPOUTS, "patch_dropout": 0.25}
    return start_run(data, None if out is None else str(out), model, config, "cpu", overwrite, say=say)


def stop_after(
    at_step: Any, data: str, out: Path, number: int, number_of_signal: int = signal.SIGINT, **settings: Any
) -> str:
    """Start a run and stop it after so many steps; the message that it ends with."""
    at_step(number, lambda: signal.raise_signal(number_of_signal))
    with pytest.raises(Interrupted) as caught:
        start(data, out, **settings)
    return str(caught.value)


def same_model(folder: Path, whole: Path) -> bool:
    return (folder / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def steps_of(folder: Path) -> list[int]:
    return [line["step"] for line in read_metrics(folder)]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
