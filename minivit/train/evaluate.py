"""Evaluation: accuracy, loss, and which classes are taken for which."""

from typing import NamedTuple

import numpy as np

from ..backend import Array, to_host
from ..data import Split, random_affine
from ..preprocess.arrays import normalise
from ..ops.loss import cross_entropy_forward
from ..ops.softmax import softmax_forward
from ..parallel import Workers, predict_logits
from ..rng import VIEWS, generator
from ..vit import ViT

VIEW_STRENGTH = 0.8  # of the random moves; chosen on validation images
AT_ONCE = 1000  # images that are moved together


class Evaluation(NamedTuple):
    loss: float  # mean cross-entropy, without smoothing
    correct: int
    total: int
    confusion: np.ndarray  # (K, K): how many images of the row's class were taken for the column's

    @property
    def accuracy(self) -> float:
        """The part of the images classified rightly, in [0, 1]."""
        return self.correct / self.total


def probabilities(model: ViT, images: np.ndarray, workers: Workers, views: int = 0) -> np.ndarray:
    """Class probabilities (n, K) of uint8 images (n, C, Sh, Sw), in float64 on the host, dropouts off: the mean of
    those of each image as it is and of `views` copies of it, each turned, scaled, slanted and shifted a little at
    random, always in the same way. A digit that is misread only as it happens to stand is read right by most copies.
    Krizhevsky, Sutskever, Hinton 2012 (NIPS 25), section 4.1, average over ten crops."""

    def of(inputs: np.ndarray) -> Array:
        logits = to_host(predict_logits(model.params, inputs, model.config, workers))
        return softmax_forward(logits.astype("float64"))[0]

    mean = of(images)
    for view in range(views):
        for part, start in enumerate(range(0, len(images), AT_ONCE)):
            rows = slice(start, start + AT_ONCE)
            moved = random_affine(images[rows], generator(0, VIEWS, view, part), VIEW_STRENGTH)
            mean[rows] += of(normalise(moved, model.config, model.dtype))
    return mean / (1 + views)


def evaluate(model: ViT, split: Split, workers: Workers, views: int = 0) -> Evaluation:
    """Classify every image of a split, uint8 (n, C, Sh, Sw) with labels (n,) in 0..K-1, by its `probabilities`."""
    K = model.config.classes
    smallest = np.finfo("float64").tiny
    scores = np.log(np.maximum(probabilities(model, split.images, workers, views), smallest))  # logits + constant
    loss, _ = cross_entropy_forward(scores, split.labels)
    pairs = split.labels * K + scores.argmax(-1)  # a number for each (true, predicted)
    confusion = np.bincount(pairs, minlength=K * K).reshape(K, K)
    return Evaluation(float(loss), int(confusion.trace()), len(split.labels), confusion)


def class_table(result: Evaluation) -> str:
    """A line for each class: images, recall (how many of them were found), precision (how many taken for it are)."""
    lines = ["class  images  recall  precision  most often taken for"]
    for k, row in enumerate(result.confusion):
        found, images, taken = row[k], row.sum(), result.confusion[:, k].sum()
        others = row.copy()
        others[k] = 0
        mistake = f"{others.argmax()} ({others.max()} times)" if others.any() else "-"
        recall = f"{100 * found / images:5.1f} %" if images else "      -"
        precision = f"{100 * found / taken:5.1f} %" if taken else "      -"
        lines.append(f"{k:>5}  {images:>6}  {recall}    {precision}  {mistake}")
    return "\n".join(lines)


def confusion_table(result: Evaluation) -> str:
    """The confusion matrix: a row for each true class, a column for each predicted one; a dot is a zero."""
    K = len(result.confusion)
    width = max(len(str(K - 1)), len(str(result.confusion.max()))) + 1
    lines = ["true \\ predicted" + "".join(f"{k:>{width}}" for k in range(K))]
    for k, row in enumerate(result.confusion):
        lines.append(f"{k:>16}" + "".join(f"{count or '.':>{width}}" for count in row))
    return "\n".join(lines)
