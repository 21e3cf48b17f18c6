"""One tensor: zeros by the mathematics, entries of very different sizes, and float32."""

import numpy as np
import pytest

from minivit.gradcheck import check_pair

from .foreign_pairs import single_backward, single_forward


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


# Zeros


def batchnorm_forward(x, b):
    """The bias before a batch norm: it changes nothing."""
    z = x + b
    std = np.sqrt(((z - z.mean(0)) ** 2).mean(0))
    xhat = (z - z.mean(0)) / std
    return xhat, (xhat, std)


def batchnorm_backward(dy, cache):
    xhat, std = cache
    dz = (dy - dy.mean(0) - xhat * (dy * xhat).mean(0)) / std
    return dz, dz.sum(0)


@pytest.mark.parametrize("method", ["differences", "complex", "dense"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_zero_to_rounding_passes_by_itself(method, scale):
    for seed in range(5):
        inputs = {"x": scale * draw(6, 4, seed=seed), "b": scale * draw(4)}
        report = check_pair(batchnorm_forward, batchnorm_backward, inputs, method=method, seed=seed)
        assert report.passed and report.rows[1].note == "zero, to rounding", report


@pytest.mark.parametrize("method", ["differences", "complex", "dense"])
def test_it_does_so_where_y_is_a_small_difference_of_large_terms(method):
    for seed in range(5):
        inputs = {"x": 255 + draw(6, 4, seed=seed), "b": draw(4)}
        check_pair(batchnorm_forward, batchnorm_backward, inputs, method=method, seed=seed).raise_if_failed()


@pytest.mark.parametrize("method", ["differences", "dense"])
def test_a_jump_is_not_taken_for_rounding(method):
    (row,) = check_pair(
        lambda x: (np.sign(x), x), lambda dy, x: 0 * dy, {"x": np.array([1.0, 0, -2])}, method=method
    ).failed
    assert "there is no gradient here" in row.problem and "x[1] = 0" in row.problem


@pytest.mark.parametrize("method", ["differences", "complex", "dense"])
def test_a_zero_that_is_not_one_fails(method):
    """However small the true gradient is beside dy."""
    for forward in (lambda x: (1e-10 * np.sin(x), x), lambda x: (1e-10 * np.sin(x) + 1e-6, x)):
        (row,) = check_pair(forward, lambda dy, x: 0 * dy, {"x": draw(3, 4)}, method=method).failed
        assert row.tensor == "x" and "The whole gradient is zero: nothing was sent back" in row.problem


@pytest.mark.parametrize("method", ["differences", "complex", "dense"])
def test_a_gradient_that_should_be_zero_and_is_not_fails(method):
    def wrong(dy, cache):
        dz, db = batchnorm_backward(dy, cache)
        return dz, db + 1e-9

    (row,) = check_pair(batchnorm_forward, wrong, {"x": draw(6, 4), "b": draw(4)}, method=method).failed
    assert row.tensor == "b"


@pytest.mark.parametrize("method", ["differences", "complex", "dense"])
def test_a_tensor_that_nothing_depends_on_is_told(method):
    inputs = {"x": draw(3, 4), "unused": draw(2)}
    report = check_pair(
        lambda x, unused: (np.sin(x), x), lambda dy, x: (dy * np.cos(x), np.zeros(2)), inputs, method=method
    )
    assert report.passed and report.rows[1].note == "zero: nothing depends on it"


# Entries of very different sizes


def logarithm(x):
    return np.log(x), x


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("x", [np.array([1e-6, 1.0, 1e3]), np.exp(6 * draw(40)), np.array([1e-12, 1e12])])
def test_entries_a_million_apart_are_checked(x, seed):
    report = check_pair(logarithm, lambda dy, x: dy / x, {"x": x}, seed=seed)
    assert report.passed and report.rows[0].note.startswith("checked in "), report


def test_entry_by_entry_too():
    assert check_pair(logarithm, lambda dy, x: dy / x, {"x": np.exp(6 * draw(40))}, method="dense").passed


@pytest.mark.parametrize("index", range(0, 40, 3))
def test_a_wrong_one_among_them_is_named(index):
    def wrong(dy, x):
        dx = dy / x
        dx[index] *= -1
        return dx

    (row,) = check_pair(logarithm, wrong, {"x": np.exp(6 * draw(40))}).failed
    assert f"worst entry x[{index}]: " in row.problem
    assert f"the wrong ones all lie in x[{index}]: " in row.problem or "look for a sign" in row.problem


@pytest.mark.parametrize("factor", [0.0, 1.5])
@pytest.mark.parametrize("index", range(5))
def test_a_gradient_a_million_times_smaller_than_others_counts(index, factor):
    weights = 10.0 ** np.array([-6, -3, 0, 1, 2])
    spoil = np.ones(5)
    spoil[index] = factor
    (row,) = check_pair(lambda x: (weights * x, x), lambda dy, x: dy * weights * spoil, {"x": draw(5)}).failed
    assert f"worst entry x[{index}]: " in row.problem
    assert check_pair(lambda x: (weights * x, x), lambda dy, x: dy * weights, {"x": draw(5)}).passed


def test_a_linear_function_of_them_needs_no_parts():
    report = check_pair(lambda x: (3 * x, x), lambda dy, x: 3 * dy, {"x": np.exp(6 * draw(40))})
    assert report.passed and not report.rows[0].note


# float32


INPUTS = {"x": draw(5, 4), "w": draw(4, 3)}


@pytest.mark.parametrize("seed", range(20))
def test_a_float32_layer_has_a_bound_of_its_own_and_says_so(seed):
    inputs = {"x": draw(5, 4, seed=seed), "w": draw(4, 3, seed=seed)}
    report = check_pair(single_forward, single_backward, inputs, dtype="float32", seed=seed)
    assert report.passed and report.bound == 1e-3
    assert [row.note for row in report.rows] == 2 * ["float32: bound 1e-03"]
    assert "float32: bound 1e-03" in str(report)


def test_without_asking_float32_is_refused_with_the_way_to_ask():
    (row,) = check_pair(single_forward, single_backward, INPUTS).failed
    assert (
        "forward returned float32 for float64 inputs" in row.problem and "dtype='float32' checks a layer" in row.problem
    )


def test_a_wrong_float32_layer_is_red_and_explained():
    report = check_pair(
        single_forward, lambda dy, c: [1.01 * g for g in single_backward(dy, c)], INPUTS, dtype="float32"
    )
    assert [row.tensor for row in report.failed] == ["x", "w"]
    assert "worst entry x[" in report.rows[0].problem and report.rows[0].note == "float32: bound 1e-03"


def test_float32_inputs_are_taken_with_it():
    inputs = {name: x.astype("float32") for name, x in INPUTS.items()}
    assert check_pair(single_forward, single_backward, inputs, dtype="float32").passed


def test_a_layer_that_refuses_float64_is_taken_with_it():
    def forward(x):
        assert x.dtype == np.float32
        return np.sin(x), x

    report = check_pair(forward, lambda dy, x: dy * np.cos(x), {"x": draw(5, 4)}, dtype="float32")
    assert report.passed and report.rows[0].note == "float32: bound 1e-03"


def test_a_float64_layer_is_held_to_the_bound_of_float64():
    def sine(x):
        return np.sin(x), x

    report = check_pair(sine, lambda dy, x: dy * np.cos(x), {"x": draw(5, 4)}, dtype="float32")
    assert report.passed and report.bound == 1e-8 and not report.rows[0].note
    report = check_pair(sine, lambda dy, x: 1.00001 * dy * np.cos(x), {"x": draw(5, 4)}, dtype="float32")
    assert not report.passed and report.bound == 1e-8
