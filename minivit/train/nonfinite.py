"""When training goes wrong: which operation made the first NaN, and can the model learn at all?"""

import sys
from types import FrameType
from typing import Any

import numpy as np

from ..backend import array_module
from ..config import TrainConfig
from ..data import load
from ..preprocess.arrays import config_for
from ..parallel import Workers
from ..rng import SHUFFLE, generator
from .trainer import Trainer, TrainingError
from ..vit import ViT

OVERFIT_IMAGES, OVERFIT_LOSS, OVERFIT_STEPS = 64, 1e-3, 600


def first_not_finite(trainer: Trainer, images: np.ndarray, labels: np.ndarray) -> str:
    """Repeat the step that went wrong, on the same batch (B, C, Sh, Sw), with every operation watched; one line that
    names the operation, the composite it is part of, the block and the pass. Nothing in the trainer changes.

    The watching is Python's profiler hook: it sees each operation of minivit.ops return, the innermost first.
    """
    for name, value in trainer.model.params.items():
        if not _finite(value):
            return f"the parameter {name} itself is not finite"
    found: list[str] = []

    def watch(frame: FrameType, event: str, value: Any) -> None:
        name = frame.f_code.co_name
        if event == "return" and not found and name.endswith(("_forward", "_backward")) and not _finite(value):
            found.append(_place(frame))

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        with np.errstate(all="ignore"):
            trainer.gradients(images, labels, Workers(1))  # in this thread, which is watched
    finally:
        sys.setprofile(before)
    return f"{found[0]} made the first of them" if found else "repeating the step gave finite numbers"


def overfit(data: str, model_settings: dict[str, Any], train_settings: dict[str, Any], device: str = "cpu") -> None:
    """Train on 64 images of a data set until the loss is below 1e-3, and print how it goes; writes no file.

    The first thing to try on a new model or data set: a sound one can learn 64 images by heart. Augmentation,
    smoothing, weight decay and dropouts, which are there to prevent that, are off.
    Raises TrainingError, saying what to look at, if 600 steps are not enough.
    """
    dataset = load(data)
    off = {"dropout": 0.0, "attention_dropout": 0.0, "drop_path": 0.0}
    config = TrainConfig(**{**train_settings, "label_smoothing": 0.0, "weight_decay": 0.0})
    model_config = config_for(dataset.train.images, dataset.classes, {**model_settings, **off})
    trainer = Trainer(ViT(model_config, config.seed, device=device), config)
    rows = generator(config.seed, SHUFFLE).permutation(len(dataset.train.labels))[:OVERFIT_IMAGES]
    for step in range(1, OVERFIT_STEPS + 1):
        loss = float(trainer.step(dataset.train.images[rows], dataset.train.labels[rows]))
        if step & (step - 1) == 0 or loss < OVERFIT_LOSS:  # 1, 2, 4, 8, ...
            print(f"step {step}: loss {loss:.5f}", flush=True)
        if loss < OVERFIT_LOSS:
            print(f"{len(rows)} images learned by heart in {step} steps: the model, its gradients and the data work")
            return
    raise TrainingError(
        f"{len(rows)} images should be learned by heart, but the loss is {loss:.4f} after {OVERFIT_STEPS} steps. "
        "Look at: the learning rate (try a tenth and ten times of it), labels that contradict each other, images that "
        "are all alike, and, after changes to an operation, minivit gradcheck"
    )


def _finite(value: Any) -> bool:
    """Whether every array in nested tuples is finite."""
    if isinstance(value, tuple):
        return all(_finite(part) for part in value)
    if getattr(value, "dtype", None) is None or value.dtype.kind != "f":
        return True
    return bool(array_module(value).isfinite(value).all())


def _place(frame: FrameType | None) -> str:
    """Names of the functions from an operation up to the whole model's pass, and the block."""
    names: list[str] = []
    block = ""
    while frame is not None:
        name = frame.f_code.co_name
        if name in ("vit_forward", "vit_backward"):
            block = f" of block {frame.f_locals['i']}" if "block_" in "".join(names) else ""
            break
        names.append(name)
        frame = frame.f_back
    return " in ".join(name for name in names if name.endswith(("_forward", "_backward"))) + block
