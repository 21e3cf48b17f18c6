"""How passes are called: several outputs, dy of a scalar as a number, and what is no array of NumPy's."""

import functools

import numpy as np
import pytest

from minivit.gradcheck import check_function, check_layer, check_pair

from .foreign_pairs import W, X, gate_backward, gate_forward, sums_backward, sums_forward


@pytest.mark.parametrize("method", ["differences", "complex", "dense"])
def test_two_outputs_of_different_shapes(method):
    assert check_pair(gate_forward, gate_backward, {"x": X, "w": W}, outputs=2, method=method).passed


@pytest.mark.parametrize("kind", [tuple, list, lambda y: dict(zip("ab", y))], ids=["tuple", "list", "dict"])
@pytest.mark.parametrize("square", [False, True])
def test_several_outputs_in_one_value(kind, square):
    """dy has the form of y, whatever the shapes are."""
    x = X[:4] if square else X

    def backward(dy, shape):
        assert len(dy) == 2 and isinstance(dy, dict) == isinstance(kind([1, 2]), dict)
        return sums_backward(list(dy.values()) if isinstance(dy, dict) else dy, shape)

    report = check_pair(lambda x: (kind(sums_forward(x)[0]), x.shape), backward, {"x": x})
    assert report.passed, report


def test_outputs_and_a_cache_may_be_nested_too():
    def forward(x, w):
        h, n, cache = gate_forward(x, w)
        return (h, n), cache

    assert check_pair(forward, gate_backward, {"x": X, "w": W}, outputs=2).passed


def test_a_wrong_output_dtype_is_named():
    (row,) = check_pair(lambda x: ((x, x.astype("f")), None), lambda dy, _: dy[0], {"x": X}).failed
    assert row.tensor == "y[1]" and row.problem.startswith("forward returned float32 for float64 inputs")


def test_dy_of_a_scalar_is_a_number():
    def backward(dy, x):
        assert isinstance(dy, float)
        dy *= 2  # its own
        return dy * x

    assert check_pair(lambda x: ((x * x).sum(), x), backward, {"x": X}).passed


@pytest.mark.parametrize(
    "returned, words",
    [
        (X, r"forward must return a pair \(y, cache\), not ndarray"),
        (
            (X, X, None),
            r"forward must return a pair \(y, cache\), not 3 values: for 2 outputs and a cache, say outputs=2",
        ),
        (None, r"forward must return a pair \(y, cache\), not NoneType"),
    ],
)
def test_a_forward_that_returns_no_pair_is_refused(returned, words):
    with pytest.raises(TypeError, match=words):
        check_pair(lambda x: returned, lambda dy, _: dy, {"x": X})


def test_fewer_outputs_than_announced_are_refused():
    with pytest.raises(TypeError, match="forward must return 2 outputs and a cache, not 2 values"):
        check_pair(lambda x: (x, None), lambda dy, dz, _: dy, {"x": X}, outputs=2)


@pytest.mark.parametrize(
    "returned, words",
    [
        (X, r"the function must return a pair \(value, gradients\), not ndarray"),
        ((1.0, X, X), r"the function must return a pair \(value, gradients\), not 3 values"),
        ((X, X), r"the function's value has shape \(5, 4\): return one number and its gradients"),
        ((None, X), "the function's value is a NoneType, not an array of numbers: return one number and its gradients"),
    ],
)
def test_a_function_that_returns_no_value_and_gradients_is_refused(returned, words):
    with pytest.raises(TypeError, match=words):
        check_function(lambda x: returned, {"x": X})


def test_a_function_whose_value_has_one_entry():
    assert check_function(lambda x: ((x * x).sum(keepdims=True).ravel(), 2 * x), {"x": X}).passed


class Foreign:
    """An array of another library: it has a dtype and a shape, and NumPy cannot read it."""

    dtype, shape = "float32", (5, 4)

    def __array__(self, *arguments, **options):
        raise TypeError("implicit conversion is not allowed")


class Tensor(Foreign):
    numpy = detach = None


class DeviceArray(Foreign):
    get = None


