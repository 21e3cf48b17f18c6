"""What tells that the ink in a picture is not one digit: bounds that 17 of MNIST's 10,000 test digits break.

A model knows digits only, and gives any picture the class of one, often with a high probability.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .digit import EDGE, extent, label_strokes

WIDE = 1.7  # times as wide as tall
STRONG, SOLID = 0.5, 0.75  # so much ink on so much of the rectangle around it, unless it is as narrow as a one
NARROW = 0.4  # times as wide as tall
MOST_CROSSED = 4  # strokes along a line through it, in all but the worst tenth of the lines
TALL = 0.5  # times as tall as the largest stroke: another one of this height is no part of a digit
ACROSS = 0.9  # of a row or a column of the picture: so much is a line across it


class _Stroke(NamedTuple):
    top: int
    bottom: int
    left: int
    right: int

    def is_apart(self, other: "_Stroke") -> bool:
        beside = self.right <= other.left or other.right <= self.left
        return beside or self.bottom <= other.top or other.bottom <= self.top


def doubt(ink: npt.NDArray[np.float32]) -> str | None:
    """Why ink (h, w) in 0..1, as `find_ink` found it, is hardly one digit, in words; None where it may be one."""
    top, bottom, left, right = extent(ink)
    drawn = ink[top:bottom, left:right] > EDGE
    height, width = drawn.shape
    first, *others = _strokes(drawn)
    if any(first.is_apart(other) and other.bottom - other.top >= TALL * (first.bottom - first.top) for other in others):
        return "it holds several strokes apart from each other, like several digits"
    if width > WIDE * height:
        return "what it holds is wider than a digit"
    if np.mean(ink[top:bottom, left:right] > STRONG) > SOLID and width > NARROW * height:
        return "what it holds is a solid patch, like a sheet of paper or a shadow"
    if max(_crossed(drawn), _crossed(drawn.T)) > MOST_CROSSED:
        return "what it holds has more strokes than a digit, like a line of text or a pattern"
    if any(_lines(lying) > 1 for lying in (ink > EDGE, ink.T > EDGE)):
        return "lines run across it"
    return None


def _strokes(drawn: npt.NDArray[np.bool_]) -> list[_Stroke]:
    """The rectangles around all strokes, that of the largest first."""
    label = label_strokes(drawn)
    numbers, sizes = np.unique(label[drawn], return_counts=True)
    strokes = []
    for number in numbers[np.argsort(-sizes)]:
        rows, columns = (np.flatnonzero((label == number).any(axis)) for axis in (1, 0))
        strokes.append(_Stroke(rows[0], rows[-1] + 1, columns[0], columns[-1] + 1))
    return strokes


def _crossed(drawn: npt.NDArray[np.bool_]) -> float:
    """How many strokes a row crosses, in all but the worst tenth of the rows."""
    begins = drawn & ~np.pad(drawn, ((0, 0), (1, 0)))[:, :-1]
    return float(np.quantile(begins.sum(1), 0.9))


def _lines(drawn: npt.NDArray[np.bool_]) -> int:
    """How many lines run across a whole picture."""
    across = np.pad(drawn.mean(1) > ACROSS, 1)
    return int(np.sum(across[1:] & ~across[:-1]))
