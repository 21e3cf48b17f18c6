"""Augmentation: a small random rotation, scaling, shear and translation of every image.

Geometry. A pixel sits at p = (x, y), in pixels from the centre of the image, x to the right and y down. The forward map
    p' = A p + t,   A = s R(a) K(k),   R(a) = [cos a, -sin a; sin a, cos a],   K(k) = [1, k; 0, 1]
shears (x + k y), rotates by a (clockwise, since y points down), scales by s, then translates by t. The new image is
computed with the inverse map, which gives the source of every *output* pixel, so that none is left empty:
    p = A⁻¹ (p' - t),   A⁻¹ = K(-k) R(-a) / s = 1/s · [cos a + k sin a, sin a - k cos a; -sin a, cos a].
p falls between four pixels, which are interpolated bilinearly. Outside the image everything is black.
"""

from types import ModuleType

import numpy as np
import numpy.typing as npt

from ..backend import Array, array_module

ROTATION, SCALE, SHEAR, TRANSLATION = 0.22, 0.12, 0.15, 0.14  # maxima: radians, of 1, pixels per pixel, of half a side
STRONGEST = 8  # above that the scale could reach zero
VALUES_AT_ONCE = 1 << 15  # transformed together, which bounds the memory for intermediate arrays


def random_affine(images: Array, rng: np.random.Generator, strength: float = 1.0) -> Array:
    """Apply a random affine map to every image, another one to each, the same to all its channels.

    images: (n, C, Sh, Sw), uint8 or floating point; not modified.
    rng: five draws for each image, in the order of the images.
    strength: 0 to 8, multiplies all of: rotation ±0.22 rad, scale 1 ± 0.12, shear ±0.15, and translation ±0.14 of half
    the width and half the height, each uniform in its range. 0 leaves the values unchanged.
    Returns float32, with the shape and the range of values of `images`, where they live.
    Raises ValueError for a wrong shape or strength.
    """
    if images.ndim != 4:
        raise ValueError(f"images of shape {images.shape}, expected (n, C, Sh, Sw); add the missing axes")
    if not 0 <= strength <= STRONGEST:
        raise ValueError(
            f"strength {strength}, expected 0 to {STRONGEST} (1 is usual; more could shrink an image to nothing)"
        )
    xp = array_module(images)
    n, C, Sh, Sw = images.shape
    ranges = np.array([ROTATION, SCALE, SHEAR, TRANSLATION * Sw / 2, TRANSLATION * Sh / 2]) * strength
    draws = (rng.uniform(-1, 1, (n, 5)) * ranges)[..., np.newaxis, np.newaxis]  # (n, 5, 1, 1)
    moved = xp.empty(images.shape, np.float32)
    step = max(1, VALUES_AT_ONCE // max(1, C * Sh * Sw)) if xp is np else max(1, n)
    for start in range(0, n, step):
        part = slice(start, start + step)
        _sample(images[part], *_sources(xp, draws[part], Sh, Sw), moved[part])
    return moved


def _sources(xp: ModuleType, draws: npt.NDArray, Sh: int, Sw: int) -> tuple[Array, Array]:
    """The inverse map: the column and the row that every output pixel comes from, (n, Sh, Sw), counted from 0."""
    angle, scale, shear, tx, ty = draws.swapaxes(0, 1)  # (n, 1, 1) each
    cos, sin = np.cos(angle) / (1 + scale), np.sin(angle) / (1 + scale)
    x = np.arange(Sw) - (Sw - 1) / 2 - tx  # (n, 1, Sw): the x of p' - t
    y = (np.arange(Sh) - (Sh - 1) / 2)[:, np.newaxis] - ty  # (n, Sh, 1)
    column = _sum(xp, (cos + shear * sin) * x + (Sw - 1) / 2, (sin - shear * cos) * y)
    row = _sum(xp, -sin * x + (Sh - 1) / 2, cos * y)
    return column, row


def _sum(xp: ModuleType, along: npt.NDArray, down: npt.NDArray) -> Array:
    """In float32, where the images live: (n, 1, Sw) + (n, Sh, 1) -> (n, Sh, Sw)."""
    return xp.asarray(along.astype(np.float32)) + xp.asarray(down.astype(np.float32))


def _sample(images: Array, column: Array, row: Array, moved: Array) -> None:
    """Fill moved (n, C, Sh, Sw) with the values of images at column and row, both (n, Sh, Sw) and overwritten."""
    xp = array_module(images)
    n, C, Sh, Sw = images.shape
    # A black frame, one pixel before and two after: sources farther out are clipped to it.
    framed = xp.zeros((n, C, Sh + 3, Sw + 3), np.float32)
    framed[..., 1:-2, 1:-2] = images
    left, column = _whole_and_rest(column, Sw)
    top, row = _whole_and_rest(row, Sh)
    top *= Sw + 3
    top += left
    planes = xp.arange(0, framed.size, (Sh + 3) * (Sw + 3)).reshape(n, C, 1, 1)
    corner = planes + top[:, np.newaxis]  # (n, C, Sh, Sw): where the upper left of the four pixels is in `framed`

    def mix_columns(values: Array) -> Array:
        mixed = values.take(corner)
        step = values[1:].take(corner)
        step -= mixed
        step *= column
        mixed += step
        return mixed

    upper = mix_columns(framed.ravel())
    lower = mix_columns(framed.ravel()[Sw + 3 :])
    lower -= upper
    lower *= row
    xp.add(upper, lower, out=moved)


def _whole_and_rest(place: Array, side: int) -> tuple[Array, Array]:
    """Split coordinates along a side, in place: the index of the pixel before, counted with the frame (n, Sh, Sw), and
    the fraction (n, 1, Sh, Sw)."""
    xp = array_module(place)
    place += 1
    xp.clip(place, 0, side + 1, out=place)
    whole = xp.floor(place)
    place -= whole
    return whole.astype(np.intp), place[:, np.newaxis]
