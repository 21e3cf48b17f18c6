"""The words for what is wrong: each kind of mistake by its own, and where the wrong entries lie."""

import numpy as np
import pytest

from minivit.gradcheck import check_pair, hints

from .foreign_pairs import LABELS, embedding_backward, embedding_forward, rnn_backward, rnn_forward


def draw(*shape):
    return np.random.default_rng(shape).standard_normal(shape)


def problem(forward, backward, inputs, **options):
    report = check_pair(forward, backward, inputs, **options)
    (row,) = report.failed
    return row.problem


def sine(x):
    return np.sin(x), x


def spoilt(where, factor=0.0):
    """The backward pass of sine, with wrong entries."""

    def backward(dy, x):
        dx = dy * np.cos(x)
        dx[where] *= factor
        return dx

    return backward


@pytest.mark.parametrize("method", ["differences", "complex"])
@pytest.mark.parametrize(
    "shape, where, region",
    [
        ((100, 100), np.s_[:, -1], "x[:, 99]"),
        ((100, 100), np.s_[37, 42], "x[37, 42]"),
        ((40, 30), np.s_[10:20, :5], "x[10:20, :5]"),
        ((5, 4), np.s_[:, :2], "x[:, :2]"),
        ((5, 4), np.s_[[0, 3]], "x[[0, 3]]"),
        ((2, 5, 12), np.s_[..., 1:, :], "x[:, 1:]"),
        ((300,), np.s_[299], "x[299]"),
    ],
)
def test_where_the_wrong_entries_lie(shape, where, region, method):
    text = problem(sine, spoilt(where), {"x": draw(*shape)}, method=method)
    assert f"and the wrong ones all lie in {region}: look for" in text


def test_entry_by_entry_too():
    text = problem(sine, spoilt(np.s_[[0, 3], 1:]), {"x": draw(5, 4)}, method="dense")
    assert "Of the entries looked at, 6 of 20 are wrong" in text and "all lie in x[[0, 3], 1:]" in text


def test_causes_that_are_seen_by_their_place():
    inputs = {"x": draw(5, 4), "w": draw(4, 4)}
    assert "all lie in x[:4]" in problem(rnn_forward, lambda dy, c: rnn_backward(dy, c, wrong=True), inputs)
    inputs = {"ids": LABELS, "table": draw(6, 3)}  # 1 and 2 are repeated
    text = problem(embedding_forward, lambda dy, c: embedding_backward(dy, c, wrong=True), inputs)
    assert "all lie in table[1:3]" in text


def test_the_wrong_entry_is_found_wherever_it_is():
    """Also among entries that are not looked at one by one."""
    for index in np.random.default_rng(0).integers(0, 10_000, 5):
        text = problem(sine, spoilt(index), {"x": draw(10_000)})
        assert f"worst entry x[{index}]: analytic " in text
        assert f"Of the entries looked at, 1 of {hints.SAMPLE + 1} are wrong" in text


@pytest.mark.parametrize(
    "forward, backward, digits",
    [
        (  # a constant with six digits
            lambda x: (np.tanh(0.797884560802865 * x), x),
            lambda dy, x: dy * 0.797885 * (1 - np.tanh(0.797885 * x) ** 2), 6,
        ),
        (lambda x: (np.log(np.exp(x) + 1e-4), x), lambda dy, x: dy * np.ones_like(x), 3),  # an epsilon left out
        (sine, lambda dy, x: dy * np.cos(x).astype("float16"), 3),  # a cast
    ],
)  # fmt: skip
def test_what_is_nearly_right_is_told_by_its_digits(forward, backward, digits):
    text = problem(forward, backward, {"x": draw(6, 4)})
    assert f"They agree to {digits} digits: look for a constant with few digits, an epsilon" in text


def test_small_entries_that_are_wrong_are_not_nearly_right():
    weights = np.array([1e3, 1.0, 1e-3, 1e-3])
    text = problem(lambda x: (weights * x, x), lambda dy, x: dy * weights * [1, 1, 1, 0], {"x": draw(4)})
    assert "worst entry x[3]: analytic 0, " in text and "agree" not in text


