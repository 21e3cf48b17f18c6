"""A picture from a file, which the browser has decoded: the digit in it, as MNIST's digits were made."""

import base64

import numpy as np

from ..errors import DataError, MissingPackageError
from ..preprocess.digit import find_ink, place_ink

SIDE = 28


def digit_of(grey: np.ndarray) -> str:
    """The digit in a grey picture (h, w), uint8, as base64 of 28 x 28 bytes. Raises DataError if none stands out,
    MissingPackageError without pillow."""
    ink = find_ink(grey.astype(np.float32))
    if ink is None:
        raise DataError("no digit stands out in the picture; expected one on an even, lighter or darker background")
    try:
        return base64.b64encode(place_ink(ink, SIDE, SIDE).tobytes()).decode("ascii")
    except ModuleNotFoundError:
        raise MissingPackageError("pictures from a file need pillow: pip install minivit[play]") from None
