"""Preprocessing: how a picture file is made into the pixels that a model reads."""

import dataclasses
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..config import ViTConfig
from ..errors import ConfigError, DataError, DataWarning
from ..settings import check_choice, check_count, check_types, read_settings
from .decode import open_picture
from .digit import extent, find_ink, like_mnist, place_ink
from .doubts import doubt

if TYPE_CHECKING:
    from PIL.Image import Image

RULES = ("digit", "squash", "crop")
GROUNDS = ("dark", "light")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
SMALL = 0.25  # of the side of a picture: a smaller digit is looked at more closely
WORKING = 224  # pixels: larger pictures are first reduced to sides of at most this, which averages their noise


@dataclass(frozen=True)
class Preprocessing:
    """How the pictures of a model are made; saved in its file, and used for every picture it is shown.

    rule: "digit" finds the ink, scales it to fill 20/28 of the frame and centres it by mass, as MNIST was made;
    "squash" resizes to `size`, whatever the aspect ratio; "crop" resizes the short edge to `short_edge` pixels (None:
    so that the frame just fits) and takes the middle.
    ground: whether the model's pictures are light on a "dark" ground or dark on a "light" one; transparent pixels
    become ground. size: (Sh, Sw) in pixels. interpolation: nearest, bilinear, bicubic or lanczos.
    Raises ConfigError, naming the field, for other values.
    """

    rule: str = "squash"
    ground: str = "light"
    size: tuple[int, int] = (28, 28)
    short_edge: int | None = None
    interpolation: str = "bicubic"

    def __post_init__(self) -> None:
        check_types(self)
        check_choice("rule", self.rule, RULES)
        check_choice("ground", self.ground, GROUNDS)
        check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        for side in self.size:
            check_count("size", side)
        if self.short_edge is not None:
            check_count("short_edge", self.short_edge)

    @classmethod
    def default(cls, config: ViTConfig) -> "Preprocessing":
        """The one of a model whose file holds none: digits for one channel, else resized on white."""
        _, height, width = config.image_shape
        if config.channels == 1:
            return cls("digit", "dark", (height, width))
        return cls("squash", "light", (height, width))

    @classmethod
    def of_images(cls, images: npt.NDArray[np.uint8]) -> "Preprocessing":
        """The one that training images (n, C, Sh, Sw) seem to be made by, judged by their pixels: grey ones that have
        MNIST's form follow the digit rule, all others are resized; the ground is what their borders are."""
        grey = images.shape[1] == 1
        ground = ground_of(images) or ("dark" if grey else "light")
        digits = grey and like_mnist(images[:, 0] if ground == "dark" else 255 - images[:, 0])
        return cls("digit" if digits else "squash", ground, images.shape[2:])

    def resized(self, size: tuple[int, int]) -> "Preprocessing":
        """The same for another size (Sh, Sw); `short_edge` grows as much as the side that grows most, so that it spans
        the new frame if it did the old one."""
        growth = max(new / old for new, old in zip(size, self.size))
        edge = None if self.short_edge is None else max(1, round(self.short_edge * growth))
        return dataclasses.replace(self, size=size, short_edge=edge)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return {**dataclasses.asdict(self), "size": list(self.size)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Preprocessing":
        """The inverse of `to_dict`. Raises ConfigError, in one line, for what it does not know, or could not mean."""
        return read_settings(cls, values)


def ground_of(images: npt.NDArray[np.uint8]) -> str | None:
    """Whether the borders of images (n, C, Sh, Sw) are "dark" or "light" in the median; None where they are neither."""
    borders = [images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]]
    median = np.median(np.concatenate([border.ravel() for border in borders]))
    return "dark" if median < 64 else "light" if median >= 192 else None


