"""The ten digits that can be chosen without drawing, and what the page knows of a model."""

from typing import Any, NamedTuple

import numpy as np

from ..data import load
from ..learn.tape import Tape
from . import describe
from .models import Shown
from .pack import pack


class Digits(NamedTuple):
    """Ten of the bundled digits, one of each class."""

    images: np.ndarray  # (10, 1, 28, 28), uint8
    numbers: list[int]  # of them in the test split


def ten_digits() -> Digits:
    """The first test digit of every class."""
    test = load("mnist5k").test
    numbers = [int(np.argmax(test.labels == k)) for k in range(10)]
    return Digits(test.images[numbers], numbers)


def described(model: Shown, tape: Tape, live: bool = False, dtype: str = "f8") -> dict[str, Any]:
    """What the page knows of a model."""
    config, graph = model.config, describe.tensors(tape)
    return {
        "key": model.key,
        "title": model.title,
        "parameters": int(model.params.flat.size),
        "dtype": dtype,
        "live": live,
        "graph": graph,
        "sources": describe.sources(graph),
        "config": {
            **{
                name: getattr(config, name)
                for name in ("classes", "class_names", "dim", "depth", "heads", "patch_size")
            },
            **{name: getattr(config, name) for name in ("pool", "channels", "prefix", "tokens", "grid")},
            "side": config.image_shape[1:],
        },
    }


def digits(found: Digits) -> list[dict[str, Any]]:
    """The ten digits for the page."""
    return [
        {"index": k, "label": k, "number": found.numbers[k], "pixels": pack(found.images[k], "u1")} for k in range(10)
    ]
