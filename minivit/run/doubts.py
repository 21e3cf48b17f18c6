"""What makes the measurement of a model doubtful: images of another kind than its own, or those that it has learned."""

import numpy as np

from ..data import Pictures, Split, digests_of, load_parts, sample
from ..data.mnist import find_mnist
from ..errors import DataError
from ..preprocess import Preprocessing, ground_of
from .load import Run, reading_of


def other_kind(preprocessing: Preprocessing | None, images: np.ndarray | Pictures) -> list[str]:
    """A line for everything in which images of a data set (n, C, Sh, Sw) are not as a model's preprocessing makes them,
    judged by their pixels; none for pictures from files of their own, which it has made."""
    if preprocessing is None or getattr(images, "names", None) is not None:
        return []
    images = sample(images)
    lines, ground = [], ground_of(images)
    if images.shape[1] == 1 and ground not in (preprocessing.ground, None):  # photos in colour have all kinds
        lines.append(f"these images have a {ground} ground, the model's a {preprocessing.ground} one")
    elif preprocessing.rule == "digit" and Preprocessing.of_images(images).rule != "digit":
        lines.append("these images are not centred and scaled as MNIST's digits are, and the model's were")
    return lines


def overlap(run: Run, split: Split) -> int | None:
    """How many images of a split (n, C, Sh, Sw) the run was trained on, compared pixel by pixel; None if the run's
    data are not on this machine."""
    name, config = run.settings.get("data"), run.settings.get("train", {})
    if name is None:
        return None
    try:
        if name == "mnist" and find_mnist() is None:
            return None
        train = load_parts(name, "train", reading_of(run)).part("train", config.get("validation"))
    except (DataError, OSError):
        return None
    trained = {digest.tobytes() for digest in digests_of(train.images)}
    return sum(digest.tobytes() in trained for digest in digests_of(split.images))
