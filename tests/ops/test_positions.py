"""The fixed patterns, entry by entry, and where the class token goes."""

import math

import numpy as np
import pytest

from minivit.ops.class_token import class_token_forward
from minivit.ops.positions import sincos1d, sincos2d


def test_sincos1d_is_the_papers_formula():
    table = sincos1d(np, 7, 6)
    for t in range(7):
        for i in range(3):
            angle = t * 10000 ** (-2 * i / 6)
            assert table[t, 2 * i] == pytest.approx(math.sin(angle), abs=1e-15)
            assert table[t, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-15)


def test_sincos1d_looks_the_same_from_every_place():
    table = sincos1d(np, 9, 8)
    products = table @ table.T
    for distance in range(9):
        np.testing.assert_allclose(np.diag(products, distance), products[0, distance], rtol=1e-12)


def test_sincos2d_tells_row_then_column():
    table = sincos2d(np, 2, 3, 8).reshape(2, 3, 8)
    for r in range(2):
        for c in range(3):
            w = [10000 ** (-4 * i / 8) for i in range(2)]
            row = [math.sin(r * v) for v in w] + [math.cos(r * v) for v in w]
            column = [math.sin(c * v) for v in w] + [math.cos(c * v) for v in w]
            np.testing.assert_allclose(table[r, c], row + column, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("D", [5, 7])
def test_an_odd_width_is_refused_in_one_dimension(D):
    with pytest.raises(ValueError, match=f"the width must be even, not {D}"):
        sincos1d(np, 4, D)


@pytest.mark.parametrize("D", [6, 5, 2])
def test_a_width_that_four_does_not_divide_is_refused_in_two_dimensions(D):
    with pytest.raises(ValueError, match=f"a width that 4 divides, not {D}"):
        sincos2d(np, 2, 2, D)


def test_the_class_token_comes_first():
    x = np.arange(12.0).reshape(2, 3, 2)
    y, _ = class_token_forward(x, np.full((1, 1, 2), -1.0))
    np.testing.assert_array_equal(y[:, 0], np.full((2, 2), -1.0))
    np.testing.assert_array_equal(y[:, 1:], x)
