"""The normal distribution function in every precision and form, and the facts of GELU's slope."""

import math

import numpy as np
import pytest

from minivit.ops.gelu import gelu_backward, gelu_forward
from minivit.ops.normal_cdf import normal_cdf

GRID = np.concatenate([np.linspace(-40, 40, 4001), [-1e4, -1e2, 1e2, 1e4], np.linspace(-1e-3, 1e-3, 11)])


@pytest.mark.parametrize("dtype, bound", [("float32", 1e-7), ("float64", 1e-15)])
def test_the_normal_cdf_is_maths_erf(dtype, bound):
    x = GRID.astype(dtype)
    expected = [(1 + math.erf(float(value) / math.sqrt(2))) / 2 for value in x]
    cdf = normal_cdf(x)
    assert cdf.dtype == dtype
    np.testing.assert_allclose(cdf.astype("float64"), expected, rtol=0, atol=bound)


def test_the_tanh_form_is_the_papers():
    expected = [(1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2 for x in GRID]
    np.testing.assert_allclose(normal_cdf(GRID, "tanh"), expected, rtol=1e-14, atol=1e-16)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="unknown GELU form 'relu': choose one of erf, tanh"):
        gelu_forward(np.ones(3), "relu")


@pytest.mark.parametrize("form", ["erf", "tanh"])
def test_the_slope_is_a_half_at_zero_and_its_mirror_makes_one(form):
    def slope(x):
        return gelu_backward(np.ones_like(x), gelu_forward(x, form)[1])

    assert slope(np.zeros(1)) == 0.5
    np.testing.assert_allclose(slope(GRID) + slope(-GRID), 1, rtol=1e-13)


def test_gelu_turns_where_its_docstring_says():
    x = np.array([-0.7519, -0.7517])
    slope = gelu_backward(np.ones(2), gelu_forward(x)[1])
    assert slope[0] < 0 < slope[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", ["erf", "tanh"])
def test_far_out_gelu_is_zero_or_the_line_and_nothing_overflows(form, dtype):
    """Warnings are errors here: no square, power or exponential may overflow on the way."""
    x = np.array([50.0, 100, 1e3, 1e4, 1e12 if dtype == "float32" else 1e100], dtype)
    for sign, slope in ((1, 1), (-1, 0)):
        y, cache = gelu_forward(sign * x, form)
        np.testing.assert_array_equal(y, slope * x)
        np.testing.assert_array_equal(gelu_backward(np.ones_like(x), cache), slope)
