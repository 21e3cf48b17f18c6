"""check_pair: right gradients pass by every method, wrong ones fail by name, and what is no gradient is explained."""

import warnings

import numpy as np
import pytest

from minivit.gradcheck import CASES, GradientError, check_pair
from minivit.gradcheck.contract import flatten

from . import layers
from .layers import backward, forward, inputs, relu_backward, relu_forward

METHODS = ("differences", "complex", "dense")
every_method = pytest.mark.parametrize("method", METHODS)


def check(forward=forward, backward=backward, inputs=None, **options):
    return check_pair(forward, backward, layers.inputs() if inputs is None else inputs, **options)


def problem(report, tensor):
    """The one complaint of a report, which must be about this tensor."""
    assert not report.passed
    (row,) = [row for row in report.rows if not row.passed]
    assert row.tensor == tensor, report.summary()
    return row.problem


# What is right


@every_method
def test_right_gradients_pass(method):
    report = check(method=method)
    assert report.passed, report
    assert [(row.tensor, row.shape) for row in report.rows] == [("x", (3, 4)), ("gain", (4,)), ("shift", (4,))]
    assert report.worst.relative_error <= {"complex": 1e-14}.get(method, 1e-11)
    assert all((row.cosine is None) == (method != "dense") for row in report.rows)
    report.raise_if_failed()


def test_another_seed_is_another_check():
    numbers = [check(seed=seed).rows[0].analytic for seed in (0, 0, 1)]
    assert numbers[0] == numbers[1] != numbers[2]


def test_gradients_may_be_nested_and_none_where_an_input_is_none():
    def nested_forward(x, bias, gain, shift):
        assert bias is None
        return forward(x, gain, shift)

    def nested_backward(dy, cache):
        dx, dgain, dshift = backward(dy, cache)
        return dx, (None, [dgain, (dshift,)])

    assert check(nested_forward, nested_backward, {"bias": None, **inputs()}).passed


def test_other_arguments_are_passed_on_and_fixed_arrays_get_no_gradient():
    def masked_forward(x, power, mask, table):
        assert (power, table.dtype.kind) == (3, "i")
        return x**power * mask, (x, power, mask)

    def masked_backward(dy, cache):
        x, power, mask = cache
        return dy * mask * power * x ** (power - 1)

    arguments = {"x": inputs()["x"], "power": 3, "mask": np.eye(3, 4), "table": np.arange(3)}
    report = check(masked_forward, masked_backward, arguments, fixed=["mask"])
    assert report.passed and [row.tensor for row in report.rows] == ["x"]


def test_a_scalar_output_and_a_scalar_input():
    report = check(lambda x: (np.exp(x).sum(), x), lambda dy, x: dy * np.exp(x), {"x": np.array(0.5)})
    assert report.passed and report.rows[0].shape == ()


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
def test_the_step_follows_the_size_of_the_input(scale):
    """sin(x/scale) at x of this scale: no fixed step serves them all."""
    report = check(
        lambda x: (np.sin(x / scale), x), lambda dy, x: dy * np.cos(x / scale) / scale, {"x": scale * inputs()["x"]}
    )
    assert report.worst.relative_error <= 1e-11


def test_a_function_much_steeper_than_its_input_needs_small_steps():
    report = check(lambda x: (np.sin(300 * x), x), lambda dy, x: 300 * dy * np.cos(300 * x), {"x": inputs()["x"]})
    assert report.worst.relative_error <= 1e-9


def test_a_step_out_of_the_domain_is_not_used():
    x = np.array([0.01, 0.5, 20.0])  # the largest steps reach below 0, where the logarithm is NaN
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = check(lambda x: (np.log(x), x), lambda dy, x: dy / x, {"x": x})
    assert report.passed, report


@pytest.mark.parametrize("seed", range(20))
def test_a_small_slope_on_a_large_output_is_not_lost_in_rounding(seed):
    """Estimates at tiny steps agree by chance now and then; they must not be chosen."""
    report = check(
        lambda x: (1 + 1e-5 * np.sin(x).sum(), x), lambda dy, x: 1e-5 * dy * np.cos(x), {"x": inputs()["x"]}, seed=seed
    )
    assert report.worst.relative_error <= 5e-9


