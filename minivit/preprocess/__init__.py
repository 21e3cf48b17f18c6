"""What comes in from outside: arrays are checked and scaled, picture files are decoded and resized."""

from .arrays import check_batch, check_images, check_pixels, normalise, to_inputs
from .many import find_pictures, read_pictures
from .pictures import Preprocessing, ground_of, other_pillow, read_picture

__all__ = [
    "Preprocessing",
    "check_batch",
    "check_images",
    "check_pixels",
    "find_pictures",
    "ground_of",
    "normalise",
    "other_pillow",
    "read_picture",
    "read_pictures",
    "to_inputs",
]
