"""What is not checked is said, and so are values that hide mistakes."""

import numpy as np
import pytest

from minivit.gradcheck import check_pair

from .foreign_objects import WithAttributes
from .foreign_pairs import LABELS, X, layernorm_backward, layernorm_forward


def notes(**others):
    report = check_pair(lambda x, **_: (2 * x, None), lambda dy, _: 2 * dy, {"x": X, **others})
    assert report.passed
    assert [line for line in str(report).splitlines() if line.startswith("note: ")] == [
        f"note: {n}" for n in report.notes
    ]
    return report.notes


@pytest.mark.parametrize(
    "value, words",
    [
        (0.3, "p is a float (np.array(0.3) is checked)"),
        (np.float64(0.3), "p is a float64 (np.array(0.3) is checked)"),
        (LABELS, "p is int64 (float64 is checked)"),
        ([1.0, 2.0], "p is a list (np.array(p) is checked)"),
        ({"w": X}, "p is a dict (its arrays are checked as inputs of their own)"),
        ([X, {"b": (X,)}], "p is a list (its arrays are checked as inputs of their own)"),
        (WithAttributes(), "p is a tests.WithAttributes (check_layer checks its arrays)"),
    ],
)
def test_what_might_have_a_gradient_is_named(value, words):
    assert notes(p=value) == (f"not checked: {words}",)


@pytest.mark.parametrize("value", [None, 3, True, "erf", np.int64(3), X > 0, {"mode": "train", "p": 0.5}, len, [], {}])
def test_settings_are_not(value):
    assert notes(p=value) == ()


def test_what_is_named_in_fixed_is_not():
    report = check_pair(
        lambda x, p, mask: (x * mask, mask), lambda dy, mask: dy * mask, {"x": X, "p": {"w": X}, "mask": X},
        fixed=["p", "mask"],
    )  # fmt: skip
    assert report.passed and report.notes == ()


def test_several_are_one_note():
    (note,) = notes(a=0.5, p={"w": X})
    assert note.startswith("not checked: a is a float (np.array(0.5) is checked); p is a dict (its arrays are checked")


@pytest.mark.parametrize(
    "gamma, words",
    [(np.ones(4), "all ones"), (np.zeros(4), "all zeros"), (np.full(4, 0.5), "0.5 everywhere"), (np.ones(1), "one")],
)
def test_values_that_hide_mistakes_are_named(gamma, words):
    report = check_pair(layernorm_forward, layernorm_backward, {"x": X, "gamma": gamma})
    said = f"gamma is {words}, which hides missing terms and factors: give it random values"
    assert report.notes == (said,)


def test_they_do_hide_mistakes():
    def wrong(dy, cache):
        return layernorm_backward(dy, cache, wrong=True)

    report = check_pair(layernorm_forward, wrong, {"x": X, "gamma": np.ones(4)})
    assert report.passed and report.notes  # gamma outside the means is right where gamma is 1
    report = check_pair(layernorm_forward, wrong, {"x": X, "gamma": np.array([0.5, 1, 2, 1])})
    assert [row.tensor for row in report.failed] == ["x"] and not report.notes


def test_a_failure_carries_the_notes():
    report = check_pair(lambda x, a: (a * x, a), lambda dy, a: dy, {"x": X, "a": 0.3})
    with pytest.raises(AssertionError, match=r"\nnote: not checked: a is a float"):
        report.raise_if_failed()


@pytest.mark.parametrize(
    "inputs, kind, words",
    [
        ([X], TypeError, "inputs is a list: give a dictionary of what forward takes, by name"),
        ({"n": 3, "x": [1.0]}, ValueError, r"among the inputs n, x \(x is a list \(np.array\(x\) is checked\)\)"),
        ({"x": np.ma.masked_array(X, X > 0)}, TypeError, "x is a MaskedArray: give a plain array"),
        ({"x": X.astype("float16")}, TypeError, "x is float16: rounding leaves differences in float16"),
    ],
)
def test_what_cannot_be_asked(inputs, kind, words):
    with pytest.raises(kind, match=words):
        check_pair(lambda x: (x, None), lambda dy, _: dy, inputs)


def test_impossible_options():
    with pytest.raises(ValueError, match="unknown dtype 'float16': choose float64 or float32"):
        check_pair(len, len, {"x": X}, dtype="float16")
    with pytest.raises(ValueError, match="the complex step does not help where everything is rounded to float32"):
        check_pair(len, len, {"x": X}, dtype="float32", method="complex")
