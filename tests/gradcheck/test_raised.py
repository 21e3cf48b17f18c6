"""An exception in a pass is a row that names the pass, the exception, the file and the line; nothing crashes."""

import numpy as np
import pytest

from minivit.gradcheck import check_function, check_layer, check_pair

from .foreign_objects import WithAttributes
from .foreign_pairs import W, X

LINE = r"\(test_raised.py:\d+, in "


def failing(*given):
    raise ValueError("no\n  such  thing")


def problem(report, tensor):
    (row,) = report.failed
    assert row.tensor == tensor, row
    str(report), report.to_list()
    return row.problem


def test_in_forward_and_in_backward():
    report = check_pair(lambda x: failing(x), lambda dy, x: dy, {"x": X})
    assert problem(report, "forward").startswith("raised ValueError: no such thing (test_raised.py:")
    report = check_pair(lambda x: (x, x), lambda dy, x: failing(x), {"x": X})
    assert problem(report, "backward").startswith("raised ValueError: no such thing (test_raised.py:")
    assert problem(report, "backward").endswith(", in failing)")


def test_the_place_is_in_the_users_code_not_in_a_library():
    report = check_pair(lambda x: (np.concatenate([x, x[0]]), x), lambda dy, x: dy, {"x": X})
    assert problem(report, "forward").endswith(", in <lambda>)") and "(test_raised.py:" in problem(report, "forward")
    report = check_pair(lambda x, w: (x @ w, (x, w)), lambda d, c: (d @ c[1], c[0].T @ d), {"x": X, "w": W})
    assert problem(report, "backward").startswith("raised ValueError: matmul: Input operand 1 has a mismatch")


def test_a_call_that_fails_names_the_function():
    def forward(z):
        return z, z

    line = forward.__code__.co_firstlineno
    text = problem(check_pair(forward, lambda dy, x: dy, {"x": X}), "forward")
    assert "got an unexpected keyword argument 'x'" in text and text.endswith(f"(test_raised.py:{line}, forward)")
    text = problem(check_pair(lambda x: (x, x), lambda dy: dy, {"x": X}), "backward")
    assert "takes 1 positional argument but 2 were given" in text


@pytest.mark.parametrize("call", [1, 2])
def test_at_a_later_call(call):
    calls = []

    def count(value, pass_):
        calls.append(pass_)
        if calls.count(pass_) > call:
            raise RuntimeError("once is enough")
        return value

    report = check_pair(lambda x: (count(x, "f"), x), lambda dy, x: dy, {"x": X})
    words = {1: "raised RuntimeError: once is enough", 2: "forward raised RuntimeError: once is enough"}[call]
    assert problem(report, {1: "forward", 2: "x"}[call]).startswith(words)
    if call == 1:
        assert problem(report, "forward").endswith(" at its second call, not at the first: it keeps state")


def test_any_exception_but_those_that_end_programs():
    class Odd(Exception):
        pass

    for error in (Odd(), AssertionError("no"), RecursionError("deep"), KeyError("k"), StopIteration()):

        def raising(dy, x, error=error):
            raise error

        text = problem(check_pair(lambda x: (x, x), raising, {"x": X}), "backward")
        assert text.startswith(f"raised {type(error).__name__}")

    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_pair(interrupted, lambda dy, x: dy, {"x": X})


def test_in_functions_and_layers():
    assert "raised ValueError: no such thing" in problem(check_function(lambda x: failing(), {"x": X}), "forward")

    class Layer(WithAttributes):
        def backward(self, dy):
            return failing()

    text = problem(check_layer(Layer(), {"x": X}, {"W": "dW", "b": "db"}), "backward")
    assert text.startswith("raised ValueError: no such thing (test_raised.py:") and text.endswith(", in failing)")


def positive_forward(x):
    if (x <= 0).any():
        raise ValueError("positive numbers only")
    return np.log(x), x


def test_a_step_out_of_the_domain_that_raises_is_not_used():
    assert check_pair(positive_forward, lambda dy, x: dy / x, {"x": abs(X)}).passed


def test_a_wrong_gradient_beside_a_domain_is_explained():
    a = np.random.default_rng(1).standard_normal((4, 4))
    inputs = {"s": a @ a.T + 0.05 * np.eye(4)}  # the largest steps leave the positive definite matrices
    report = check_pair(lambda s: (np.linalg.cholesky(s + s.T).sum(), s), lambda dy, s: np.zeros_like(s), inputs)
    assert "The whole gradient is zero" in problem(report, "s")


def test_a_forward_that_raises_at_every_step_is_explained():
    def only_here(x):
        if not np.array_equal(x, X):
            raise RuntimeError("only here")
        return 2 * x, None

    text = problem(check_pair(only_here, lambda dy, _: 2 * dy, {"x": X}), "x")
    assert text.startswith("forward raised RuntimeError: only here (test_raised.py:")
    assert "at every step away from x[" in text and text.endswith("choose inputs further inside its domain")


def test_an_output_whose_shape_depends_on_the_values_is_explained():
    report = check_pair(lambda x: (x[x >= x.flat[0]], None), lambda dy, _: X, {"x": X})
    assert "at every step" in problem(report, "x") or "its cause" not in problem(report, "x")


def test_at_the_edge_of_the_domain_the_entry_is_named():
    x = np.array([1.0, 0.0, 2.0])
    report = check_pair(lambda x: (np.sqrt(x), x), lambda dy, x: dy, {"x": x})
    assert problem(report, "x").startswith("forward gives NaN or infinity at every step away from x[1] = 0, however")


@pytest.mark.parametrize("error", [RuntimeError("float only"), ValueError("no"), TypeError("no"), AssertionError()])
def test_a_forward_that_refuses_complex_numbers(error):
    def real_forward(x):
        if x.dtype.kind == "c":
            raise error
        return 2 * x, None

    text = problem(check_pair(real_forward, lambda dy, _: 2 * dy, {"x": X}, method="complex"), "x")
    assert text.startswith(f"forward does not take complex numbers ({type(error).__name__}")
    assert text.endswith("use method='differences'")
