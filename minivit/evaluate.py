"""Evaluation: accuracy, loss, and which classes are taken for which."""

from typing import NamedTuple

import numpy

from .backend import to_host
from .data import Split
from .ops.loss import cross_entropy_forward
from .parallel import Workers, predict_logits
from .vit import ViT


class Evaluation(NamedTuple):
    loss: float  # mean cross-entropy, without smoothing
    correct: int
    total: int
    confusion: numpy.ndarray  # (K, K): how many images of the row's class were taken for the column's

    @property
    def accuracy(self) -> float:
        """The part of the images classified rightly, in [0, 1]."""
        return self.correct / self.total


def evaluate(model: ViT, split: Split, workers: Workers) -> Evaluation:
    """Classify every image of a split, uint8 (n, C, Sh, Sw) with labels (n,) in 0..K-1, dropouts off."""
    K = model.config.classes
    logits = to_host(predict_logits(model.params, split.images, model.config, workers)).astype("float64")
    loss, _ = cross_entropy_forward(logits, split.labels)
    pairs = split.labels * K + logits.argmax(-1)  # a number for each (true, predicted)
    confusion = numpy.bincount(pairs, minlength=K * K).reshape(K, K)
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
