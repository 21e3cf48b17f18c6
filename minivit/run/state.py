"""The state of a training run: everything that a step number alone does not determine.

Randomness is stateless, so the parameters, AdamW's two means, the averaged weights, the step, and the sums and
reports so far are enough to resume to the same bytes.
"""

from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import check_format
from ..backend import Array, to_device, to_host
from ..checkpoint import read_tensors, write_tensors
from ..errors import CheckpointError, TrainingError
from ..train import RunningSums, Trainer
from .folder import FORMAT, current_settings


def save_state(
    path: Path, settings: dict[str, Any], trainer: Trainer, sums: RunningSums, metrics: list, seconds: float
) -> None:
    """Write the state to a safetensors file, atomically. metrics: the reports so far; seconds: spent training.
    Raises TrainingError, and keeps what was saved before, if the state is not finite. This is the only place that reads
    the whole state back from a GPU."""
    vectors = {name: to_host(vector) for name, vector in _vectors(trainer).items()}
    for name, vector in vectors.items():
        if not np.isfinite(vector).all():
            raise TrainingError(
                f"{name} is not finite after step {trainer.state.step}; what was saved before is kept: "
                "start again with a lower --learning-rate"
            )
    content = {
        "format": FORMAT,
        "settings": settings,
        "step": trainer.state.step,
        "sums": {
            "loss": float(sums.loss),
            "correct": int(sums.correct),
            "images": sums.images,
        },
        "metrics": metrics,
        "seconds": seconds,
    }
    write_tensors(path, vectors, content)


def load_state(path: Path, settings: dict[str, Any], trainer: Trainer) -> tuple[RunningSums, list, float]:
    """Put a saved state into the trainer and return its sums, metrics and seconds; those of a beginning if there
    is no such file. Raises CheckpointError if it is damaged, or not of these settings."""
    if not path.exists():
        return RunningSums(), [], 0.0
    arrays, content = read_tensors(path)
    check_format(content, FORMAT, path)
    stored = content.get("settings")
    if not isinstance(stored, dict) or "train" not in stored or current_settings(stored) != settings:
        raise CheckpointError(f"{path}: saved under other settings than those in the config.json beside it")
    for name, vector in _vectors(trainer).items():
        if name not in arrays or arrays[name].shape != vector.shape or arrays[name].dtype != vector.dtype:
            raise CheckpointError(f"{path}: {name} is missing or does not fit this model")
        vector[...] = to_device(arrays[name], trainer.model.device)
    trainer.state.step = content["step"]
    sums = content["sums" if "sums" in content else "progress"]  # the name that it had in format 0
    return RunningSums(**sums), content["metrics"], content["seconds"]


def _vectors(trainer: Trainer) -> dict[str, Array]:
    vectors = {"params": trainer.model.params.flat, "m": trainer.state.m, "v": trainer.state.v}
    return vectors if trainer.ema is None else {**vectors, "ema": trainer.ema}
