"""The training loop: take a batch, update the model, yield a report."""

import math
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..data import Split
from ..errors import TrainingError
from ..preprocess import check_pixels
from ..settings import check_count
from .batches import Prefetcher
from .evaluate import evaluate
from .trainer import StepResult, Trainer


class Metrics(NamedTuple):
    """One line of metrics.jsonl. Loss and accuracy are means over the training images since the line before it."""

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
class RunningSums:
    """Sums since the last report. A run is resumed from these, the step number, and the Trainer's vectors (parameters,
    AdamW's means, averaged weights)."""

    loss: Any = 0.0
    correct: Any = 0
    images: int = 0

    def add(self, result: StepResult, images: int) -> None:
        """Add the result of a step, in float64 whatever the NumPy version. Nothing here waits for a GPU."""
        self.loss = self.loss + result.loss.astype("float64") * images
        self.correct = self.correct + result.correct
        self.images += images


def fit(
    trainer: Trainer, train: Split, valid: Split | None = None, epochs: int = 1, sums: RunningSums | None = None
) -> Generator[tuple[StepResult, Metrics | None], None, None]:
    """Train until `epochs` passes over the uint8 images, or over the embeddings (n, D) of a frozen model, are done,
    starting at step `trainer.state.step`.

    Every epoch is shuffled and augmented anew. Yields (result, metrics) after every step, so the caller may save, or
    stop; metrics is None except at the end of every epoch and every config.log_every steps. valid: images evaluated at
    the end of every epoch; sums: those of an interrupted run, updated in place. Raises TrainingError if the loss is not
    finite, ConfigError for fewer than one epoch, DataError for images that are neither, or that do not fit the
    model or their labels.
    """
    check_count("epochs", epochs)
    check_pixels(train.images, trainer.model.config, train.labels)
    if valid is not None and len(valid.labels):
        check_pixels(valid.images, trainer.model.config, valid.labels)
    sums = RunningSums() if sums is None else sums
    timer, images_before = time.perf_counter(), sums.images
    with Prefetcher(trainer, train, epochs) as batches:
        for step in range(trainer.state.step, batches.steps):
            images, labels = batches[step]
            rate = trainer.learning_rate
            result = trainer.update(images, labels)
            sums.add(result, len(images))
            metrics = None
            done = step + 1
            end_of_epoch = done % batches.epoch_steps == 0
            if end_of_epoch or (trainer.config.log_every and done % trainer.config.log_every == 0):
                seconds = time.perf_counter() - timer
                metrics = Metrics(
                    step=done,
                    epoch=-(-done // batches.epoch_steps),
                    loss=float(sums.loss) / sums.images,
                    accuracy=int(sums.correct) / sums.images,
                    learning_rate=rate,
                    grad_norm=float(result.grad_norm),
                    images_per_second=(sums.images - images_before) / seconds,
                )
                if not math.isfinite(metrics.loss + metrics.grad_norm):  # a GPU's loss is read only here
                    raise TrainingError(f"the loss became {metrics.loss} by step {done}: try {trainer.config.lower}")
                if end_of_epoch and valid is not None and len(valid.labels):
                    check = evaluate(trainer.averaged_model(), valid, trainer.pool)
                    metrics = metrics._replace(valid_loss=check.loss, valid_accuracy=check.accuracy)
                sums.loss, sums.correct, sums.images = 0.0, 0, 0
                timer, images_before = time.perf_counter(), 0
            yield result, metrics
