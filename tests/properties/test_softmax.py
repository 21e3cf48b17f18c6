"""What holds for the softmax of any row, in either branch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivit.ops.softmax import SoftmaxCache, _with_maximum, _without_maximum, softmax_backward, softmax_forward

from .strategies import SEEDS, normal, rows


def default(x: np.ndarray) -> np.ndarray:
    """As softmax chooses."""
    return softmax_forward(x)[0]


def fast(x: np.ndarray) -> np.ndarray:
    """Without the maximum wherever that is safe."""
    y = _without_maximum(x)
    return _with_maximum(x) if y is None else y


BRANCHES = (default, _with_maximum, fast)


def precise(x: np.ndarray) -> np.ndarray:
    """The textbook formula in float64."""
    x = x.astype(np.float64)
    y = np.exp(x - x.max(-1, keepdims=True))
    return y / y.sum(-1, keepdims=True)


@given(rows(1e4), st.sampled_from(BRANCHES))
def test_rows_of_any_size_are_weights_that_sum_to_one(x, branch):
    y = branch(x)
    assert (y >= 0).all()
    np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-14)
    np.testing.assert_allclose(y, precise(x), rtol=1e-11, atol=1e-300)


@given(rows(1e4, "float32"), st.sampled_from(BRANCHES))
def test_float32_rows_of_any_size_are_as_good_as_float32_can_be(x, branch):
    y = branch(x)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, precise(x), rtol=1e-5, atol=1e-36)


@pytest.mark.parametrize("level", [-1e4, -103.5, -100.0, -88.0, 0.0, 88.0, 90.0, 1e4])
def test_rows_at_the_edge_of_float32_lose_no_digit(level):
    """exp(-103.5) is the smallest number there is, exp(-88) among the last with all digits, exp(90) overflows."""
    x = np.array([[level - 0.25, level, level + 0.25], [0.0, 0.25, 1.0]], np.float32)
    for branch in BRANCHES:
        np.testing.assert_allclose(branch(x), precise(x), rtol=3e-7)


@given(rows(100), st.floats(-1e4, 1e4), st.sampled_from(BRANCHES))
def test_a_constant_added_to_a_row_changes_nothing(x, shift, branch):
    y, shifted = branch(x), branch(x + shift)
    np.testing.assert_allclose(shifted, y, rtol=1e-10)
    dy = normal(7, *x.shape)
    dx, shifted_dx = (softmax_backward(dy, SoftmaxCache(weights)) for weights in (y, shifted))
    np.testing.assert_allclose(shifted_dx, dx, rtol=0, atol=1e-10)


@given(rows(40), SEEDS)
def test_both_branches_agree_in_value_and_gradient(x, seed):
    y, safe_y = fast(x), _with_maximum(x)
    np.testing.assert_allclose(y, safe_y, rtol=1e-13)
    dy = normal(seed, *x.shape)
    dx, safe_dx = (softmax_backward(dy, SoftmaxCache(weights)) for weights in (y, safe_y))
    np.testing.assert_allclose(dx, safe_dx, rtol=0, atol=1e-13)


@given(rows(100, width=2), SEEDS)
def test_the_gradient_of_every_row_sums_to_zero(x, seed):
    _, cache = softmax_forward(x)
    dx = softmax_backward(normal(seed, *x.shape), cache)
    np.testing.assert_allclose(dx.sum(-1), 0, atol=1e-14)


@given(rows(100), st.floats(-5, 5))
def test_a_constant_gradient_is_forgotten(x, constant):
    _, cache = softmax_forward(x)
    np.testing.assert_allclose(softmax_backward(np.full(x.shape, constant), cache), 0, atol=1e-14)


@given(rows(100))
def test_the_largest_score_gets_the_largest_weight(x):
    y, _ = softmax_forward(x)
    np.testing.assert_array_equal(np.take_along_axis(y, x.argmax(-1)[..., None], -1)[..., 0], y.max(-1))