def test_a_bound_of_zero_is_a_bound():
    report = check(bound=0.0)
    assert report.bound == 0 and not report.passed


# What is wrong with the gradient


@every_method
@pytest.mark.parametrize("index, tensor", [*enumerate(inputs())])
@pytest.mark.parametrize(
    "spoil, hint",
    [
        (lambda g: -g, "Every entry is -1 times what it should be: look for a sign"),
        (lambda g: 3 * g, "Every entry is 3 times what it should be: look for a factor"),
        (lambda g: 0 * g, "The whole gradient is zero: nothing was sent back"),
        (lambda g: g + 0.1 * np.arange(g.size).reshape(g.shape), "Of the entries looked at, "),
        (lambda g: np.where(np.arange(g.size).reshape(g.shape) == 2, 0, g), "Of the entries looked at, 1 of "),
        (lambda g: g[::-1], ": look for a missing, extra or wrong term"),
    ],
    ids=["sign", "factor", "zero", "added", "entry", "order"],
)
def test_a_wrong_gradient_fails_by_name_and_with_a_hint(method, index, tensor, spoil, hint):
    def wrong(dy, cache):
        gradients = list(backward(dy, cache))
        gradients[index] = spoil(gradients[index])
        return gradients

    report = check(backward=wrong, method=method)
    assert f"worst entry {tensor}[" in problem(report, tensor)
    assert hint in problem(report, tensor)
    assert report.worst.tensor == tensor
    with pytest.raises(GradientError, match=rf"FAILED: {tensor}: relative error .* analytic .*, numeric") as error:
        report.raise_if_failed()
    assert "seed 0" in str(error.value)


@every_method
def test_the_worst_entry_and_both_its_numbers_are_named(method):
    def wrong(dy, cache):
        dx, *others = backward(dy, cache)
        dx[2, 1] = 12.5
        return dx, *others

    right, _, _ = backward(np.random.default_rng([0, 4, 0, 0]).standard_normal((3, 4)), forward(**inputs())[1])
    text = problem(check(backward=wrong, method=method), "x")
    assert f"worst entry x[2, 1]: analytic 12.5, numeric {right[2, 1]:.6g}"[:-2] in text


@pytest.mark.parametrize("method", ["differences", "complex"])
@pytest.mark.parametrize("name", CASES)
def test_a_gradient_that_is_off_by_a_hundred_thousandth_is_seen_in_every_operation(name, method):
    """And in the right tensor, and not taken for a kink."""
    case = CASES[name]
    tensors = [row.tensor for row in case.check(name, method).rows if "zero part" not in row.tensor]
    for index, tensor in enumerate(tensors):

        def wrong(dy, cache, index=index):
            gradients = [g for g in flatten(case.backward(dy, cache)) if g is not None]
            gradients[index] = gradients[index] * (1 + 1e-5)
            return gradients

        text = problem(case._replace(backward=wrong).check(name, method), tensor)
        assert "worst entry" in text, text


def test_a_gradient_of_another_shape_fails_with_both_shapes():
    report = check(backward=lambda dy, cache: (*backward(dy, cache)[:2], dy))
    assert problem(report, "shift") == "its gradient has shape (3, 4), the tensor itself (4,)"


@every_method
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_never_right(bad, method):
    def wrong(dy, cache):
        dx, dgain, dshift = backward(dy, cache)
        dgain[1] = bad
        return dx, dgain, dshift

    report = check(backward=wrong, method=method)
    assert problem(report, "gain") == f"its gradient is {bad} at [1]"
    assert report.worst.tensor == "gain"


def test_a_missing_gradient_is_a_failure():
    report = check(backward=lambda dy, cache: (*backward(dy, cache)[:2], None))
    assert problem(report, "shift") == "backward returned None for it"
    report = check(backward=lambda dy, cache: backward(dy, cache)[:2])
    assert "returned 2 gradients for 3 inputs (x, gain, shift)" in problem(report, "gradients")


