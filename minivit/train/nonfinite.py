"""Which operation produced the first value that is not finite?"""

import sys
from types import FrameType
from typing import Any

import numpy as np

from ..backend import array_module
from ..errors import TrainingError
from ..parallel import WorkerPool, loss_and_grads
from .trainer import NotFinite, Trainer

PASSES = {"vit_forward", "vit_backward"}
BLOCKS = {"block_forward", "block_backward"}


def explained(trainer: Trainer, error: NotFinite) -> TrainingError:
    """The error with the operation that produced the first of what is not finite, and what to do."""
    place = first_not_finite(trainer, error.images, error.labels)
    return TrainingError(f"{error}: {place}: start again with {trainer.config.lower} or a smaller --clip-norm")


def first_not_finite(trainer: Trainer, images: np.ndarray, labels: np.ndarray) -> str:
    """Repeat the failed step on the same batch (B, C, Sh, Sw) and watch every operation; one line that names the
    operation which produced the first value that is not finite, the composite it is part of, the block and the pass.
    The trainer does not change. Python's profiler hook does the watching: it sees each operation of minivit.ops return,
    the innermost first.
    """
    for name, value in trainer.model.params.items():
        if not _finite(value):
            return f"the parameter {name} itself is not finite"
    found: list[str] = []
    depth = trainer.model.config.depth
    begun: list[str] = []  # the blocks that the present pass has begun

    def watch(frame: FrameType, event: str, value: Any) -> None:
        name = frame.f_code.co_name
        if found or not name.endswith(("_forward", "_backward")):
            return
        if event == "call" and name in PASSES:
            begun.clear()
        elif event == "call" and name in BLOCKS:
            begun.append(name)
        elif event == "return" and not _finite(value):
            found.append(_place(frame, depth - len(begun) if name.endswith("_backward") else len(begun) - 1))

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        with np.errstate(all="ignore"):
            loss_and_grads(
                trainer.model.params, images, labels, trainer.model.config, WorkerPool(1),  # this thread is watched
                label_smoothing=trainer.config.label_smoothing, seed=trainer.config.seed, step=trainer.state.step,
                frozen=trainer.frozen,
            )  # fmt: skip
    finally:
        sys.setprofile(before)
    return f"{found[0]} produced the first of them" if found else "repeating the step gave finite values"


def _finite(value: Any) -> bool:
    """Whether every array in nested tuples is finite."""
    if isinstance(value, tuple):
        return all(_finite(part) for part in value)
    if getattr(value, "dtype", None) is None or value.dtype.kind != "f":
        return True
    return bool(array_module(value).isfinite(value).all())


def _place(frame: FrameType | None, index: int) -> str:
    """Names of the functions from an operation up to the whole model's pass; and the block, if it is in one."""
    names: list[str] = []
    while frame is not None and frame.f_code.co_name not in PASSES:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    operations = [name for name in names if name.endswith(("_forward", "_backward")) and name != "encoder_forward"]
    return " in ".join(operations) + (f" of block {index}" if BLOCKS & set(names) else "")
