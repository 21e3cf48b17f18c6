"""Reading images elsewhere than at their pixels, where they live; what lies beyond the edge repeats it."""

from collections.abc import Iterator

from ..backend import Array, array_module

VALUES_AT_ONCE = 1 << 17  # of the result, which bounds the memory for intermediate arrays


def parts_of(images: Array) -> Iterator[slice]:
    """Slices of images (n, C, Sh, Sw) that are small enough to be worked on together."""
    step = max(1, VALUES_AT_ONCE // max(1, images[:1].size))
    return (slice(start, start + step) for start in range(0, len(images), step))


def pixels_at(images: Array, row: Array, column: Array) -> Array:
    """The pixels in these rows and columns, which count from 0; beyond the edge, those of the edge.

    Shapes   images (n, C, Sh, Sw), row and column of integers, together (n, Sh, Sw)  ->  (n, C, Sh, Sw)
    row and column are broadcast: (n, Sh, 1) and (n, 1, Sw) will do.
    """
    xp = array_module(images)
    _, _, Sh, Sw = images.shape
    return images.ravel().take(_places(images, xp.clip(row, 0, Sh - 1), xp.clip(column, 0, Sw - 1)))


def bilinear(images: Array, row: Array, column: Array) -> Array:
    """The values between the pixels: of the four around each place, weighted by how near they are.

    Shapes   images (n, C, Sh, Sw), row and column of float32, together (n, Sh, Sw)  ->  (n, C, Sh, Sw), float32
    row and column are broadcast as in `pixels_at`, and likewise clipped to the image.
    """
    _, _, Sh, Sw = images.shape
    above, down = _whole_and_rest(row, Sh)
    left, across = _whole_and_rest(column, Sw)
    corner, flat = _places(images, above, left), images.ravel()

    def in_row(start: int) -> Array:
        one = flat[start:].take(corner).astype("float32")
        other = flat[start + min(1, Sw - 1) :].take(corner).astype("float32")
        return one + across * (other - one)

    upper = in_row(0)
    return upper + down * (in_row(min(1, Sh - 1) * Sw) - upper)


def _places(images: Array, row: Array, column: Array) -> Array:
    """Where the pixels in these rows and columns are in `images.ravel()`: (n, C, Sh, Sw)."""
    n, C, Sh, Sw = images.shape
    planes = array_module(images).arange(n * C).reshape(n, C, 1, 1) * (Sh * Sw)
    return planes + (row * Sw + column)[:, None]


def _whole_and_rest(place: Array, side: int) -> tuple[Array, Array]:
    """The pixel before each place along a side, never the last one, and the rest up to the place: (n, 1, ...), 0..1."""
    xp = array_module(place)
    place = xp.clip(place, 0, side - 1)
    whole = xp.clip(xp.floor(place), 0, max(0, side - 2))
    return whole.astype("int64"), (place - whole)[:, None]


def as_before(values: Array, images: Array) -> Array:
    """New values in the dtype of the images that they were made of; uint8 are rounded, and cut off at 0 and 255."""
    if images.dtype == "uint8":
        xp = array_module(values)
        values = xp.clip(xp.rint(values), 0, 255)
    return values.astype(images.dtype, copy=False)
