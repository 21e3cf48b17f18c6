"""A picture from a file, which the browser has decoded, made into the pixels of a model as `minivit predict` does."""

import base64
import tempfile
import warnings
from pathlib import Path

import numpy as np

from ..errors import DataError, DataWarning, MissingPackageError
from ..preprocess import Preprocessing, read_picture
from .models import Shown


def pixels_of(grey: np.ndarray, model: Shown) -> str:
    """A grey picture (h, w), uint8, as the model reads it: base64 of its pixels. Raises DataError if no digit stands
    out where the model reads digits, MissingPackageError without pillow."""
    preprocessing = model.preprocessing or Preprocessing.default(model.config)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        file = Path(folder) / "picture.pgm"
        height, width = grey.shape
        file.write_bytes(b"P5 %d %d 255\n" % (width, height) + grey.tobytes())
        try:
            pixels = read_picture(file, 1, preprocessing)
        except DataError as error:
            raise DataError(str(error).replace(str(file), "the picture")) from None
        except MissingPackageError:
            raise MissingPackageError("pictures from a file need pillow: pip install minivit[play]") from None
    return base64.b64encode(pixels.tobytes()).decode("ascii")
