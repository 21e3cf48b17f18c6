"""Training: one optimisation step, and the loop over a data set, to be read top to bottom."""

import functools
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy

from .backend import Array, reads_freely, to_device
from .config import TrainConfig
from .data import Split, random_affine
from .evaluate import evaluate
from .inputs import check_batch, normalise, prepare
from .machine import available_cores, keep_freed_memory
from .optim import AdamWState, adamw_step, clip_by_norm, decay_vector, ema_step, warmup_cosine
from .parallel import BatchResult, Workers, loss_and_grads
from .randomness import AUGMENTATION, SHUFFLE, generator
from .vit import ViT

__all__ = ["NotFinite", "Progress", "Report", "StepResult", "TrainConfig", "Trainer", "TrainingError", "fit"]

WARMUP_STEPS = 100  # of a Trainer that does not know how many steps it will make


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why and what to change."""


class NotFinite(TrainingError):
    """A loss or gradient that is not finite, with the batch that made it: images (B, C, Sh, Sw) and labels."""

    def __init__(self, message: str, images: numpy.ndarray, labels: numpy.ndarray) -> None:
        super().__init__(message)
        self.images, self.labels = images, labels


class StepResult(NamedTuple):
    loss: Array  # (), mean over the batch
    correct: Array  # (), images classified rightly before the step
    grad_norm: Array  # (), before clipping


class Trainer:
    """AdamW on a model's parameters, one batch at a time.

    total_steps: how many steps there will be, for the learning rate's cosine; None keeps the rate constant after
    the warm-up. With config.ema, `ema` is the running mean of the parameters, a vector like `model.params.flat`.
    """

    def __init__(self, model: ViT, config: TrainConfig = TrainConfig(), total_steps: int | None = None) -> None:
        self.model, self.config, self.total_steps = model, config, total_steps
        self.state = AdamWState.zeros_like(model.params.flat)
        self.ema = model.params.flat.copy() if config.ema else None
        decay = decay_vector(model.params.shapes, config.weight_decay, model.dtype)
        self.decay = to_device(decay, model.device)
        self.workers = Workers(config.threads or (available_cores() if model.device == "cpu" else 1))
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
        Raises ValueError or TypeError, in one line, for what does not fit, NaN and empty batches included, and
        TrainingError for a loss or gradient that is not finite; the model is unchanged then. (On a GPU the loss is
        not looked at here, since that would wait for the device; `fit` looks at it with every report.)
        """
        images, labels = check_batch(images, labels, self.model.config)
        return self.update(prepare(images, self.model.config, self.model.dtype), labels).loss

    def update(self, images: numpy.ndarray, labels: numpy.ndarray) -> StepResult:
        """`step` for a batch that is known to be sound, in the model's dtype; returns more than the loss."""
        config, params, state = self.config, self.model.params.flat, self.state
        loss, correct, grads = self.gradients(images, labels)
        grad_norm = clip_by_norm(grads.flat, config.clip_norm)
        if reads_freely(loss) and not math.isfinite(float(loss) + float(grad_norm)):
            raise NotFinite(
                f"loss {float(loss)} and gradient norm {float(grad_norm)} at step {state.step}, "
                f"learning rate {self.learning_rate:.2g}",
                images,
                labels,
            )
        adamw_step(params, grads.flat, state, self.learning_rate, self.decay, config.beta1, config.beta2)
        if self.ema is not None:
            ema_step(self.ema, params, config.ema, state.step)
        return StepResult(loss, correct, grad_norm)

    def gradients(self, images: numpy.ndarray, labels: numpy.ndarray, workers: Workers | None = None) -> BatchResult:
        """Loss and gradient of a batch at the current step; nothing is changed."""
        return loss_and_grads(
            self.model.params,
            images,
            labels,
            self.model.config,
            workers or self.workers,
            label_smoothing=self.config.label_smoothing,
            seed=self.config.seed,
            step=self.state.step,
        )

    def averaged_model(self) -> ViT:
        """What is worth keeping: a model of the running mean of the weights, or, without config.ema, of the last."""
        return self.model if self.ema is None else self.model.with_flat(self.ema)


