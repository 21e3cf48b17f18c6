"""What a model gets wrong: its most confident mistakes, with the names of the pictures, and its worst confusions."""

from typing import NamedTuple

import numpy as np

from ..data import Split
from ..train import Evaluation

MOST_MISTAKES = 24  # as many as one looks at in a picture


class Mistake(NamedTuple):
    """An image that was classified wrongly. name: its file, or its number in the data set's file; image: uint8
    (C, Sh, Sw); true, predicted: class numbers; confidence: the probability of the predicted class."""

    name: str
    image: np.ndarray
    true: int
    predicted: int
    confidence: float


class Confusion(NamedTuple):
    """How often images of one class are taken for another, and the most confident of them."""

    true: int
    predicted: int
    times: int
    images: int  # of the true class
    examples: list[Mistake]


def confident_mistakes(split: Split, result: Evaluation, most: int = MOST_MISTAKES) -> list[Mistake]:
    """The mistakes of an evaluation on this split in which the model was most confident, the worst first."""
    wrong = np.flatnonzero(result.predictions != split.labels)
    order = wrong[np.argsort(-result.confidences[wrong], kind="stable")]
    return [_mistake(split, result, int(i)) for i in order[:most]]


def worst_confusions(split: Split, result: Evaluation, most: int = 5, examples: int = 3) -> list[Confusion]:
    """The pairs of classes that are confused most often, the worst first, each with its most confident mistakes."""
    K = len(result.confusion)
    counts = result.confusion * (1 - np.eye(K, dtype=int))
    found = []
    for pair in np.argsort(-counts.ravel(), kind="stable")[:most]:
        true, predicted = divmod(int(pair), K)
        if not counts[true, predicted]:
            break
        rows = np.flatnonzero((split.labels == true) & (result.predictions == predicted))
        rows = rows[np.argsort(-result.confidences[rows], kind="stable")][:examples]
        shown = [_mistake(split, result, int(i)) for i in rows]
        found.append(Confusion(true, predicted, int(counts[true, predicted]), int(result.confusion[true].sum()), shown))
    return found


def image_name(split: Split, i: int) -> str:
    """The file that image i of a split comes from, or its number in the file of the data set."""
    images = split.images
    row = int(images.rows[i]) if hasattr(images, "rows") else i
    names = getattr(images, "names", None)
    return f"image {row}" if names is None else str(names[row])


def _mistake(split: Split, result: Evaluation, i: int) -> Mistake:
    predicted, confidence = int(result.predictions[i]), float(result.confidences[i])
    return Mistake(image_name(split, i), np.asarray(split.images[i]), int(split.labels[i]), predicted, confidence)
