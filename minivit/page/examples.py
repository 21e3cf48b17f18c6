"""The pictures that can be chosen without drawing: ten of the bundled digits, or test images of the run's own data."""

from typing import NamedTuple

import numpy as np

from ..data import Reading, class_numbers, load, load_parts
from ..errors import MinivitError
from .models import Shown

MOST = 10


class Examples(NamedTuple):
    """Some test images, one of a class."""

    images: np.ndarray  # (n, 1, Sh, Sw), uint8
    labels: list[int]
    numbers: list[int]  # of them in the test split
    source: (
        str  # "digits": those that come with minivit; "own": of the run's data; "resized": digits, for lack of its own
    )


def ten_digits() -> Examples:
    """The first test digit of every class."""
    test = load("mnist5k").test
    numbers = [int(np.argmax(test.labels == k)) for k in range(10)]
    return Examples(test.images[numbers], list(range(10)), numbers, "digits")


def examples_of(model: Shown) -> Examples:
    """Test images of the data that a run was trained on; the ten digits, brought to the model's size, where those
    cannot be read any more, or where nobody knows them."""
    found = _own(model)
    if found is not None:
        return found
    digits = ten_digits()
    side, (height, width) = digits.images.shape[-1], model.config.image_shape[1:]
    if (height, width) == (side, side):
        return digits
    rows, columns = (np.arange(n) * side // n for n in (height, width))
    return digits._replace(images=digits.images[..., rows[:, None], columns], source="resized")


def _own(model: Shown) -> Examples | None:
    """One test image of each of the first classes; None where there are none, or they do not fit the model."""
    data, config = model.settings.get("data"), model.config
    if data in (None, "mnist5k", "mnist"):  # the ten digits are of the same kind, and nothing is fetched for a look
        return None
    reading = Reading(model.preprocessing, config.channels, config.image_shape[1:], skip_unreadable=True)
    try:
        loaded = load_parts(data, "test", reading)
        if loaded.test is None or loaded.test.images.shape[1:] != config.image_shape:
            return None
        names = [config.class_name(k) for k in range(config.classes or 0)]
        labels = class_numbers(loaded.test.labels, names, loaded.label_names)
    except (MinivitError, OSError):
        return None
    present, numbers = np.unique(labels, return_index=True)
    numbers = numbers[:MOST]
    images = np.stack([np.asarray(loaded.test.images[i]) for i in numbers.tolist()])
    return Examples(images, present[:MOST].tolist(), numbers.tolist(), "own")