KINDS = [
    (Foreign, "give numpy.asarray() of it"),
    (Tensor, "give .detach().cpu().numpy()"),
    (DeviceArray, "give .get()"),
]


@pytest.mark.parametrize("kind, advice", KINDS)
def test_arrays_of_other_libraries_are_named(kind, advice):
    foreign, name = kind(), f"tests.{kind.__name__}"
    with pytest.raises(ValueError) as error:
        check_pair(lambda x: (x, None), lambda dy, _: dy, {"x": foreign})
    assert f"x is a {name}: {advice}" in str(error.value)
    report = check_pair(lambda x, w: (x, None), lambda dy, _: dy, {"x": X, "w": foreign})
    assert report.passed and report.notes == (f"not checked: w is a {name}: {advice}",)
    (row,) = check_pair(lambda x: (foreign, None), lambda dy, _: dy, {"x": X}).failed
    assert (row.tensor, row.problem) == ("y", f"y is a {name}, not an array of numbers: {advice}")
    (row,) = check_pair(lambda x: (x, None), lambda dy, _: foreign, {"x": X}).failed
    assert (row.tensor, row.problem) == ("x", f"its gradient is a {name}, not an array of numbers: {advice}")


class Readable(Foreign):
    def __init__(self, data):
        self.data = data

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.data, dtype)


def test_arrays_of_other_libraries_are_read_where_they_can_be():
    assert check_pair(lambda x: (Readable(2 * x), None), lambda dy, _: Readable(2 * dy), {"x": X}).passed


@pytest.mark.parametrize(
    "y, tensor, words",
    [
        (None, "y", "y is a NoneType, not an array of numbers"),
        ("text", "y", "y is a str, not an array of numbers"),
        ((), "y", "y is an empty tuple"),
        ((X, None), "y", "y[1] is a NoneType, not an array of numbers"),
        (X[:0], "y", "forward returned shape (0, 4), with no entries to differentiate"),
        (np.ma.masked_array(X, X > 0), "y", "y is a masked array: give a plain one, .filled(0)"),
        (X > 0, "y", "forward returned bool for float64 inputs"),
        (X + 1j, "y", "forward returned complex128 for float64 inputs"),
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_output_that_cannot_be_differentiated_is_a_row(y, tensor, words, dtype):
    (row,) = check_pair(lambda x: (y, None), lambda dy, _: dy, {"x": X}, dtype=dtype).failed
    assert row.tensor == tensor and row.problem.startswith(words)


def test_what_a_report_is_called():
    def square_forward(x):
        return x * x, x

    def square_backward(dy, x):
        return 2 * dy * x

    assert check_pair(square_forward, square_backward, {"x": X}).name == "square"
    assert check_pair(lambda x: (x, None), lambda dy, _: dy, {"x": X}).name == "pair"
    assert check_pair(functools.partial(square_forward), square_backward, {"x": X}).name == "square"
    assert check_pair(square_forward, square_backward, {"x": X}, name="own").name == "own"


def test_numpy_random_is_seeded_and_left_as_it_was():
    def forward(x):
        return x * np.random.random(x.shape), np.random.random(x.shape)

    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    reports = [check_pair(forward, lambda dy, m: dy * m, {"x": X}, seed=seed, seed_numpy=True) for seed in (0, 0, 1)]
    numbers = [report.rows[0].numeric for report in reports]
    assert numbers[0] == numbers[1] != numbers[2]
    assert np.array_equal(np.random.get_state()[1], before)
    assert not any(report.passed for report in reports)  # the second draw is another mask
    (row,) = check_pair(forward, lambda dy, m: dy * m, {"x": X}).failed
    assert row.tensor == "y" and "say seed_numpy=True" in row.problem


@pytest.mark.parametrize("check", [check_function, check_layer])
def test_an_unknown_option_is_named(check):
    with pytest.raises(TypeError, match="no option is called 'fixd': they are method, fixed, zeros, bound"):
        check(
            Readable,
            {"x": X},
            fixd=["x"],
            **({"forward": "__init__", "backward": "mro"} if check is check_layer else {}),
        )
