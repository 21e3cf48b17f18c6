"""The state of a training run: everything that a step number alone does not determine.

Randomness is stateless, so the parameters, AdamW's two means, the averaged weights, the best ones, the step, and the
sums and reports so far are enough to resume to the same bytes.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import check_format
from ..backend import Array, to_device, to_host
from ..checkpoint import read_tensors, tensor_bytes
from ..errors import CheckpointError, ConfigError, TrainingError
from ..settings import check, check_count, check_type
from ..train import RunningSums, Trainer
from .records import FORMAT, check_metrics, check_settings, current_settings, differences


def state_bytes(
    settings: dict[str, Any], trainer: Trainer, sums: RunningSums, metrics: list[dict[str, Any]], seconds: float
) -> bytes:
    """The state as a safetensors file. metrics: the reports so far; seconds: spent training.
    Raises TrainingError if the state is not finite. This is the only place that reads the whole state back from a
    GPU."""
    vectors = {name: to_host(vector) for name, vector in vectors_of(trainer).items()}
    for name, vector in vectors.items():
        if not np.isfinite(vector).all():
            raise TrainingError(
                f"{name} is not finite after step {trainer.state.step}; what was saved before is kept: "
                f"start again with {trainer.config.lower}"
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
    return tensor_bytes(vectors, content)


def load_state(path: Path, settings: dict[str, Any], trainer: Trainer) -> tuple[RunningSums, list, float]:
    """Put a saved state into the trainer and return its sums, metrics and seconds; those of a beginning if there
    is no such file. Raises CheckpointError if it is damaged, or not of these settings."""
    if not os.path.lexists(path):  # a link to nowhere is a state that is missing
        return RunningSums(), [], 0.0
    arrays, content = read_tensors(path)
    check_format(content, FORMAT, path)
    _check_settings(path, content.get("settings"), settings)
    for name, vector in vectors_of(trainer).items():
        if name not in arrays or arrays[name].shape != vector.shape or arrays[name].dtype != vector.dtype:
            raise CheckpointError(f"{path}: {name} is missing or does not fit this model")
    try:
        step = check_count("step", content["step"], least=0)
        check(trainer.total_steps is None or step <= trainer.total_steps, f"step {step} of {trainer.total_steps}")
        sums = _sums(content["sums" if "sums" in content else "progress"])  # the name that it had in format 0
        seconds = check_type("seconds", content["seconds"], float)
        check(seconds >= 0, f"seconds must be at least 0, not {seconds}")
    except (ConfigError, LookupError, TypeError) as error:
        raise CheckpointError(f"{path}: holds no state of a run ({type(error).__name__}: {error})") from None
    metrics = check_metrics(content.get("metrics"), path)
    for name, vector in vectors_of(trainer).items():
        vector[...] = to_device(arrays[name], trainer.model.device)
    trainer.state.step = step
    return sums, metrics, seconds


def _check_settings(path: Path, stored: Any, settings: dict[str, Any]) -> None:
    """Raise CheckpointError, naming them, if results-deciding settings differ from those of the run."""
    try:
        found = differences(check_settings(current_settings(stored)), settings)
    except (ConfigError, LookupError, TypeError, AttributeError):
        raise CheckpointError(f"{path}: holds no settings of a run, or other settings than minivit writes") from None
    if found:
        named = ", ".join(f"{name} {here!r:.60} and there {there!r:.60}" for name, here, there in found)
        raise CheckpointError(
            f"{path}: saved under other settings than those in the config.json beside it: here {named}"
        )


def _sums(values: dict[str, Any]) -> RunningSums:
    loss = check_type("loss", values["loss"], float)
    correct, images = (check_count(name, values[name], least=0) for name in ("correct", "images"))
    check(loss >= 0 and correct <= images, "more images are correct than were seen, or the loss is negative")
    return RunningSums(loss, correct, images)


def vectors_of(trainer: Trainer) -> dict[str, Array]:
    """The vectors of a state, by their names in its file."""
    vectors = {"params": trainer.model.params.flat, "m": trainer.state.m, "v": trainer.state.v}
    more = {"ema": trainer.ema, "best": trainer.best}
    return {**vectors, **{name: vector for name, vector in more.items() if vector is not None}}
