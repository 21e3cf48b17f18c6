"""The rules that one run of a pair must keep, and the ones that only minivit's own operations must."""

import numpy as np
import pytest

from minivit.gradcheck import check_pair

from .foreign_pairs import W, X, popping_backward, stack_forward


class Stepping:
    """Takes a step inside backward, on the very array that it was given."""

    def forward(self, x, w):
        self.x, self.w = x, w
        return x @ w, None

    def backward(self, dy, _):
        dx, dw = dy @ self.w.T, self.x.T @ dy
        self.w -= 0.1 * dw
        return dx, dw


class Adding:
    """Adds up the gradient of its own weights, call after call."""

    def __init__(self):
        self.dw = np.zeros_like(W)

    def forward(self, x, w):
        return x @ w, (x, w)

    def backward(self, dy, cache):
        x, w = cache
        self.dw += x.T @ dy
        return dy @ w.T, self.dw


def test_forward_and_backward_run_in_turn_and_twice():
    calls = []

    def forward(x):
        calls.append("f")
        return x * x, x

    def backward(dy, x):
        calls.append("b")
        return 2 * dy * x

    assert check_pair(forward, backward, {"x": X}).passed
    assert "".join(calls).startswith("fbfbf") and calls.count("b") == 2


def test_a_cache_is_used_once():
    assert check_pair(stack_forward, popping_backward, {"x": X}).passed


def test_with_reuse_a_cache_must_outlive_its_backward():
    report = check_pair(stack_forward, popping_backward, {"x": X}, reuse=True)
    (row,) = report.failed
    assert row.tensor == "cache"
    assert row.problem.startswith("a second backward on it raised IndexError: pop from empty list (foreign_pairs.py:")
    assert row.problem.endswith("in popping_backward): it writes to cache[0]")
    assert report.rows[-1].tensor == "x" and report.rows[-1].passed  # the numbers are told all the same


def test_with_reuse_a_cache_must_not_be_written_to():
    def forward(x):
        return x * x, {"x": x, "count": np.zeros(1)}

    def backward(dy, cache):
        cache["count"] += 1
        return 2 * dy * cache["x"]

    assert check_pair(forward, backward, {"x": X}).passed
    (row,) = check_pair(forward, backward, {"x": X}, reuse=True).failed
    assert (row.tensor, row.problem) == ("cache", "a cache must outlive its backward: it writes to cache['count']")


def test_a_step_inside_backward_is_no_mistake_but_told():
    layer = Stepping()
    report = check_pair(layer.forward, layer.backward, {"x": X, "w": W})
    assert report.passed and report.notes == ("backward writes to w",)
    rows = check_pair(layer.forward, layer.backward, {"x": X, "w": W}, reuse=True).failed
    assert [(row.tensor, row.problem) for row in rows if row.tensor == "w"] == [("w", "backward wrote to its input")]


def test_gradients_that_add_up_are_named_as_such():
    layer = Adding()
    (row,) = check_pair(layer.forward, layer.backward, {"x": X, "w": W}).failed
    assert (
        row.tensor == "w" and row.problem == "backward adds to the gradient of the call before: it must start from zero"
    )


def test_a_step_that_the_next_forward_sees_is_named():
    w = W.copy()

    def backward(dy, x):
        w[...] -= 0.1 * x.T @ dy
        return dy @ w.T

    (row,) = check_pair(lambda x: (x @ w, x), backward, {"x": X}).failed
    assert row.tensor == "y" and row.problem.startswith("not deterministic: forward gave two results")
    assert "check_layer copies an object for every forward" in row.problem


def test_an_output_of_another_shape_at_the_second_call_is_named():
    shapes = iter([5, 4])
    (row,) = check_pair(lambda x: (x[: next(shapes)], None), lambda dy, _: X, {"x": X}).failed
    assert row.tensor == "y" and "for the same inputs, (5, 4) and (4, 4)" in row.problem


def test_numbers_are_told_although_a_rule_was_broken():
    def forward(x):
        x *= 2
        return x, None

    report = check_pair(forward, lambda dy, _: -2 * dy, {"x": X})
    assert [row.problem for row in report.failed] == ["forward wrote to its input"]
    report = check_pair(forward, lambda dy, _: 2 * dy, {"x": X})
    assert [row.passed for row in report.rows] == [False, True] and report.rows[1].relative_error < 1e-12


@pytest.mark.parametrize("reuse", [False, True])
def test_dy_is_not_to_be_written_to(reuse):
    def backward(dy, _):
        dy *= 2
        return dy

    rows = check_pair(lambda x: (2 * x, None), backward, {"x": X}, reuse=reuse).failed
    assert [(row.tensor, row.problem) for row in rows] == [("dy", "backward wrote to dy, the gradient it was given")]