class Report(NamedTuple):
    """One line of metrics.jsonl: means over the images since the report before."""

    step: int
    epoch: int  # 1, 2, ...
    loss: float
    accuracy: float  # of the augmented images, while training
    learning_rate: float
    grad_norm: float  # of the last step, before clipping
    images_per_second: float
    valid_loss: float | None = None  # at the end of an epoch, if images were held out
    valid_accuracy: float | None = None


@dataclass
class Progress:
    """Sums since the last report: with the step number and the Trainer's vectors, all that a resumed run needs."""

    loss: Any = 0.0
    correct: Any = 0
    images: int = 0


def fit(
    trainer: Trainer, train: Split, valid: Split, epochs: int, progress: Progress
) -> Iterator[tuple[StepResult, Report | None]]:
    """Train until `epochs` passes over the uint8 images are done, starting at step `trainer.state.step`.

    Every epoch shuffles and augments anew; a last part of a batch is left out. Yields after every step, with a
    report at the end of every epoch and every config.log_every steps; who iterates may save, or stop.
    Raises TrainingError if the loss is not finite.
    """
    config = trainer.config
    epoch_steps = steps_per_epoch(config, train)
    timer, since = time.perf_counter(), progress.images
    for images, labels in _batches(trainer, train, epochs * epoch_steps):
        rate = trainer.learning_rate
        result = trainer.update(images, labels)
        step = trainer.state.step
        progress.loss = progress.loss + result.loss * len(images)
        progress.correct = progress.correct + result.correct
        progress.images += len(images)
        report = None
        if step % epoch_steps == 0 or (config.log_every and step % config.log_every == 0):
            report = Report(
                step=step,
                epoch=-(-step // epoch_steps),
                loss=float(progress.loss) / progress.images,
                accuracy=int(progress.correct) / progress.images,
                learning_rate=rate,
                grad_norm=float(result.grad_norm),
                images_per_second=(progress.images - since) / (time.perf_counter() - timer),
            )
            if not math.isfinite(report.loss + report.grad_norm):  # a GPU is asked only here
                raise TrainingError(f"the loss became {report.loss} before step {step}: try a lower learning rate")
            if step % epoch_steps == 0 and len(valid.labels):
                check = evaluate(trainer.averaged_model(), valid, trainer.workers)
                report = report._replace(valid_loss=check.loss, valid_accuracy=check.accuracy)
            progress.loss, progress.correct, progress.images = 0.0, 0, 0
            timer, since = time.perf_counter(), 0
        yield result, report


def steps_per_epoch(config: TrainConfig, train: Split) -> int:
    """Whole batches in the training images."""
    return len(train.labels) // min(config.batch_size, len(train.labels))


def _batches(trainer: Trainer, train: Split, last: int) -> Iterator[tuple[numpy.ndarray, numpy.ndarray]]:
    """The batches from the trainer's step to step `last`, each prepared in a thread while the one before is used.

    A batch is a function of the step number alone, so a resumed run sees the same.
    """
    model, config = trainer.model, trainer.config
    size, epoch_steps = min(config.batch_size, len(train.labels)), steps_per_epoch(config, train)

    @functools.lru_cache(maxsize=1)
    def order(epoch: int) -> numpy.ndarray:
        return generator(config.seed, SHUFFLE, epoch).permutation(len(train.labels))

    def batch(step: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        epoch, position = divmod(step, epoch_steps)
        rows = order(epoch)[position * size : (position + 1) * size]
        pixels = train.images[rows]
        if config.augment:
            pixels = random_affine(pixels, generator(config.seed, AUGMENTATION, step), config.augment)
        return normalise(pixels, model.config, model.dtype), train.labels[rows]

    first = trainer.state.step
    with ThreadPoolExecutor(1, "minivit-batches") as worker:
        ahead = worker.submit(batch, first) if first < last else None
        for step in range(first, last):
            assert ahead is not None
            ready, ahead = ahead, worker.submit(batch, step + 1) if step + 1 < last else None
            yield ready.result()
