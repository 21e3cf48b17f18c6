"""Picture files, decoded safely: any file is a picture or one line of text, in bounded time and memory.

Pillow reads far more than pictures of pixels; only well-known formats are tried, none of which another program reads.
"""

import contextlib
import math
import os
import threading
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..atomic import open_regular
from ..errors import CheckpointError, DataError, MissingPackageError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM")
LARGEST_FILE = 512 << 20  # bytes
MOST_PIXELS = 128_000_000  # of a picture that is decoded whole, which takes four bytes for each
KEPT_PIXELS = 16_000_000  # larger pictures are reduced to at most this many
LARGEST_OF_16_BITS = 65535.0
NO_PILLOW = 'reading pictures needs pillow, which is not installed: pip install "minivit[images]"'
STRIP = 1 << 20  # pixels that are converted at once
ORIENTATION = 0x0112  # the EXIF tag
SIDEWAYS = (5, 6, 7, 8)  # its values for pictures that lie on their side
HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


class _Silence:
    """While at least one thread is inside, Pillow's warnings, about sizes and metadata, are not shown. Python's list of
    what to ignore belongs to the process: whoever comes first changes it, and whoever leaves last restores it."""

    def __init__(self) -> None:
        self._lock, self._inside, self._caught = threading.Lock(), 0, warnings.catch_warnings()

    def __enter__(self) -> None:
        from PIL.Image import DecompressionBombWarning

        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\b")
                warnings.simplefilter("ignore", DecompressionBombWarning)

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._caught.__exit__(None, None, None)


SILENCE = _Silence()


def pillow_version() -> str | None:
    """Pillow's version; None where it is not installed."""
    try:
        from PIL import __version__
    except ImportError:
        return None
    return str(__version__)


def open_picture(path: str | os.PathLike[str], stretch: bool = False) -> "Image":
    """The picture in a file, upright, as RGBA, of at most KEPT_PIXELS. Several threads may call it at once.

    Values of 16 bits are divided by 257 and rounded. With `stretch`, and where no 16 bits hold them, they are scaled so
    that the smallest becomes 0 and the largest 255.
    Raises DataError, in one line, for a file that cannot be read; MissingPackageError without pillow.
    """
    with _opened(path) as picture:
        return _upright(_reduced(picture, stretch), picture)


def picture_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height of the picture in a file, upright, from the beginning of the file. Raises as `open_picture`."""
    with _opened(path) as picture:
        turned = picture.format != "TIFF" and _orientation(picture) in SIDEWAYS
        return (picture.height, picture.width) if turned else (picture.width, picture.height)


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> "Iterator[ImageFile]":
    """A picture file of which only the beginning has been read; whatever goes wrong inside is a DataError."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingPackageError(NO_PILLOW) from None
    head = b""
    try:
        with SILENCE, open_regular(os.fspath(path), LARGEST_FILE) as file:
            head = file.read(12)
            file.seek(0)
            Image.init()
            with Image.open(file, formats=[name for name in FORMATS if name in Image.OPEN]) as picture:
                yield picture
    except Exception as error:  # damaged files make pillow raise nearly anything
        raise DataError(f"cannot read {path}: {_reason(error, head, path)}") from None


def _reduced(picture: "Image", stretch: bool) -> "Image":
    """The picture in RGBA, both sides divided by the smallest whole number that leaves at most KEPT_PIXELS. Only a
    strip of it at a time is held in RGBA, or in floats, at its full size."""
    from PIL import Image

    if (factor := _factor(picture)) > 1:  # JPEG can be decoded at a half, a quarter or an eighth of its size
        picture.draft(None, (max(1, picture.width // factor), max(1, picture.height // factor)))
    if picture.width * picture.height > MOST_PIXELS:
        raise DataError(_too_large(MOST_PIXELS))
    picture.load()
    factor, (width, height) = _factor(picture), picture.size
    rows = max(1, STRIP // (width * factor)) * factor
    boxes = [(0, top, width, min(top + rows, height)) for top in range(0, height, rows)]
    deep = picture.mode.startswith(("I", "F"))  # 16 or 32 bits
    low, high = _range(picture, boxes) if deep else (0.0, 255.0)
    if picture.mode.startswith("I") and not stretch and 0 <= low <= high <= LARGEST_OF_16_BITS:
        low, high = 0.0, LARGEST_OF_16_BITS
    small = Image.new("RGBA", (-(-width // factor), -(-height // factor)))
    for box in boxes:
        strip = picture.crop(box)
        if deep:
            values = np.nan_to_num(np.clip(np.asarray(strip, np.float64), low, high), nan=low)
            strip = Image.fromarray(np.rint(255 * (values - low) / (high - low or 1)).astype(np.uint8))
        small.paste(strip.convert("RGBA").reduce(factor), (0, box[1] // factor))
    return small


def _factor(picture: "Image") -> int:
    return math.ceil(math.sqrt(picture.width * picture.height / KEPT_PIXELS))


def _range(picture: "Image", boxes: list[tuple[int, int, int, int]]) -> tuple[float, float]:
    """The smallest and the largest finite value of a picture, looked for in these parts of it."""
    low, high = math.inf, -math.inf
    for box in boxes:
        values = np.asarray(picture.crop(box), np.float64)
        values = values[np.isfinite(values)]
        low, high = min(low, values.min(initial=low)), max(high, values.max(initial=high))
    return (low, high) if low <= high else (0.0, 0.0)


def _upright(small: "Image", picture: "Image") -> "Image":
    """The small picture, turned as the EXIF data of the original say, if these can be read."""
    from PIL.Image import Transpose

    if picture.format == "TIFF":  # pillow has turned it when it was loaded
        return small
    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    orientation = _orientation(picture)
    return small.transpose(turns[orientation]) if orientation in turns else small


def _orientation(picture: "Image") -> int:
    try:
        return picture.getexif().get(ORIENTATION, 1)
    except Exception:  # cameras write much into it that pillow refuses
        return 1


def _reason(error: Exception, head: bytes, path: str | os.PathLike[str]) -> str:
    """Why a file that begins with `head` cannot be read, and what to do."""
    from PIL import Image, UnidentifiedImageError

    if head[4:8] == b"ftyp" and head[8:] in HEIC_BRANDS:
        return "it is an HEIC photo, a format that is not read here; save it as JPEG or PNG"
    if isinstance(error, Image.DecompressionBombError):
        return _too_large(2 * (Image.MAX_IMAGE_PIXELS or 0))
    if isinstance(error, DataError):
        return str(error)
    reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, CheckpointError):  # no regular file, or too large
        return reason.removeprefix(f"{os.fspath(path)}: ")
    if isinstance(error, UnidentifiedImageError):
        reason = "cannot identify its format"
    return f"{reason}; expected a picture, PNG or JPEG for example"


def _too_large(pixels: int) -> str:
    return f"it has more than {pixels // 10**6} million pixels; save it smaller, or cut the digit out"
