"""What comes in from outside: arrays are checked and scaled, picture files are decoded and resized."""

from .arrays import check_batch, check_images, check_pixels, normalise, to_inputs
from .pictures import Preprocessing, ground_of, read_picture

__all__ = [
    "Preprocessing",
    "check_batch",
    "check_images",
    "check_pixels",
    "ground_of",
    "normalise",
    "read_picture",
    "to_inputs",
]
