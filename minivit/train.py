"""Training: the settings, one optimisation step, and the loop over a data set, to be read top to bottom."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy

from .backend import Array, array_module, to_device
from .config import option
from .data import Split, random_affine
from .evaluate import Evaluation, evaluate
from .inputs import check_batch, normalise, prepare
from .machine import available_cores, keep_freed_memory
from .optim import AdamWState, adamw_step, clip_by_norm, decay_vector, warmup_cosine
from .parallel import Workers, loss_and_grads
from .randomness import AUGMENTATION, SHUFFLE, generator
from .vit import ViT

WARMUP_STEPS = 100  # of a Trainer that does not know how many steps it will make


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why and what to change."""


@dataclass(frozen=True)
class TrainConfig:
    """How to train. Raises ValueError, naming the field, for values that cannot work."""

    epochs: int | None = option(None, "passes over the training images; without it, enough to see 330,000 of them")
    batch_size: int = option(64, "images per step")
    learning_rate: float = option(1.5e-3, "peak learning rate, reached after the warm-up")
    warmup: float = option(0.1, "part of the steps over which the learning rate rises from zero")
    weight_decay: float = option(0.05, "decay of the weight matrices; nothing else decays")
    label_smoothing: float = option(0.1, "part of the target probability spread over all classes")
    clip_norm: float = option(1.0, "gradients longer than this are scaled down to it")
    beta1: float = option(0.9, "AdamW's memory of the gradient")
    beta2: float = option(0.99, "AdamW's memory of the squared gradient")
    augment: float = option(1.0, "strength of the random rotation, scale, shear and shift; 0 turns them off")
    validation: int | None = option(None, "training images held out; without it, a tenth, at most 5,000")
    seed: int = option(0, "of the initial weights, the shuffling, the augmentation and the dropouts")
    threads: int | None = option(None, "threads that compute; without it, the cores available")
    keep_memory: bool = option(True, "keep freed memory in the process, which makes a step much faster on Linux")

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        for name in ("learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        for name in ("weight_decay", "augment", "seed", "validation"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name} must be at least 0, not {value}")
        for name in ("warmup", "label_smoothing", "beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), not {getattr(self, name)}")

    def epochs_for(self, images: int) -> int:
        """The number of epochs on so many training images."""
        return self.epochs or max(1, round(330_000 / images))

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class StepResult(NamedTuple):
    loss: Array  # (), mean over the batch
    correct: Array  # (), images classified rightly before the step
    grad_norm: Array  # (), before clipping


class Trainer:
    """AdamW on a model's parameters, one batch at a time.

    total_steps: how many steps there will be, for the learning rate's cosine; None keeps the rate constant after
    the warm-up.
    """

    def __init__(self, model: ViT, config: TrainConfig = TrainConfig(), total_steps: int | None = None) -> None:
        self.model, self.config, self.total_steps = model, config, total_steps
        self.state = AdamWState.zeros_like(model.params.flat)
        decay = decay_vector(model.params.shapes, config.weight_decay, model.dtype)
        self.decay = to_device(decay, model.device)
        self.workers = Workers(config.threads or available_cores())
        if config.keep_memory:
            keep_freed_memory()

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        warmup = WARMUP_STEPS if self.total_steps is None else round(self.config.warmup * self.total_steps)
        return warmup_cosine(self.state.step, self.config.learning_rate, warmup, self.total_steps)

    def step(self, images: Any, labels: Any) -> Array:
        """One optimisation step on a host batch; the loss before it, a 0-d array of the model's backend.

        images (B, C, Sh, Sw): uint8, scaled and normalised by the model's config, or floats, taken as they are;
        labels (B,) integers or (B, K) probabilities. No augmentation, no shuffling.
        Raises ValueError or TypeError, in one line, for what does not fit, NaN and empty batches included; the
        model is unchanged then.
        """
        images, labels = check_batch(images, labels, self.model.config)
        return self.update(prepare(images, self.model.config, self.model.dtype), labels).loss

    def update(self, images: numpy.ndarray, labels: numpy.ndarray) -> StepResult:
        """`step` for a batch that is known to be sound, in the model's dtype; returns more than the loss."""
        config, model = self.config, self.model
        loss, correct, grads = loss_and_grads(
            model.params,
            images,
            labels,
            model.config,
            self.workers,
            label_smoothing=config.label_smoothing,
            seed=config.seed,
            step=self.state.step,
        )
        grad_norm = clip_by_norm(grads.flat, config.clip_norm)
        rate = self.learning_rate
        adamw_step(model.params.flat, grads.flat, self.state, rate, self.decay, config.beta1, config.beta2)
        return StepResult(loss, correct, grad_norm)


