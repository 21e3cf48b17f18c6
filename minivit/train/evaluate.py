"""Evaluation: accuracy, loss, and the confusion matrix."""

import math
from typing import NamedTuple

import numpy as np

from ..data import Pictures, Split
from ..errors import DataError
from ..ops.loss import cross_entropy_forward
from ..ops.softmax import softmax_forward
from ..parallel import WorkerPool, predict_logits
from ..preprocess import check_pixels, normalise
from ..rng import TEST_TIME, generator
from ..settings import check_count
from ..vit import ViT
from .augmentation import augmented_copy, has_copies

IMAGES_AT_ONCE = 1000  # that are augmented together, or fewer if they are large
VALUES_AT_ONCE = 1 << 22


class Evaluation(NamedTuple):
    loss: float  # mean cross-entropy, without smoothing
    correct: int
    total: int
    confusion: np.ndarray  # (K, K): the number of images of the row's class that were classified as the column's
    predictions: np.ndarray  # (n,), class numbers
    confidences: np.ndarray  # (n,), the probability of the predicted class

    @property
    def accuracy(self) -> float:
        """The fraction of the images classified correctly, in [0, 1]."""
        return self.correct / self.total


def probabilities(
    model: ViT,
    images: np.ndarray | Pictures,
    pool: WorkerPool,
    tta: int = 0,
    kind: str = "digits",
    mirror: bool = False,
    strength: float = 1.0,
) -> np.ndarray:
    """Class probabilities (n, K) of uint8 images (n, C, Sh, Sw), in float64 on the host, dropouts off: the mean over
    each image and `tta` augmented copies of it, the same in every call. kind, mirror, strength: TrainConfig's
    `augmentation`, `mirror` and `augment`, which the copies follow; where those change nothing there are none.
    A digit that is misclassified only at its exact position is classified correctly in most copies. They are as strong
    as those that the model was trained with: it knows such images, and the more they differ the more their mean gains.
    Krizhevsky, Sutskever, Hinton 2012 (NIPS 25), section 4.1, average over ten crops.
    Raises DataError, in one line, for images of another dtype or shape, and for none."""
    model.config.check_predicts()
    check_pixels(images, model.config)
    tta = check_count("tta", tta, least=0) if has_copies(kind, mirror, strength) else 0
    mean = _softmax(model, images, pool)
    count = max(1, min(IMAGES_AT_ONCE, VALUES_AT_ONCE // math.prod(images.shape[1:])))
    for copy in range(tta):
        for part, start in enumerate(range(0, len(images), count)):
            rows = slice(start, start + count)
            moved = augmented_copy(images[rows], generator(0, TEST_TIME, copy, part), kind, mirror, strength)
            mean[rows] += _softmax(model, normalise(moved, model.config, model.dtype, in_place=True), pool)
    return mean / (1 + tta)


def _softmax(model: ViT, images: np.ndarray | Pictures, pool: WorkerPool) -> np.ndarray:
    """Probabilities (n, K), float64 on the host, of uint8 images or normalised floats."""
    logits = predict_logits(model.params, images, model.config, pool)
    with np.errstate(under="ignore"):
        return softmax_forward(logits.astype("float64"))[0]


def evaluate(
    model: ViT,
    split: Split,
    pool: WorkerPool,
    tta: int = 0,
    kind: str = "digits",
    mirror: bool = False,
    strength: float = 1.0,
) -> Evaluation:
    """Classify every image of a split, uint8 (n, C, Sh, Sw) with labels (n,) in 0..K-1, by its `probabilities`.
    Raises DataError, in one line, for what does not fit."""
    model.config.check_predicts()
    check_pixels(split.images, model.config, split.labels)
    if np.ndim(split.labels) != 1:
        raise DataError("the labels to compare with are class numbers (n,), not probabilities: use labels.argmax(1)")
    return judge(probabilities(model, split.images, pool, tta, kind, mirror, strength), split.labels)


def judge(shares: np.ndarray, labels: np.ndarray) -> Evaluation:
    """Compare class probabilities (n, K) with labels (n,) in 0..K-1."""
    K = shares.shape[1]
    scores = np.log(np.maximum(shares, np.finfo(shares.dtype).tiny))  # logits + constant
    with np.errstate(under="ignore"):
        loss, _ = cross_entropy_forward(scores, labels)
    predictions = scores.argmax(-1)
    confusion = np.bincount(labels * K + predictions, minlength=K * K).reshape(K, K)  # one integer for each pair
    return Evaluation(
        float(loss),
        int(confusion.trace()),
        len(labels),
        confusion,
        predictions,
        shares[np.arange(len(labels)), predictions],
    )
