"""The state of a training run: everything that a step number alone does not determine.

Randomness is stateless, so the parameters, AdamW's two means, the mean of the weights, the step, and the sums and
reports so far are enough to go on to the same bytes.
"""

from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Array, to_device, to_host
from ..checkpoint import CheckpointError, read_tensors, write_tensors
from ..train.trainer import Progress, Trainer, TrainingError


def save_state(
    path: Path, settings: dict[str, Any], trainer: Trainer, progress: Progress, metrics: list, seconds: float
) -> None:
    """Write the state to a safetensors file, atomically. metrics: the reports so far; seconds: spent training.
    Raises TrainingError, and keeps what was saved before, if the state is not finite: a GPU is asked only here."""
    vectors = {name: to_host(vector) for name, vector in _vectors(trainer).items()}
    for name, vector in vectors.items():
        if not np.isfinite(vector).all():
            raise TrainingError(
                f"{name} is not finite after step {trainer.state.step}; what was saved before is kept: "
                "start again with a lower --learning-rate"
            )
    content = {
        "settings": settings,
        "step": trainer.state.step,
        "progress": {
            "loss": float(progress.loss),
            "correct": int(progress.correct),
            "images": progress.images,
        },
        "metrics": metrics,
        "seconds": seconds,
    }
    write_tensors(path, vectors, content)


def load_state(path: Path, settings: dict[str, Any], trainer: Trainer) -> tuple[Progress, list, float]:
    """Put a saved state into the trainer and return its progress, metrics and seconds; those of a beginning if there
    is no such file. Raises CheckpointError if it is damaged, or not of these settings."""
    if not path.exists():
        return Progress(), [], 0.0
    arrays, content = read_tensors(path)
    if content.get("settings") != settings:
        raise CheckpointError(f"{path}: saved under other settings than those in the config.json beside it")
    for name, vector in _vectors(trainer).items():
        if name not in arrays or arrays[name].shape != vector.shape or arrays[name].dtype != vector.dtype:
            raise CheckpointError(f"{path}: {name} is missing or does not fit this model")
        vector[...] = to_device(arrays[name], trainer.model.device)
    trainer.state.step = content["step"]
    return Progress(**content["progress"]), content["metrics"], content["seconds"]


def _vectors(trainer: Trainer) -> dict[str, Array]:
    vectors = {"params": trainer.model.params.flat, "m": trainer.state.m, "v": trainer.state.v}
    return vectors if trainer.ema is None else {**vectors, "ema": trainer.ema}