class EpochReport(NamedTuple):
    epoch: int  # 1, 2, ...
    step: int
    train_loss: float
    train_accuracy: float  # of the augmented images, while training
    valid_loss: float | None
    valid_accuracy: float | None
    learning_rate: float
    images_per_second: float
    seconds: float  # since the start


def pixel_statistics(images: numpy.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of every channel of uint8 images (B, C, Sh, Sw), of pixels in [0, 1]."""
    means, stds = [], []
    for channel in range(images.shape[1]):
        counts = numpy.bincount(images[:, channel].ravel(), minlength=256)
        values = numpy.arange(256) / 255
        mean = float(counts @ values / counts.sum())
        means.append(mean)
        stds.append(max(1e-6, math.sqrt(counts @ (values - mean) ** 2 / counts.sum())))
    return tuple(means), tuple(stds)


def fit(
    trainer: Trainer,
    train: Split,
    valid: Split,
    epochs: int,
    on_step: Callable[[int, StepResult], None],
    on_epoch: Callable[[EpochReport], None],
) -> None:
    """Train for `epochs` passes over uint8 images, shuffled and augmented anew in each; a last part of a batch is
    left out. Calls on_step(batch size, result) after every step and on_epoch(report) after every epoch.

    Raises TrainingError, before another step is made, if an epoch's loss is not finite.
    """
    model, config = trainer.model, trainer.config
    count = len(train.images)
    batch_size = min(config.batch_size, count)
    xp = array_module(model.params.flat)
    start = time.perf_counter()
    for epoch in range(epochs):
        order = generator(config.seed, SHUFFLE, epoch).permutation(count)
        began, seen = time.perf_counter(), 0
        loss, correct = xp.zeros((), model.dtype), xp.zeros((), "int64")
        while seen + batch_size <= count:
            rows = order[seen : seen + batch_size]
            pixels = train.images[rows]
            if config.augment:
                rng = generator(config.seed, AUGMENTATION, trainer.state.step)
                pixels = random_affine(pixels, rng, config.augment)
            rate = trainer.learning_rate
            result = trainer.update(normalise(pixels, model.config, model.dtype), train.labels[rows])
            loss, correct, seen = loss + result.loss * batch_size, correct + result.correct, seen + batch_size
            on_step(batch_size, result)
        seconds = time.perf_counter() - began
        if not math.isfinite(float(loss)):
            raise TrainingError(
                f"the loss became {float(loss)} in epoch {epoch + 1}: try a lower --learning-rate (it was {rate:.2g})"
            )
        check = evaluate(model, valid, trainer.workers) if len(valid.labels) else None
        on_epoch(_report(epoch, trainer, float(loss) / seen, int(correct) / seen, check, rate, seen / seconds, start))


def _report(
    epoch: int,
    trainer: Trainer,
    loss: float,
    accuracy: float,
    check: Evaluation | None,
    rate: float,
    speed: float,
    start: float,
) -> EpochReport:
    valid = (check.loss, check.accuracy) if check else (None, None)
    seconds = time.perf_counter() - start
    return EpochReport(epoch + 1, trainer.state.step, loss, accuracy, *valid, rate, speed, seconds)
