"""Splitting images into a part to learn from and a part to judge by, the same for everyone and for ever.

Which images go is decided by their own bytes: every class gives up those whose SHA-256 is smallest. That is as good as
a draw, and it depends neither on the order of the images, nor on a seed, nor on the generators of a NumPy version; two
copies of one image stay on the same side.
"""

import hashlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import DataError


class Split(NamedTuple):
    """Images and their labels, in the same order."""

    images: npt.NDArray[np.uint8]  # (n, C, Sh, Sw)
    labels: npt.NDArray[np.int64]  # (n,)


def split_validation(train: Split, count: int | None = None) -> tuple[Split, Split]:
    """Hold out `count` images of `train` for validation: (the rest, the validation split), both in the old order.

    count: None holds out a tenth of the images, at most 5,000; 0 none (the validation split is then empty).
    Stratified: every class gives its share, to the nearest image. Always the same images (see above).
    Raises DataError if nothing would be left to train on.
    """
    total = len(train.labels)
    if count is None:
        count = min(total // 10, 5000)
    if not 0 <= count < max(total, 1):
        raise DataError(f"a validation split of {count} images of {total}: expected 0 to {total - 1}; ask for fewer")
    chosen = np.zeros(total, bool)
    order = np.argsort(_fingerprints(train.images), kind="stable")
    for label, share in enumerate(_shares(np.bincount(train.labels), count)):
        chosen[order[train.labels[order] == label][:share]] = True
    images, labels = train
    return Split(images[~chosen], labels[~chosen]), Split(images[chosen], labels[chosen])


def _fingerprints(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """The first eight bytes of the SHA-256 of every image, (n,)."""
    digests = b"".join(hashlib.sha256(image.tobytes()).digest()[:8] for image in images)
    return np.frombuffer(digests, ">u8").astype(np.uint64)


def _shares(sizes: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """How many of `count` each class gives: in proportion to its size, the largest remainders rounded up."""
    shares, owed = np.divmod(sizes * count, max(sizes.sum(), 1))
    shares[np.argsort(-owed, kind="stable")[: count - shares.sum()]] += 1
    return shares
