"""The interpolation matrices, entry by entry, against the libraries' rules written as plain loops."""

import math

import numpy as np
import pytest

from minivit.ops.resize import DIALECTS, interpolation_matrix, resize_forward

SIZES = [(1, 1), (1, 4), (4, 1), (5, 2), (2, 3), (5, 5), (6, 8), (8, 6), (7, 16), (16, 7), (14, 37)]


def cubic(x, a):
    x = abs(x)
    if x <= 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a if x < 2 else 0.0


def tap_by_tap(before, after, dialect):
    """Four taps of the cubic kernel, or two of the triangle, with their indices kept inside."""
    matrix = np.zeros((after, before))
    for i in range(after):
        place = (i + 0.5) * before / (after + 0.1 if dialect == "bicubic+0.1" else after) - 0.5
        if dialect == "corner":
            place = i * (before - 1) / (after - 1) if after > 1 else 0.0
        base = math.floor(place)
        taps = range(base - 1, base + 3) if "bicubic" in dialect else (base, base + 1)
        for j in taps:
            weight = cubic(place - j, -0.75) if "bicubic" in dialect else 1 - abs(place - j)
            matrix[i, min(max(j, 0), before - 1)] += weight
    return matrix


def antialiased(before, after):
    """A window cut at the edges, its weights divided by their sum."""
    matrix, scale = np.zeros((after, before)), before / after
    wide = max(scale, 1.0)
    for i in range(after):
        centre = scale * (i + 0.5)
        window = range(max(int(centre - 2 * wide + 0.5), 0), min(int(centre + 2 * wide + 0.5), before))
        weights = [cubic((j - centre + 0.5) / wide, -0.5) for j in window]
        matrix[i, window] = np.array(weights) / sum(weights)
    return matrix


@pytest.mark.parametrize("before, after", SIZES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_matrix_is_the_librarys_rule(dialect, before, after):
    matrix = interpolation_matrix(np, before, after, dialect)
    expected = (antialiased if dialect == "bicubic-antialias" else lambda *sizes: tap_by_tap(*sizes, dialect))(
        before, after
    )
    assert (matrix.dtype, matrix.shape) == (np.float64, (after, before))
    np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-14)


def test_no_two_dialects_are_the_same():
    for sizes in [(6, 8), (8, 6)]:
        matrices = [interpolation_matrix(np, *sizes, dialect) for dialect in DIALECTS]
        for i, one in enumerate(matrices):
            for other in matrices[:i]:
                assert abs(one - other).max() > 1e-3


def test_a_straight_line_stays_one_between_the_corners():
    np.testing.assert_allclose(interpolation_matrix(np, 4, 7, "corner") @ np.arange(4.0), np.arange(7) / 2, rtol=1e-15)


@pytest.mark.parametrize("dialect", ["", "nearest", "bicubic-offset"])
def test_another_dialect_is_refused(dialect):
    with pytest.raises(ValueError, match=f"unknown dialect '{dialect}': choose one of bicubic-antialias, bicubic, "):
        interpolation_matrix(np, 2, 3, dialect)


def test_rows_and_columns_do_not_change_places():
    """Down the grid one value of three is read, across it another of two."""
    x = np.arange(12.0).reshape(1, 6, 2)
    y, _ = resize_forward(x, np.eye(3)[[2]], np.eye(2)[[1, 0]])
    assert y.tolist() == [[[10.0, 11.0], [8.0, 9.0]]]
