"""Random erasing, mixup and CutMix: what hides a part of an image, or mixes two and their labels.

As in photos.py, a batch (n, C, Sh, Sw) gives a new one of the same shape and dtype, where it lives; the draws are the
host's. The other image is that at the same place of the reversed batch, which is in random order as it is.
"""

from types import ModuleType
from typing import Any

import numpy as np

from ..backend import Array, array_module
from .sampling import as_before, parts_of

ERASED = 0.02, 1 / 3  # of the area, smallest and largest
RATIO = 10 / 3  # largest ratio of the erased rectangle's sides


def random_erasing(images: Array, rng: np.random.Generator, share: float = 0.25) -> Array:
    """In a `share` of the images, a rectangle of about 2 to 33 % of the area, with sides of a ratio of 0.3 to 3.3,
    becomes the mean colour of the image. Zhong et al. 2017 (arXiv:1708.04896)."""
    n, C, Sh, Sw = images.shape
    draws = rng.random((n, 5))
    area = np.where(draws[:, 0] < share, ERASED[0] + (ERASED[1] - ERASED[0]) * draws[:, 1], 0)
    ratio = RATIO ** (2 * draws[:, 2] - 1)
    height, width = _whole(np.sqrt(area * ratio), Sh), _whole(np.sqrt(area / ratio), Sw)
    top, left = np.floor(draws[:, 3] * (Sh - height + 1)), np.floor(draws[:, 4] * (Sw - width + 1))
    xp = array_module(images)
    inside = _rectangles(xp, (top, top + height), (left, left + width), Sh, Sw)
    erased = xp.empty_like(images)
    for part in parts_of(images):
        colour = images[part].astype("float32").reshape(-1, C, Sh * Sw).mean(-1)  # (n, C)
        erased[part] = xp.where(inside[part], as_before(colour, images)[:, :, None, None], images[part])
    return erased


def mixed(
    images: Array,
    labels: np.ndarray,
    classes: int,
    rng: np.random.Generator,
    mixup: float | None = None,
    cutmix: float | None = None,
) -> tuple[Array, np.ndarray]:
    """Every image mixed with another, and their labels, (n,) class numbers, in the same shares.

    mixup: the image is λ x + (1 - λ) x', λ of Beta(mixup, mixup). Zhang et al. 2017 (arXiv:1710.09412).
    cutmix: a rectangle of x' covers x, and λ is the share of x that is left to see. Its sides are √(1 - λ') of the
    image's, λ' of Beta(cutmix, cutmix); its middle is anywhere in the image, and what is outside is cut off.
    Yun et al. 2019 (arXiv:1905.04899).
    With both, each image has one or the other with a probability of a half.
    Returns the images, and probabilities (n, K) on the host, float32, that sum to 1.
    """
    xp = array_module(images)
    n, _, Sh, Sw = images.shape
    draws = rng.random((n, 3))
    cut = np.full(n, cutmix is not None) & ((draws[:, 0] < 0.5) | (mixup is None))
    kept = np.where(cut, rng.beta(cutmix or 1, cutmix or 1, n), rng.beta(mixup or 1, mixup or 1, n))
    size = np.where(cut, np.sqrt(1 - kept), 0)
    rows, columns = _around(draws[:, 1], size, Sh), _around(draws[:, 2], size, Sw)
    covered = (rows[1] - rows[0]) * (columns[1] - columns[0]) / (Sh * Sw)
    kept = np.where(cut, 1 - covered, kept).astype("float32")  # (n,)

    inside = _rectangles(xp, rows, columns, Sh, Sw)  # (n, 1, Sh, Sw), empty without cutmix
    share = xp.asarray(np.where(cut, np.float32(1), kept))[:, None, None, None]
    new = xp.empty_like(images)
    for part in parts_of(images):
        mine, other = images[part], images[::-1][part]
        blend = share[part] * mine.astype("float32") + (1 - share[part]) * other.astype("float32")
        new[part] = xp.where(inside[part], other, as_before(blend, images))
    onehot = (labels[:, None] == np.arange(classes)).astype("float32")  # (n, K)
    return new, kept[:, None] * onehot + (1 - kept)[:, None] * onehot[::-1]


def _whole(size: np.ndarray, side: int) -> np.ndarray:
    """Fractions of a side, as whole pixels of at most the side."""
    return np.minimum(np.rint(size * side), side)


def _around(middle: np.ndarray, size: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last + 1 pixel of what is `size` of a side long, around a pixel drawn by `middle`, inside the image."""
    length = _whole(size, side)
    first = np.floor(middle * side) - np.floor(length / 2)
    return np.maximum(first, 0), np.minimum(first + length, side)


def _rectangles(xp: ModuleType, rows: Any, columns: Any, Sh: int, Sw: int) -> Array:
    """Which pixels are in the rectangle between these rows and columns, first and last + 1: (n, 1, Sh, Sw)."""

    def between(edges: tuple[np.ndarray, np.ndarray], side: int) -> Array:
        first, end = edges
        return xp.asarray((np.arange(side) >= first[:, None]) & (np.arange(side) < end[:, None]))  # (n, side)

    return xp.logical_and(between(rows, Sh)[:, None, :, None], between(columns, Sw)[:, None, None])