def test_a_gradient_in_another_dtype_is_a_failure():
    report = check(backward=lambda dy, cache: (*backward(dy, cache)[:2], dy.sum(0).astype("float32")))
    assert "its gradient is float32, the tensor float64" in problem(report, "shift")


# Zeros


def shifted_forward(x):
    """Softmax of a row: a shift common to all entries changes nothing."""
    e = np.exp(x - x.real.max())
    return e / e.sum(), e / e.sum()


def common_forward(x, shift):
    y, p = shifted_forward(x + shift)
    return y, p


def common_backward(dy, p):
    dx = p * (dy - (dy * p).sum())
    return dx, dx.sum(keepdims=True)


COMMON = {"x": np.array([0.3, -1.0, 0.8]), "shift": np.array([0.4])}


@every_method
def test_a_declared_zero_is_compared_with_zero(method):
    report = check(common_forward, common_backward, COMMON, zeros=["shift"], method=method)
    assert report.passed, report
    assert abs(report.rows[1].analytic) < 1e-15 and report.rows[1].relative_error < 1e-11


@every_method
def test_a_declared_zero_that_is_not_zero_fails(method):
    def wrong(dy, p):
        return common_backward(dy, p)[0], np.array([1e-3])

    report = check(common_forward, wrong, COMMON, zeros=["shift"], method=method)
    assert "declared zero, but the largest entry of the gradient is 1.000e-03" in problem(report, "shift")
    report = check(zeros=["shift"], method=method)
    assert "declared zero, but" in problem(report, "shift")


@every_method
def test_a_zero_part_is_left_out_of_the_rest(method):
    def half_forward(x):
        return np.sin(x[..., :2]), x

    def half_backward(dy, x):
        dx = np.zeros(x.shape)
        dx[..., :2] = dy * np.cos(x[..., :2])
        return dx

    arguments = {"x": inputs()["x"]}
    report = check(half_forward, half_backward, arguments, zeros=[("x", (..., slice(2, 4)))], method=method)
    assert report.passed and [row.tensor for row in report.rows] == ["x, zero part", "x"]
    report = check(half_forward, half_backward, arguments, zeros=[("x", (..., slice(1, 4)))], method=method)
    assert not report.passed and problem(report, "x, zero part")


# What is no gradient


@pytest.mark.parametrize("method", ["differences", "dense"])
def test_a_kink_is_explained(method):
    x = inputs()["x"]
    assert check(relu_forward, relu_backward, {"x": x}, method=method).passed
    x[1, 2] = 0
    text = problem(check(relu_forward, relu_backward, {"x": x}, method=method), "x")
    assert "there is no gradient here" in text and "x[1, 2] = 0 differ at every step size" in text


def test_a_kink_nearby_is_stepped_around():
    x = inputs()["x"]
    x[1, 2] = 1e-3
    assert check(relu_forward, relu_backward, {"x": x}).passed


def test_rounding_is_not_taken_for_a_kink():
    """1e6 + x has lost ten digits: slopes left and right differ, but by little."""
    report = check(lambda x: ((x + 1e6) - 1e6, None), lambda dy, cache: 3 * dy, {"x": inputs()["x"]})
    assert "look for a" in problem(report, "x")


def test_a_jump_is_explained():
    x = inputs()["x"]
    x[0, 0] = 0
    report = check(lambda x: (np.sign(x) + x, None), lambda dy, cache: dy, {"x": x})
    assert "there is no gradient here" in problem(report, "x")


def test_randomness_is_explained():
    rng = np.random.default_rng(0)

    def dropout_forward(x):
        mask = rng.random(x.shape) < 0.5
        return x * mask, mask

    report = check(dropout_forward, lambda dy, mask: dy * mask, {"x": inputs()["x"]})
    assert problem(report, "y").startswith("not deterministic: forward gave two results for the same inputs")


def test_a_forward_that_is_not_analytic_is_explained():
    def size_forward(x):
        return abs(x) * (1 + 0 * x), x

    report = check(size_forward, lambda dy, x: dy * np.sign(x), {"x": inputs()["x"]}, method="complex")
    text = problem(report, "x")
    assert "forward is not analytic: at x[" in text and "Look for abs" in text
    assert check(size_forward, lambda dy, x: dy * np.sign(x), {"x": inputs()["x"]}).passed


