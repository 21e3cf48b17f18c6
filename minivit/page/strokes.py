"""From strokes to a digit as MNIST's were made, in NumPy: the same bytes on every machine.

MNIST's digits were scaled so that the longer side of the ink is 20 of 28 pixels, and placed so that their centre of
mass is the centre of the frame ("The MNIST database", Y. LeCun, C. Cortes, C. Burges). Strokes come as points, so it is
the points that are scaled, and then drawn with a pen of constant width: large and small drawings get the same strokes.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataError
from ..preprocess.digit import DIGIT

PEN = 2.4 / 28  # of the frame: the width of the pen
SOFT = 1.5 / 28  # of the frame: over which the edge of a stroke fades, half of it outside
SMALLEST = 0.05  # of the field: a smaller drawing is scaled as if it were so large, so that a dot stays a dot
MOST_POINTS = 20_000
NEAR = 0.15  # pixels: what is drawn does not change visibly if a point so near to the one before it is left out
AT_ONCE = 200_000  # distances that are computed at once


class Drawing(NamedTuple):
    """A drawing, and how it was made. Points are (x, y) in pixels, from the upper left corner of the picture."""

    scaled: tuple[np.ndarray, ...]  # the strokes, (n, 2) each, with the longer side of the ink at its size
    boxed: np.ndarray  # (side, side) uint8: these, drawn in the middle of the frame by their box
    mass: tuple[float, float]  # the centre of mass of `boxed`, (x, y)
    shift: tuple[int, int]  # by which `boxed` is moved to bring it to the centre of the frame, (x, y)
    picture: np.ndarray  # (side, side) uint8: the result


def draw(strokes: Sequence[Any], side: int = 28) -> Drawing:
    """Draw strokes into a picture.

    strokes: each a sequence of points (x, y) in units of the field's side, 0..1, x to the right and y down; points
    outside the field are moved to its edge. Without any point the picture is empty; a single point is a dot.
    Raises DataError for what are no such points, for NaN and infinity, and for more than MOST_POINTS points.
    """
    points = [_points(stroke) for stroke in strokes]
    points = [np.clip(stroke, 0, 1) for stroke in points if len(stroke)]
    if not points:
        empty = np.zeros((side, side), np.uint8)
        return Drawing((), empty, (side / 2, side / 2), (0, 0), empty)
    if (count := sum(map(len, points))) > MOST_POINTS:
        raise DataError(f"a drawing of {count} points is too long: expected at most {MOST_POINTS}")
    everything = np.concatenate(points)
    low, high = everything.min(0), everything.max(0)
    scale = (DIGIT - PEN) * side / max((high - low).max(), SMALLEST)
    scaled = tuple(_thinned((stroke - (low + high) / 2) * scale + side / 2) for stroke in points)
    boxed = _ink(scaled, side)
    mass = _centre(boxed)
    right, down = (_shift(boxed.max(axis), middle, side) for axis, middle in zip((0, 1), mass))
    picture = np.zeros_like(boxed)
    picture[_moved(down, side), _moved(right, side)] = boxed[_moved(-down, side), _moved(-right, side)]
    return Drawing(scaled, boxed, mass, (right, down), picture)


def _points(stroke: Any) -> np.ndarray:
    """A stroke as (n, 2) float64."""
    try:
        points = np.asarray(stroke, np.float64)
    except (TypeError, ValueError):
        raise DataError("a stroke must be a list of points [x, y], two numbers each") from None
    if points.size == 0:
        return np.zeros((0, 2))
    if points.ndim != 2 or points.shape[1] != 2:
        raise DataError(f"a stroke must be a list of points [x, y], not an array of shape {points.shape}")
    if not np.isfinite(points).all():
        raise DataError("a stroke holds a point that is not finite: expected numbers of 0..1")
    return points


def _thinned(points: np.ndarray) -> np.ndarray:
    """Without the points that are NEAR the last one kept, but for the very last."""
    first, *others = points.tolist()
    kept = [first]
    for x, y in others:
        if abs(x - kept[-1][0]) > NEAR or abs(y - kept[-1][1]) > NEAR:
            kept.append([x, y])
    return np.array([*kept, points[-1]])


def _ink(strokes: Sequence[np.ndarray], side: int) -> np.ndarray:
    """The strokes drawn: (side, side) uint8. A pixel's ink falls off with the distance of its centre to the pen's path:
    255 within the pen, 0 outside it, and between them over SOFT."""
    starts = np.concatenate([stroke[:-1] for stroke in strokes])  # (n, 2); a dot is a segment of length 0
    along = np.concatenate([np.diff(stroke, axis=0) for stroke in strokes])
    y, x, _ = np.mgrid[:side, :side, :1] + 0.5
    nearest = np.full((side, side), np.inf)
    step = max(1, AT_ONCE // side**2)
    for i in range(0, len(starts), step):
        (ax, ay), (bx, by) = starts[i : i + step].T, along[i : i + step].T
        dx, dy = x - ax, y - ay  # (side, side, n)
        t = np.clip((dx * bx + dy * by) / np.maximum(bx * bx + by * by, 1e-12), 0, 1)  # the nearest point's place
        dx -= t * bx
        dy -= t * by
        nearest = np.minimum(nearest, (dx * dx + dy * dy).min(-1))
    ink = 0.5 + (PEN * side / 2 - np.sqrt(nearest)) / (SOFT * side)
    return np.rint(255 * np.clip(ink, 0, 1)).astype(np.uint8)


def _centre(ink: np.ndarray) -> tuple[float, float]:
    """The centre of mass, (x, y) from the upper left corner."""
    total = float(ink.sum(dtype=np.float64))
    y, x = np.mgrid[: ink.shape[0], : ink.shape[1]] + 0.5
    return float((ink * x).sum()) / total, float((ink * y).sum()) / total


def _shift(profile: np.ndarray, middle: float, side: int) -> int:
    """By how many pixels to move what has this profile along an axis, so that its middle is that of the frame; the pen
    stays within the frame, of which only its soft edge may be lost. As in MNIST, the middle of the frame is the centre
    of pixel number side/2."""
    drawn = np.flatnonzero(profile >= 128)
    wanted = round(side / 2 + 0.5 - middle)
    return min(max(wanted, -int(drawn[0])), side - 1 - int(drawn[-1]))


def _moved(shift: int, side: int) -> slice:
    """The pixels of an axis that are reached by a shift."""
    return slice(max(shift, 0), side + min(shift, 0))
