"""Images that files hold as arrays, resized as picture files are: to the size of a model, or the one that is asked for.

Nothing is kept of the resized images: each is made when it is read, so that a data set of small images costs no more
memory, and no more room on the disk, for a model of large ones.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import MissingPackageError
from ..preprocess import Preprocessing, pillow_version, resized_image
from .reading import Reading
from .split import Pictures, Split, digests_of, sample

CHANNELS = (1, 3)  # of images that can be resized


class Resized:
    """Images (N, C, Sh, Sw) of an array, read like the array by row numbers, and resized when they are read."""

    def __init__(self, images: npt.NDArray[np.uint8], channels: int, preprocessing: Preprocessing) -> None:
        self.images, self.channels, self.preprocessing = images, channels, preprocessing
        self.shape, self.dtype, self.ndim = (len(images), channels, *preprocessing.size), images.dtype, images.ndim

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Any) -> npt.NDArray[np.uint8]:
        if np.ndim(rows) == 0:
            return resized_image(self.images[rows], self.channels, self.preprocessing)
        made = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for place, row in enumerate(rows):
            made[place] = resized_image(self.images[row], self.channels, self.preprocessing)
        return made

    def __str__(self) -> str:
        """From what, and to what, in words."""
        (_, before, *old), (_, after, *new) = self.images.shape, self.shape
        kinds = {1: "grey", 3: "colour"}
        if old == new:
            return f"the images of {old[0]} x {old[1]} are turned from {kinds[before]} to {kinds[after]}"
        channels = "" if before == after else f", and from {kinds[before]} to {kinds[after]}"
        return f"the images of {old[0]} x {old[1]} are resized to {new[0]} x {new[1]} (height x width){channels}"


def resized_splits(splits: list[Split | None], reading: Reading) -> tuple[list[Split | None], Preprocessing | None]:
    """The parts of a data set, in arrays, as `reading` says, and the preprocessing that resizes them; None where they
    have that size already, or have channels that no picture has. Their digests remain those of the arrays, so that the
    same images are held out in any size. Raises MissingPackageError without pillow."""
    some = next(split.images for split in splits if split is not None)
    made, channels = reading.preprocessing, reading.channels or some.shape[1]
    size = reading.image_size if made is None else made.size
    size = size if isinstance(size, tuple) or size is None else (size, size)
    shapes = {split.images.shape[1:] for split in splits if split is not None}
    if size is None or shapes == {(channels, *size)} or not {channels, *(C for C, *_ in shapes)} <= {*CHANNELS}:
        return splits, None
    if (pillow := pillow_version()) is None:
        raise MissingPackageError('resizing images needs pillow, which is not installed: pip install "minivit[images]"')
    if made is None:
        seen = Preprocessing.of_images(sample(some))
        made = replace(seen, size=size, rule="digit" if seen.rule == "digit" else "crop", pillow=pillow)
    return [None if split is None else _resized(split, channels, made) for split in splits], made


def resized_line(images: npt.NDArray[np.uint8] | Pictures) -> str | None:
    """A line on how images are resized when they are read; None for others."""
    pixels = getattr(images, "pixels", None)
    return str(pixels) if isinstance(pixels, Resized) else None


def _resized(split: Split, channels: int, made: Preprocessing) -> Split:
    images = np.asarray(split.images)
    pixels: Any = Resized(images, channels, made)
    return Split(Pictures(pixels, digests=digests_of(images)), split.labels)
