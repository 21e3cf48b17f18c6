"""A kink is named as one, at any size; one that is only near does no harm."""

import numpy as np
import pytest

from minivit.gradcheck import check_pair

from .layers import relu_backward, relu_forward

SIZES = [1000, 20_000, 200_000]
NO_GRADIENT = "there is no gradient here: the slopes left and right of x[{}] = {} differ at every step size"


def pool_forward(x):
    """The maxima of 2x2 windows, here a row each."""
    windows = x.reshape(-1, 4)
    return windows.max(1), (windows, windows.argmax(1))


def pool_backward(dy, cache):
    windows, chosen = cache
    dx = np.zeros_like(windows)
    dx[np.arange(len(dx)), chosen] = dy
    return dx.ravel()


def draw(n, seed=0):
    return np.random.default_rng([n, seed]).standard_normal(n)


def problem(report):
    (row,) = report.failed
    return row.problem


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("forward, backward", [(relu_forward, relu_backward), (pool_forward, pool_backward)])
def test_kinks_that_are_only_near_do_no_harm(forward, backward, n):
    for seed in range(5):
        check_pair(forward, backward, {"x": draw(n, seed)}, seed=seed).raise_if_failed()


@pytest.mark.parametrize("n", SIZES)
def test_one_entry_at_the_kink_of_relu(n):
    x = draw(n)
    x[7] = 0
    assert problem(check_pair(relu_forward, relu_backward, {"x": x})).startswith(NO_GRADIENT.format(7, 0))


@pytest.mark.parametrize("method", ["differences", "complex"])
@pytest.mark.parametrize("n", SIZES)
def test_one_tie_of_a_maximum(n, method):
    x = draw(n)
    x[4] = x[5] = 9
    text = problem(check_pair(pool_forward, pool_backward, {"x": x}, method=method))
    assert text.startswith((NO_GRADIENT.format(4, 9), NO_GRADIENT.format(5, 9)))


@pytest.mark.parametrize("n", SIZES)
def test_many_ties_behind_a_relu(n):
    x = np.maximum(draw(n) - 1, 0)
    assert "there is no gradient here: " in problem(check_pair(pool_forward, pool_backward, {"x": x}))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("method", ["differences", "complex", "dense"])
def test_a_tie_is_seen_by_every_method_and_seed(method, seed):
    x = np.array([[1.0, 1.0, 0.0], [2.0, 0.0, 1.0]])

    def backward(dy, x):
        return dy[:, None] * (np.arange(3) == x.argmax(-1)[:, None])

    text = problem(check_pair(lambda x: (x.max(-1), x), backward, {"x": x}, method=method, seed=seed))
    assert text.startswith((NO_GRADIENT.format("0, 0", 1), NO_GRADIENT.format("0, 1", 1)))


@pytest.mark.parametrize("seed", range(6))
def test_a_kink_is_red_by_the_complex_step_for_every_seed(seed):
    report = check_pair(relu_forward, relu_backward, {"x": np.array([0.0, 1, -1])}, method="complex", seed=seed)
    assert problem(report).startswith(NO_GRADIENT.format(0, 0))


@pytest.mark.parametrize("n", SIZES)
def test_a_wrong_entry_among_near_kinks_is_not_taken_for_one(n):
    x = draw(n)
    wrong = int(np.flatnonzero(x > 0.5)[9])

    def backward(dy, x):
        dx = dy * (x > 0)
        dx[wrong] *= -1
        return dx

    assert f"worst entry x[{wrong}]: " in problem(check_pair(relu_forward, backward, {"x": x}))
