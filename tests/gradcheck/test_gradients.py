"""Gradients in order, by name, or both: each is found, and what is missing or too much is named."""

import numpy as np
import pytest

from minivit.gradcheck import check_function, check_pair
from minivit.params import Params

from .foreign_pairs import AFFINE, affine_backward, affine_forward


def check(backward, inputs=AFFINE, **options):
    return check_pair(affine_forward, lambda dy, cache: backward(*affine_backward(dy, cache)), inputs, **options)


@pytest.mark.parametrize("method", ["differences", "complex", "dense"])
@pytest.mark.parametrize(
    "returned",
    [
        lambda dx, dw, db: {"w": dw, "b": db, "x": dx},
        lambda dx, dw, db: (dx, {"b": db, "w": dw}),
        lambda dx, dw, db: ({"w": dw}, dx, db),
        lambda dx, dw, db: [dx, {"dw": dw}, {"db": db}],
        lambda dx, dw, db: (dx.tolist(), dw.tolist(), db.tolist()),
        lambda dx, dw, db: (dx, (None, (dw, db))),
    ],
)
def test_each_gradient_is_found(returned, method):
    report = check(returned, method=method)
    assert report.passed and [row.tensor for row in report.rows] == ["x", "w", "b"] and not report.notes


def test_a_gradient_by_name_that_is_wrong_is_named():
    (row,) = check(lambda dx, dw, db: {"x": dx, "w": -dw, "b": db}).failed
    assert row.tensor == "w" and "Every entry is -1 times" in row.problem


def test_a_gradient_by_name_that_is_missing_is_named():
    (row,) = check(lambda dx, dw, db: {"x": dx, "w": dw, "bias": db}).failed
    assert (row.tensor, row.problem) == ("b", "backward returned no gradient for it, but for x, w, bias")


def test_gradients_that_nobody_asked_for_are_said():
    report = check(lambda dx, dw, db: {"x": dx, "w": dw, "b": db, "gain": db})
    assert report.passed and report.notes == ("not checked: the gradient for gain, which is no input",)


def test_gradients_for_all_inputs_or_for_those_that_are_checked():
    def forward(n, x, mask, bias):
        return n * x * mask, (n, mask)

    inputs = {"n": 3, "x": AFFINE["x"], "mask": np.ones((5, 4)), "bias": None}
    for returned in (lambda dx: dx, lambda dx: (None, dx, None, None), lambda dx: (0.0, dx, dx, None)):
        report = check_pair(forward, lambda dy, c: returned(dy * c[0] * c[1]), inputs, fixed=["mask"])  # noqa: B023
        assert report.passed, report


@pytest.mark.parametrize("count", [1, 2, 4])
def test_another_number_of_gradients_is_a_failure(count):
    (row,) = check(lambda *gradients: (*gradients, 1.0)[:count] if count < 4 else (*gradients, 1.0)).failed
    assert row.tensor == "gradients"
    assert row.problem.startswith(
        f"backward returned {count} gradient{'s' * (count > 1)} for 3 inputs (x, w, b): return one for each"
    )


@pytest.mark.parametrize("x", [np.ones(3), np.ones((2, 3)), np.ones((2, 2, 2)), np.array(1.0)])
def test_one_gradient_as_lists(x):
    x = np.asarray(x * np.pi)
    assert check_pair(lambda x: (x * x, x), lambda dy, x: (2 * dy * x).tolist(), {"x": x}).passed


def test_two_numbers_for_two_scalars():
    a, b = np.array(0.3), np.array(0.5)
    assert check_pair(lambda a, b: (a * b, (a, b)), lambda d, c: (d * c[1], d * c[0]), {"a": a, "b": b}).passed


@pytest.mark.parametrize(
    "gradient, words",
    [
        ("text", "its gradient is a str, not an array of numbers"),
        ([[1.0], [2.0, 3.0]], "its gradient is a list, not an array of numbers"),
        (np.ma.masked_array(AFFINE["x"], False), "its gradient is a masked array"),
    ],
)
def test_what_is_no_gradient_is_named(gradient, words):
    (row,) = check(lambda dx, dw, db: {"x": gradient, "w": dw, "b": db}).failed
    assert row.tensor == "x" and row.problem.startswith(words)


def test_an_array_of_integers_or_of_float32_is_no_gradient():
    for dtype in ("int64", "float32", "complex128"):
        (row,) = check(lambda dx, dw, db: (dx, dw, db.astype(dtype))).failed  # noqa: B023
        assert row.tensor == "b" and row.problem.startswith(f"its gradient is {dtype}, the tensor float64")


def test_parameters_in_one_vector_are_a_dictionary_too():
    """A gradient as minivit's own Params: a mapping that is no dict."""

    def loss(**tensors):
        grads = Params({name: x.shape for name, x in tensors.items()}, np.zeros(sum(x.size for x in tensors.values())))
        for name, x in tensors.items():
            grads[name] = 2 * x
        return sum((x * x).sum() for x in tensors.values()), grads

    assert check_function(loss, AFFINE).passed


def test_a_part_of_a_model_is_checked_with_all_its_gradients():
    def loss(w):
        return (w * w).sum(), {"w": 2 * w, "other": w}

    report = check_function(loss, {"w": AFFINE["w"]})
    assert report.passed and report.notes == ("not checked: the gradient for other, which is no input",)
