"""What comes in from outside: arrays are checked and scaled, picture files are decoded and resized."""

from .arrays import check_batch, check_images, check_pixels, normalise, to_inputs
from .decode import NO_PILLOW, picture_size, pillow_version
from .many import ENDINGS, find_pictures, read_pictures
from .pictures import Preprocessing, ground_of, other_pillow, read_picture, resized_image

__all__ = [
    "ENDINGS",
    "NO_PILLOW",
    "Preprocessing",
    "check_batch",
    "check_images",
    "check_pixels",
    "find_pictures",
    "ground_of",
    "normalise",
    "other_pillow",
    "pillow_version",
    "picture_size",
    "read_picture",
    "read_pictures",
    "resized_image",
    "to_inputs",
]