@pytest.mark.parametrize("method", ["differences", "complex", "dense"])
def test_gradients_in_the_wrong_order_are_told(method):
    def forward(a, b):
        return a * np.sin(b), (a, b)

    def backward(dy, cache):
        a, b = cache
        return dy * a * np.cos(b), dy * np.sin(b)

    report = check_pair(forward, backward, {"a": draw(3, 4), "b": draw(4, 3).T}, method=method)
    problems = [row.problem for row in report.failed]
    assert "what was returned for b is the gradient of a: look at the order" in problems[0]
    assert "what was returned for a is the gradient of b: look at the order" in problems[1]


def test_a_transpose_is_told():
    text = problem(
        lambda x, w: (x @ w, (x, w)), lambda dy, c: (dy @ c[1].T, dy.T @ c[0]), {"x": draw(5, 4), "w": draw(4, 4)}
    )
    assert text.endswith("its transpose is the gradient: look for a transpose")


def test_a_scalar_has_no_index():
    x, a = draw(5), np.array(0.7)
    text = problem(
        lambda x, a: (np.exp(a * x), (x, a)),
        lambda dy, c: (dy * c[1] * np.exp(c[0] * c[1]), dy.sum()),
        {"x": x, "a": a},
    )
    assert "worst entry a: analytic " in text and "times what it should be" in text


def test_causes_are_sought_for_the_tensors_nearest_to_the_output():
    names = "abcdef"

    def forward(**tensors):
        return sum(tensors.values()) ** 2, sum(tensors.values())

    def backward(dy, total):
        return [-2 * dy * total] * len(names)

    report = check_pair(forward, backward, {name: draw(3) for name in names})
    assert [row.sought for row in report.rows] == [False] * 3 + [True] * 3
    assert report.rows[0].problem == f"relative error {report.rows[0].error}; its cause was not sought"
    assert len(report.summary().splitlines()) == 6
    report = check_pair(forward, backward, {name: draw(3) for name in names}, causes=0)
    assert len(report.failed) == 6 and not any(row.sought for row in report.rows)


@pytest.mark.parametrize("shape", [(10,), (20, 20), (1000, 100)])
def test_a_cause_takes_few_forward_passes(shape):
    calls = []

    def forward(x):
        calls.append(1)
        return np.sin(x), x

    check_pair(forward, spoilt(np.s_[1:3]), {"x": draw(*shape)}, causes=0)
    verdict = len(calls)
    check_pair(forward, spoilt(np.s_[1:3]), {"x": draw(*shape)})
    assert verdict <= 20 and len(calls) - 2 * verdict <= 300


@pytest.mark.parametrize("right", [True, False])
def test_not_analytic_is_told_whether_backward_is_right_or_not(right):
    def forward(x):
        return (x - x.mean(0)) / np.sqrt(x.var(0)), x

    def backward(dy, x):
        s = np.sqrt(x.var(0))
        h = (x - x.mean(0)) / s
        return (dy - dy.mean(0) - (h * (dy * h).mean(0) if right else 0)) / s

    text = problem(forward, backward, {"x": draw(5, 4)}, method="complex")
    assert text.startswith("forward is not analytic: at x[") and "Look for abs, conj, .real or .var" in text
    assert ("as backward does" in text) == right and ("and backward " in text) != right
    assert check_pair(forward, backward, {"x": draw(5, 4)}).passed == right


def test_a_forward_that_is_not_complex_is_told_once_and_why():
    def forward(a, b):
        y = np.zeros(a.shape)
        y += a * b
        return y, (a, b)

    report = check_pair(forward, lambda dy, c: (dy * c[1], dy * c[0]), {"a": draw(3), "b": draw(3)}, method="complex")
    (row,) = report.failed
    assert row.tensor == "a" and "look for a buffer of np.zeros or np.empty without dtype=x.dtype" in row.problem