def test_a_forward_without_complex_numbers_is_explained():
    report = check(lambda x: (abs(x), x), lambda dy, x: dy * np.sign(x), {"x": inputs()["x"]}, method="complex")
    assert "forward lost the imaginary part and returned float64: use method='differences'" in problem(report, "x")

    def casting_forward(x):
        y = np.empty(x.shape)
        y[...] = np.sin(x)
        return y, x

    report = check(casting_forward, lambda dy, x: dy * np.cos(x), {"x": inputs()["x"]}, method="complex")
    assert "forward does not take complex numbers" in problem(report, "x")


# Rules


def test_writing_to_an_input_is_a_failure():
    def writing_forward(x, gain, shift):
        y, cache = forward(x, gain, shift)
        shift += 1
        return y, cache

    assert "forward wrote to its input" in problem(check(writing_forward), "shift")


def test_writing_to_dy_is_a_failure():
    def writing(dy, cache):
        gradients = backward(dy, cache)
        dy *= 2
        return gradients

    assert "backward wrote to dy" in problem(check(backward=writing), "dy")


def test_writing_to_the_cache_is_a_failure_that_names_the_place_where_caches_are_reused():
    def writing(dy, cache):
        gradients = backward(dy, cache)
        cache[1][...] *= 2
        return gradients

    report = check(backward=writing, reuse=True)
    assert "backward gave another gradient the second time on one cache: it writes to cache[1]" in report.summary()
    assert check(backward=writing).passed


def test_a_random_backward_is_a_failure():
    rng = np.random.default_rng(0)
    report = check(backward=lambda dy, cache: (*backward(dy, cache)[:2], dy.sum(0) + rng.random(4)))
    assert "another gradient the second time: it draws random numbers or keeps state" in problem(report, "shift")


def test_the_inputs_given_are_left_alone():
    given = inputs()

    def writing_forward(x, gain, shift):
        x[...] = 0
        return forward(x, gain, shift)

    check(writing_forward, inputs=given)
    assert all(np.array_equal(given[name], x) for name, x in inputs().items())


def test_another_output_dtype_and_nan_are_failures():
    report = check(lambda **x: (forward(**x)[0].astype("float32"), forward(**x)[1]))
    assert "forward returned float32 for float64 inputs" in problem(report, "y")
    with np.errstate(invalid="ignore"):
        report = check(lambda x: (np.sqrt(x), x), lambda dy, x: dy / (2 * np.sqrt(x)), {"x": np.array([1.0, -1.0])})
    assert "forward returned nan at [1]: choose inputs inside the domain" in report.summary()


# What cannot be asked


def test_float32_is_refused_with_the_reason():
    with pytest.raises(TypeError, match="x is float32: rounding leaves differences in float32 with an error of about"):
        check(inputs=inputs("float32"))


def test_other_impossible_questions():
    with pytest.raises(TypeError, match="x is complex128: give real inputs"):
        check(inputs=inputs("complex128"))
    with pytest.raises(ValueError, match="unknown method 'exact': choose one of differences, complex, dense"):
        check(method="exact")
    with pytest.raises(ValueError, match="no input is called 'mask': they are x, gain, shift"):
        check(fixed=["mask"])
    with pytest.raises(ValueError, match="no input is called 'mask'"):
        check(zeros=[("mask", slice(2))])
    with pytest.raises(ValueError, match="nothing to check: no float64 array among the inputs n"):
        check(inputs={"n": np.arange(3)})
    with pytest.raises(ValueError, match=r"x has shape \(0, 4\), with no entries to check"):
        check(inputs={**inputs(), "x": np.zeros((0, 4))})
    with pytest.raises(ValueError, match=r"x holds nan at \[0\]"):
        check(inputs={**inputs(), "x": np.array([np.nan])})
    with pytest.raises(TypeError, match=r"forward must return a pair \(y, cache\), not ndarray"):
        check(lambda x, gain, shift: x)
