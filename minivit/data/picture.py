"""Pictures of digits, photographed or drawn, made into what a model was trained on.

MNIST's digits are white on black, scaled so that the longer side of the ink is 20 of the 28 pixels of the frame, and
placed so that their centre of mass is the centre of the frame. A photo is none of that: dark ink on paper that is
brighter on one side than on the other, somewhere in the picture, with noise. Here it is brought to the same form, step
by step; a digit that came from MNIST comes out as it was. Source of MNIST's form: "The MNIST database", LeCun, Cortes, Burges.
"""

import os
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .idx import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

DIGIT = 20 / 28  # the longer side of the ink, of the side of the frame
WORKING = 8  # larger pictures are first reduced to so many times the frame: noise and dust fade
FAINTEST = 16.0  # of 255: ink that differs less from its paper is no ink
EDGE = 0.2  # of the full blackness of the ink: what is fainter does not count for the size of the digit


def read_picture(path: str | os.PathLike[str], channels: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Read a picture file (PNG, JPEG, whatever pillow reads) for a model of images of this size.

    channels: 1 prepares the picture as a digit of MNIST: grey, light on dark, cropped to the ink, its longer side scaled
    to 20/28 of the frame, centred by mass; 3 only resizes it, in RGB. Transparent places count as white paper, or as
    black where nothing would be seen on white.
    Returns uint8 (channels, height, width).
    Raises DataError if the file cannot be read, holds no digit (one plain colour), or channels is neither 1 nor 3; and
    if pillow is missing.
    """
    if channels not in (1, 3):
        raise DataError(f"the model takes images of {channels} channels, expected 1 or 3 to be fed pictures; use IDX files")
    picture = _open(path, WORKING * max(height, width))
    if channels == 3:
        resized = _on_paper(picture, "white").resize((width, height), _BICUBIC)
        return np.moveaxis(np.asarray(resized), -1, 0).copy()  # (height, width, 3) -> (3, height, width)
    for paper in ("white", "black"):
        ink = find_ink(np.asarray(_on_paper(picture, paper).convert("L"), np.float32))
        if ink is not None:
            return place_ink(ink, height, width)[np.newaxis]
    raise DataError(f"no digit in {path}: the picture is one plain colour, expected ink that differs from its background")


def find_ink(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32] | None:
    """How much ink is in each pixel of a grey picture (h, w) in 0..255: the same shape in 0..1, or None if there is none."""
    rise = grey - _paper(grey)
    light, dark = np.maximum(rise, 0), np.maximum(-rise, 0)
    ink = light if np.square(light).sum() >= np.square(dark).sum() else dark
    noise = np.percentile(_border(np.abs(rise)), 95)
    full = np.percentile(ink[ink >= ink.max() / 2], 90)
    if full < max(FAINTEST, 2 * noise):
        return None
    return np.clip((ink - noise) / (full - noise), 0, 1)


def place_ink(ink: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.uint8]:
    """Crop ink (h, w) in 0..1 to what is drawn, scale it and centre it by mass: uint8 (height, width)."""
    from PIL import Image

    top, bottom = _extent((ink > EDGE).any(1))
    left, right = _extent((ink > EDGE).any(0))
    scale = DIGIT * min(height / (bottom - top), width / (right - left))
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    digit = np.asarray(Image.fromarray(ink[top:bottom, left:right]).resize(size, Image.Resampling.BICUBIC))
    digit = np.clip(digit / digit.max(), 0, 1)  # thin lines fade when they are made small
    frame = np.zeros((height, width), np.uint8)
    down, across = _centred(digit.sum(1), height), _centred(digit.sum(0), width)
    frame[down, across] = np.rint(255 * digit)
    return frame


def _open(path: str | os.PathLike[str], side: int) -> "Image":
    """The picture in the file, upright, as RGBA, no side longer than `side`."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise DataError('reading pictures needs pillow, which is not installed: pip install "minivit[viz]"') from None
    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file)
            if picture.mode.startswith(("I", "F")):  # 16 or 32 bits: whatever its scale is, make it 0..255
                values = np.asarray(picture, np.float64)
                values = values - values.min()
                picture = Image.fromarray((255 * values / max(values.max(), 1)).astype(np.uint8))
            picture = picture.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise DataError(f"cannot read {path}: {reason}; expected a picture, PNG or JPEG for example") from None
    picture.thumbnail((side, side), Image.Resampling.BOX)
    return picture


def _on_paper(picture: "Image", colour: str) -> "Image":
    """An RGBA picture laid on paper of a colour, as RGB."""
    from PIL import Image

    return Image.alpha_composite(Image.new("RGBA", picture.size, colour), picture).convert("RGB")


def _paper(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The brightness of the paper (h, w): a plane through the medians of the four edges, which a little ink cannot move."""
    h, w = grey.shape
    top, bottom, left, right = (np.median(edge) for edge in _edges(grey))
    down = (bottom - top) * np.linspace(-0.5, 0.5, h)[:, np.newaxis]
    across = (right - left) * np.linspace(-0.5, 0.5, w)
    return ((top + bottom + left + right) / 4 + down + across).astype(np.float32)


def _edges(values):
    """Top, bottom, left and right edge"""
    h, w = values.shape
    a, b = max(1, h // 28), max(1, w // 28)
    return values[:a], values[-a:], values[:, :b], values[:, -b:]


def _border(values):
    return np.concatenate([edge.ravel() for edge in _edges(values)])


def _extent(used) -> tuple[int, int]:
    places = np.flatnonzero(used)
    return int(places[0]), int(places[-1]) + 1


def _centred(mass, side: int) -> slice:
    centre = mass @ np.arange(len(mass)) / mass.sum()
    start = min(max(round(side / 2 - centre), 0), side - len(mass))
    return slice(start, start + len(mass))
