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
from ..settings import check, check_choice, check_count, check_types, read_settings
from .decode import open_picture, pillow_version
from .digit import extent, find_ink, like_mnist, place_ink
from .doubts import doubt

if TYPE_CHECKING:
    from PIL.Image import Image

RULES = ("digit", "squash", "crop", "border")
GROUNDS = ("dark", "light")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
SMALL = 0.25  # of the side of a picture: a smaller digit is looked at more closely
WORKING = 224  # pixels: larger pictures are first reduced to sides of at most this, which averages their noise


@dataclass(frozen=True)
class Preprocessing:
    """How the pictures of a model are made; saved in its file, and used for every picture it is shown.

    rule: "digit" finds the ink, scales it to fill 20/28 of the frame and centres it by mass, as MNIST was made. The
    others resize, and take the middle `size` of what they get: "crop" makes the picture's short edge `short_edge`
    pixels long, "squash" gives it the shape of a frame whose short edge that is, whatever its aspect ratio, and
    "border" makes it just fit into such a frame, with a border around it.
    ground: whether the model's pictures are light on a "dark" ground or dark on a "light" one; transparent pixels
    become ground. size: (Sh, Sw) in pixels. short_edge: in pixels; None: that of `size`, so that nothing more is cut
    off than the rule must. interpolation: nearest, bilinear, bicubic or lanczos. border: its colour, red, green and
    blue in 0..255; None: the ground's. pillow: the version of Pillow that made the pictures the model was trained on;
    None where none did, or nobody knows.
    Raises ConfigError, naming the field, for other values.
    """

    rule: str = "squash"
    ground: str = "light"
    size: tuple[int, int] = (28, 28)
    short_edge: int | None = None
    interpolation: str = "bicubic"
    border: tuple[int, int, int] | None = None
    pillow: str | None = None

    def __post_init__(self) -> None:
        check_types(self)
        check_choice("rule", self.rule, RULES)
        check_choice("ground", self.ground, GROUNDS)
        check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        for side in self.size:
            check_count("size", side)
        if self.short_edge is not None:
            check_count("short_edge", self.short_edge)
        for value in self.border or ():
            check(0 <= value <= 255, f"border must hold values of 0..255, not {self.border}")

    def __str__(self) -> str:
        edge = f", short edge {self.short_edge}" if self.short_edge else ""
        border = f", border {self.border}" if self.border else ""
        made = f", pictures made with Pillow {self.pillow}" if self.pillow else ""
        return f"rule {self.rule}{edge}{border}, {self.ground} ground, {self.interpolation} interpolation{made}"

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
        """The fields as plain JSON values; border and pillow only where they are set, since earlier versions have
        neither."""
        values = {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}
        return {name: v for name, v in values.items() if v is not None or name == "short_edge"}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Preprocessing":
        """The inverse of `to_dict`. Raises ConfigError, in one line, for what it does not know, or could not mean."""
        return read_settings(cls, values)


def other_pillow(preprocessing: Preprocessing | None) -> str | None:
    """A line, if the pictures that a model was trained on were made by another version of Pillow than is installed."""
    if preprocessing is None or preprocessing.pillow in (None, now := pillow_version()):
        return None
    return (
        f"the model was trained on pictures that Pillow {preprocessing.pillow} made, and Pillow {now} reads them here: "
        "pixels may differ by a few levels of 256"
    )


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
    picture = open_picture(path, stretch=preprocessing.rule == "digit")
    if preprocessing.rule == "digit":
        pixels = _digit(picture, path, height, width)
        digit = pixels if preprocessing.ground == "dark" else 255 - pixels
        return np.repeat(digit[np.newaxis], channels, axis=0)
    ground = "white" if preprocessing.ground == "light" else "black"
    return _framed(_on_ground(picture, ground), preprocessing, preprocessing.border or ground, channels)


def resized_image(image: npt.NDArray[np.uint8], channels: int, preprocessing: Preprocessing) -> npt.NDArray[np.uint8]:
    """An image of a data set, uint8 (1 or 3, height, width), as `read_picture` would read it from a file: uint8
    (channels, *preprocessing.size). The rule "digit" only resizes it, since its digit is in its place already."""
    from PIL import Image

    if preprocessing.rule == "digit":
        preprocessing = dataclasses.replace(preprocessing, rule="squash", short_edge=None)
    picture = Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(np.moveaxis(image, 0, -1)))
    ground = "white" if preprocessing.ground == "light" else "black"
    return _framed(picture.convert("RGB"), preprocessing, preprocessing.border or ground, channels)


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


def _framed(picture: "Image", preprocessing: Preprocessing, border: Any, channels: int) -> npt.NDArray[np.uint8]:
    """The middle of the resized picture, with a border around it where it is smaller than the frame, as uint8
    (channels, height, width)."""
    from PIL import Image

    height, width = preprocessing.size
    w, h = _resized(picture.width, picture.height, preprocessing)
    (left, across), (top, down) = _middle(w, width), _middle(h, height)
    # Only what is kept of the resized picture is ever made: `box` is that part of the picture.
    box = (
        *(left * picture.width / w, top * picture.height / h),
        *((left + across) * picture.width / w, (top + down) * picture.height / h),
    )
    part = picture.resize((across, down), Image.Resampling[preprocessing.interpolation.upper()], box)
    framed = part
    if part.size != (width, height):
        framed = Image.new("RGB", (width, height), border)
        framed.paste(part, ((width - across) // 2, (height - down) // 2))
    pixels = np.asarray(framed.convert("L" if channels == 1 else "RGB")).reshape(height, width, channels)
    return np.moveaxis(pixels, -1, 0).copy()  # (height, width, C) -> (C, height, width)


def _resized(width: int, height: int, preprocessing: Preprocessing) -> tuple[int, int]:
    """What a picture's width and height are resized to, rounded as torchvision, transformers and timm do it."""
    least = min(preprocessing.size)
    edge = preprocessing.short_edge or least
    if preprocessing.rule == "crop":
        size = edge * width // min(width, height), edge * height // min(width, height)
        if size[0] >= preprocessing.size[1] and size[1] >= preprocessing.size[0]:
            return size
        ratio = min(width / preprocessing.size[1], height / preprocessing.size[0])  # the frame is covered all the same
    else:
        frame_height, frame_width = (side * edge // least for side in preprocessing.size)
        if preprocessing.rule == "squash":
            return frame_width, frame_height
        ratio = max(width / frame_width, height / frame_height)
    return max(1, round(width / ratio)), max(1, round(height / ratio))


def _middle(length: int, frame: int) -> tuple[int, int]:
    """Where the middle of a length begins that is in the frame, and how long it is."""
    return round(max(0, length - frame) / 2), min(length, frame)


def _on_ground(picture: "Image", colour: str) -> "Image":
    """An RGBA picture laid on a ground of this colour, as RGB."""
    from PIL import Image

    if picture.getchannel("A").getextrema() == (255, 255):  # nothing is transparent
        return picture.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", picture.size, colour), picture).convert("RGB")