def read_picture(path: str | os.PathLike[str], channels: int, preprocessing: Preprocessing) -> npt.NDArray[np.uint8]:
    """Read a picture file (PNG, JPEG and others, see `decode.FORMATS`) as the preprocessing says.

    channels: 1 for grey or 3 for RGB.
    Returns uint8 (channels, height, width).
    Raises DataError if the file cannot be read, and if the rule is "digit" and no digit stands out; ConfigError for
    another number of channels; MissingPackageError without pillow. Warns with DataWarning if the rule is "digit" and
    what stands out is hardly one digit.
    """
    if channels not in (1, 3):
        raise ConfigError(
            f"the model takes images of {channels} channels, a picture has 1 or 3; give it a folder of IDX files"
        )
    height, width = preprocessing.size
    picture = open_picture(path)
    if preprocessing.rule == "digit":
        pixels = _digit(picture, path, height, width)
        digit = pixels if preprocessing.ground == "dark" else 255 - pixels
        return np.repeat(digit[np.newaxis], channels, axis=0)
    laid = _on_ground(picture, "white" if preprocessing.ground == "light" else "black")
    resized = (_cropped if preprocessing.rule == "crop" else _squashed)(laid, preprocessing)
    pixels = np.asarray(resized.convert("L" if channels == 1 else "RGB")).reshape(height, width, channels)
    return np.moveaxis(pixels, -1, 0).copy()  # (height, width, C) -> (C, height, width)


def _digit(picture: "Image", path: str | os.PathLike[str], height: int, width: int) -> npt.NDArray[np.uint8]:
    for paper in ("white", "black"):  # transparent pixels count as paper; black where nothing would be seen on white
        ink = _ink(_on_ground(picture, paper).convert("L"), max(WORKING, 2 * height, 2 * width))
        if ink is not None:
            if reason := doubt(ink):
                warnings.warn(f"{path} may not show one digit: {reason}", DataWarning, stacklevel=3)
            return place_ink(ink, height, width)
    raise DataError(f"no digit stands out in {path}; expected one, clearly lighter or darker than an even background")


def _ink(grey: "Image", side: int) -> npt.NDArray[np.float32] | None:
    """The ink in a picture, found in a copy of at most `side` pixels; if it is small in there, found again around its
    place in the picture itself."""
    small = grey.copy()
    _shrink(small, side)
    ink = find_ink(np.asarray(small, np.float32))
    if ink is not None and small.size != grey.size:
        top, bottom, left, right = extent(ink)
        length, scale = max(bottom - top, right - left), grey.width / small.width
        if length < SMALL * side:
            edges = max(0, left - length), max(0, top - length), right + length, bottom + length
            box = [round(scale * edge) for edge in edges]
            closer = _ink(grey.crop((box[0], box[1], min(box[2], grey.width), min(box[3], grey.height))), side)
            ink = ink if closer is None else closer
    return ink


def _shrink(picture: "Image", side: int) -> None:
    """Reduce a picture, in place, to sides of at most this many pixels."""
    from PIL.Image import Resampling

    picture.thumbnail((side, side), Resampling.BOX)


def _squashed(picture: "Image", preprocessing: Preprocessing) -> "Image":
    height, width = preprocessing.size
    return picture.resize((width, height), _resampling(preprocessing))


def _cropped(picture: "Image", preprocessing: Preprocessing) -> "Image":
    height, width = preprocessing.size
    if preprocessing.short_edge is None:
        scale = max(width / picture.width, height / picture.height)
        w, h = (round(side * scale) for side in picture.size)
    else:  # the long edge is cut down to whole pixels, as torchvision and transformers do
        w, h = (preprocessing.short_edge * side // min(picture.size) for side in picture.size)
    w, h = max(width, w), max(height, h)
    left, top = round((w - width) / 2), round((h - height) / 2)
    across, down = picture.width / w, picture.height / h  # only what is kept of the scaled picture is ever made
    box = left * across, top * down, (left + width) * across, (top + height) * down
    return picture.resize((width, height), _resampling(preprocessing), box)


def _resampling(preprocessing: Preprocessing) -> Any:
    from PIL.Image import Resampling

    return Resampling[preprocessing.interpolation.upper()]


def _on_ground(picture: "Image", colour: str) -> "Image":
    """An RGBA picture laid on a ground of this colour, as RGB."""
    from PIL import Image

    if picture.getchannel("A").getextrema() == (255, 255):  # nothing is transparent
        return picture.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", picture.size, colour), picture).convert("RGB")
