"""The batches of a training run: each is a function of the step number, prepared in a thread during the step before."""

import dataclasses
import math
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np

from ..backend import Array, to_device
from ..data import Split
from ..preprocess import normalise
from ..rng import SHUFFLE, generator
from .augmentation import augmented, decided
from .trainer import Trainer

# Normalised images (B, C, Sh, Sw), or embeddings (B, D), in the model's dtype, on its device or on the host, and their
# labels (B,) or, where images are mixed, (B, K), on the host.
Batch = tuple[Array, np.ndarray]
LARGEST_ON_CARD = 1 << 30  # bytes of images that live on the card with the model; of more, batches are sent


def steps_per_epoch(batch_size: int, images: int) -> int:
    """The number of whole batches in an epoch of `images` training images."""
    return images // min(batch_size, images)


class Prefetcher:
    """`batches[step]` is the batch of a step: shuffled anew in every epoch, augmented, normalised. While
    the caller uses one batch, a thread prepares the next. Images that do not fill a whole batch at the end of an epoch
    are left out of it. With a model on a GPU the images are sent there once, and the order of an epoch once; batches
    are augmented there."""

    def __init__(self, trainer: Trainer, train: Split, epochs: int) -> None:
        self.trainer, self.train = trainer, train
        self.config, _ = decided(dataclasses.replace(trainer.config, epochs=epochs), train.images)
        self.size = min(trainer.config.batch_size, len(train.labels))
        self.epoch_steps = steps_per_epoch(self.size, len(train.labels))
        self.steps = epochs * self.epoch_steps
        self.device, self.images = "cpu", train.images
        if (
            trainer.model.device == "gpu"
            and math.prod(train.images.shape) * train.images.dtype.itemsize <= LARGEST_ON_CARD
        ):
            self.device, self.images = "gpu", to_device(np.asarray(train.images), "gpu")
        nothing = np.empty(0, int)
        self._order: tuple[int, np.ndarray, Array] = -1, nothing, nothing  # an epoch and its order, here and there
        self._next: tuple[int, Future[Batch]] | None = None
        self._executor = ThreadPoolExecutor(1, "minivit-batches")

    def __enter__(self) -> "Prefetcher":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._executor.shutdown(cancel_futures=True)

    def __getitem__(self, step: int) -> Batch:
        if self._next is not None and self._next[0] == step:
            batch = self._next[1].result()
        else:
            batch = self._executor.submit(self._make, step).result()
        if step + 1 < self.steps:
            self._next = step + 1, self._executor.submit(self._make, step + 1)
        return batch

    def _make(self, step: int) -> Batch:
        """Runs in the executor's one thread only."""
        config, model = self.config, self.trainer.model
        epoch, place = divmod(step, self.epoch_steps)
        if self._order[0] != epoch:
            order = generator(config.seed, SHUFFLE, epoch).permutation(len(self.train.labels))
            self._order = epoch, order, to_device(order, self.device)
        part = slice(place * self.size, (place + 1) * self.size)
        pixels, labels = self.images[self._order[2][part]], self.train.labels[self._order[1][part]]
        if pixels.ndim == 2:
            return pixels, labels
        pixels, labels = augmented(pixels, labels, model.config.classes or 0, config, step)
        return normalise(pixels, model.config, model.dtype, in_place=True), labels
