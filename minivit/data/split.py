"""Splitting images into a part to learn from and a part to judge by, the same for everyone and for ever.

Which images go is decided by their own bytes: every class gives up those whose SHA-256 is smallest. That is as good as
a draw, and it depends neither on the order of the images, nor on a seed, nor on the generators of a NumPy version; two
copies of one image stay on the same side.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..counted import counted
from ..errors import DataError

LARGEST_VALIDATION = 5000  # images, unless more are asked for
VALUES_IN_A_SAMPLE = 1 << 28
VALUES_AT_ONCE = 1 << 22  # bytes of images that are read at once where all of them are looked at


class Pictures:
    """Images of a data set, chosen by their row numbers; what is asked for is copied when it is asked for, so that
    parts of a data set in a memory map take no memory. It is indexed and iterated like the array pixels[rows].

    pixels: uint8 (N, C, Sh, Sw), the whole data set, in memory or mapped from a file
    rows:    (n,) which of them, in this order; None: all
    digests: (N, 32) uint8, the SHA-256 of every image's bytes, where they are known
    names:   (N,) text, the file that every image comes from, where it comes from one of its own
    """

    def __init__(
        self,
        pixels: npt.NDArray[np.uint8],
        rows: npt.NDArray[np.integer] | None = None,
        digests: npt.NDArray[np.uint8] | None = None,
        names: npt.NDArray[np.str_] | None = None,
    ) -> None:
        self.pixels, self.digests, self.names = pixels, digests, names
        self.rows = np.arange(len(pixels)) if rows is None else rows
        self.shape, self.dtype, self.ndim = (len(self.rows), *pixels.shape[1:]), pixels.dtype, pixels.ndim

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Any) -> npt.NDArray[np.uint8]:
        first, *rest = key if isinstance(key, tuple) else (key,)
        if first is Ellipsis or first is None:
            return np.asarray(self)[key]
        rows = self.rows[first]
        return self.pixels[rows][(*(slice(None),) * np.ndim(rows), *rest)]

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        return (self.pixels[row] for row in self.rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self.pixels[self.rows].astype(dtype or self.dtype, copy=False)

    def take(self, rows: npt.NDArray[np.integer]) -> "Pictures":
        """Some of these images, by their place among them; nothing is copied."""
        return Pictures(self.pixels, self.rows[rows], self.digests, self.names)


class Split(NamedTuple):
    """Images and their labels, in the same order."""

    images: npt.NDArray[np.uint8] | Pictures  # (n, C, Sh, Sw)
    labels: npt.NDArray[np.int64]  # (n,)

    def take(self, rows: npt.NDArray[np.integer]) -> "Split":
        """Some of the images with their labels, by row numbers, in this order; no image is copied."""
        images = self.images if isinstance(self.images, Pictures) else Pictures(self.images)
        return Split(images.take(rows), self.labels[rows])


def parts(images: npt.NDArray[np.uint8] | Pictures) -> Iterator[npt.NDArray[np.uint8]]:
    """The images (n, C, Sh, Sw) in parts of a few megabytes, so that all of them can be looked at in bounded memory."""
    count = max(1, VALUES_AT_ONCE // max(1, int(np.prod(images.shape[1:]))))
    for start in range(0, len(images), count):
        yield images[start : start + count]


def sample(images: npt.NDArray[np.uint8] | Pictures, most: int = 10_000) -> npt.NDArray[np.uint8]:
    """At most so many of the images (n, C, Sh, Sw), and at most VALUES_IN_A_SAMPLE values of them, evenly spaced, to
    judge all of them by."""
    most = max(1, min(most, VALUES_IN_A_SAMPLE // max(1, int(np.prod(images.shape[1:])))))
    return images[:: max(1, -(-len(images) // most))]


def digests_of(images: npt.NDArray[np.uint8] | Pictures) -> npt.NDArray[np.uint8]:
    """The SHA-256 of the bytes of every image (n, C, Sh, Sw), as uint8 (n, 32); those that are known are not computed
    again."""
    if isinstance(images, Pictures) and images.digests is not None:
        return images.digests[images.rows]
    made = b"".join(hashlib.sha256(image.tobytes()).digest() for part in parts(images) for image in part)
    return np.frombuffer(made, np.uint8).reshape(-1, 32)


def split_validation(train: Split, count: int | None = None) -> tuple[Split, Split]:
    """Hold out `count` images of `train` for validation: (the rest, the validation split), both in the old order.

    count: None holds out a tenth of the images, at most 5,000; 0 none (the validation split is then empty).
    Stratified: every class gives its share, to the nearest image. Always the same images (see above).
    Raises DataError if nothing would be left to train on.
    """
    total = len(train.labels)
    if count is None:
        count = min(total // 10, LARGEST_VALIDATION)
    if not 0 <= count < max(total, 1):
        raise DataError(
            f"a validation split of {counted(count, 'image')} of {total}: expected 0 to {total - 1}; ask for fewer"
        )
    chosen = np.zeros(total, bool)
    order = np.argsort(fingerprints(digests_of(train.images)), kind="stable")
    for label, share in enumerate(shares(np.bincount(train.labels), count)):
        chosen[order[train.labels[order] == label][:share]] = True
    return train.take(np.flatnonzero(~chosen)), train.take(np.flatnonzero(chosen))


def fingerprints(digests: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """The first eight bytes of every SHA-256, (n, 32), as a number, (n,)."""
    return np.ascontiguousarray(digests[:, :8]).view(">u8").ravel().astype(np.uint64)


def shares(sizes: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """How many of `count` each class gives: in proportion to its size, the largest remainders rounded up."""
    shares, owed = np.divmod(sizes * count, max(sizes.sum(), 1))
    shares[np.argsort(-owed, kind="stable")[: count - shares.sum()]] += 1
    return shares
