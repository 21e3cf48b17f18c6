"""Augmentation: a small random rotation, scaling, shear and translation of every image.

Geometry. A pixel sits at p = (x, y), in pixels from the centre of the image, x to the right and y down. The forward map
    p' = A p + t,   A = s R(a) K(k),   R(a) = [cos a, -sin a; sin a, cos a],   K(k) = [1, k; 0, 1]
shears (x + k y), rotates by a (clockwise, since y points down), scales by s, then translates by t. To compute the new
image, the source of every *output* pixel is found, so that none is left empty; that is the inverse map
    p = A⁻¹ (p' - t),   A⁻¹ = K(-k) R(-a) / s = 1/s · [cos a + k sin a, sin a - k cos a; -sin a, cos a].
p falls between four pixels, which are interpolated bilinearly. Outside the image everything is black.
"""

import numpy as np
import numpy.typing as npt

ROTATION, SCALE, SHEAR, TRANSLATION = 0.22, 0.12, 0.15, 0.14  # at most: radians, of 1, pixels per pixel, of half a side
STRONGEST = 8  # beyond, the scale could reach zero
VALUES_AT_ONCE = 1 << 15  # transformed together, which bounds the memory for the arrays in between


def random_affine(images: npt.NDArray, rng: np.random.Generator, strength: float = 1.0) -> npt.NDArray[np.float32]:
    """Apply to every image an affine map of its own, the same to all its channels.

    images: (n, C, Sh, Sw), uint8 or floating point; not modified.
    rng: five draws for each image, in the order of the images.
    strength: 0 to 8, multiplies all of: rotation ±0.22 rad, scale 1 ± 0.12, shear ±0.15, and translation ±0.14 of half
    the width and half the height, each uniform in its range. 0 gives the images back as they are.
    Returns float32, the shape and the scale of values of `images`.
    Raises ValueError for another shape or strength.
    """
    if images.ndim != 4:
        raise ValueError(f"images of axes {images.shape}, expected (n, C, Sh, Sw); add the missing axes")
    if not 0 <= strength <= STRONGEST:
        raise ValueError(
            f"strength {strength}, expected 0 to {STRONGEST} (1 is usual; beyond that an image would shrink to nothing)"
        )
    n, C, Sh, Sw = images.shape
    ranges = np.array([ROTATION, SCALE, SHEAR, TRANSLATION * Sw / 2, TRANSLATION * Sh / 2]) * strength
    draws = (rng.uniform(-1, 1, (n, 5)) * ranges)[..., np.newaxis, np.newaxis]  # (n, 5, 1, 1)
    moved = np.empty(images.shape, np.float32)
    step = max(1, VALUES_AT_ONCE // max(1, C * Sh * Sw))
    for start in range(0, n, step):
        part = slice(start, start + step)
        _sample(images[part], *_sources(draws[part], Sh, Sw), moved[part])
    return moved


def _sources(draws: npt.NDArray, Sh: int, Sw: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The inverse map: the column and the row that every output pixel comes from, (n, Sh, Sw), counted from 0."""
    angle, scale, shear, tx, ty = draws.swapaxes(0, 1)  # (n, 1, 1) each
    cos, sin = np.cos(angle) / (1 + scale), np.sin(angle) / (1 + scale)
    x = np.arange(Sw) - (Sw - 1) / 2 - tx  # (n, 1, Sw): the x of p' - t
    y = (np.arange(Sh) - (Sh - 1) / 2)[:, np.newaxis] - ty  # (n, Sh, 1)
    column = _sum((cos + shear * sin) * x + (Sw - 1) / 2, (sin - shear * cos) * y)
    row = _sum(-sin * x + (Sh - 1) / 2, cos * y)
    return column, row


def _sum(along: npt.NDArray, down: npt.NDArray) -> npt.NDArray[np.float32]:
    return along.astype(np.float32) + down.astype(np.float32)  # (n, 1, Sw) + (n, Sh, 1) -> (n, Sh, Sw)


def _sample(images: npt.NDArray, column: npt.NDArray, row: npt.NDArray, moved: npt.NDArray[np.float32]) -> None:
    """Fill moved (n, C, Sh, Sw) with the values of images at column and row, (n, Sh, Sw), which are overwritten."""
    n, C, Sh, Sw = images.shape
    # A black frame, one pixel before and two after: what comes from farther out may as well come from the frame.
    framed = np.zeros((n, C, Sh + 3, Sw + 3), np.float32)
    framed[..., 1:-2, 1:-2] = images
    left, column = _whole_and_rest(column, Sw)
    top, row = _whole_and_rest(row, Sh)
    top *= Sw + 3
    top += left
    planes = np.arange(0, framed.size, (Sh + 3) * (Sw + 3)).reshape(n, C, 1, 1)
    corner = planes + top[:, np.newaxis]  # (n, C, Sh, Sw): where the upper left of the four pixels is in `framed`

    def mix_columns(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
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
    np.add(upper, lower, out=moved)


def _whole_and_rest(place: npt.NDArray[np.float32], side: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Places along a side: the pixel before, counted in the frame (n, Sh, Sw), and the rest (n, 1, Sh, Sw)."""
    place += 1
    np.clip(place, 0, side + 1, out=place)
    whole = np.floor(place)
    place -= whole
    return whole.astype(np.intp), place[:, np.newaxis]
