"""Every operation, and the whole model under every switch, against the same list of properties.

The rows are `minivit.gradcheck.CASES` and `SWITCHES`; a new operation gets all of these tests with its row.
"""

from typing import Any

import numpy as np
import pytest

from minivit.gradcheck import CASES, FLOAT32_CASES, SWITCHES, TINY, Case, Sizes, Switch
from minivit.gradcheck.contract import arrays_in, flatten
from minivit.masks import draw_masks
from minivit.model import vit_backward, vit_forward
from minivit.ops.loss import cross_entropy_backward, cross_entropy_forward
from minivit.rng import DROPOUT, generator

SEEDS = (0, 1)
FLOAT32_BOUND = 5e-6  # of a float32 tensor, relative to its largest entry

every_case = pytest.mark.parametrize("name", CASES)
every_switch = pytest.mark.parametrize("name", SWITCHES)


def run(case: Case, inputs: dict[str, Any], dy: np.ndarray | None = None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """y and the gradients by name, for a dy that depends on nothing but its shape."""
    y, cache = case.forward(**inputs)
    return np.asarray(y), gradients(case, inputs, upstream(y) if dy is None else dy, cache)


def upstream(y: np.ndarray, seed: int = 7) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).standard_normal(np.shape(y)), y.dtype)


def gradients(case: Case, inputs: dict[str, Any], dy: np.ndarray, cache: Any) -> dict[str, np.ndarray]:
    found = [g for g in flatten(case.backward(dy, cache)) if g is not None]
    names = [name for name, x in inputs.items() if is_float(x) and name not in case.fixed]
    assert len(found) == len(names)
    return dict(zip(names, found))


def is_float(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def convert(tree: Any, function: Any) -> Any:
    """The same inputs, with `function` applied to every float array, those in tuples included."""
    if is_float(tree):
        return function(tree)
    if isinstance(tree, dict):
        return {key: convert(value, function) for key, value in tree.items()}
    if isinstance(tree, tuple):
        parts = [convert(value, function) for value in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return tree


def float32(tree: Any) -> Any:
    return convert(tree, lambda x: x.astype(np.float32))


def assert_close(tensor: str, one: np.ndarray, other: np.ndarray, bound: float) -> None:
    """Within a part of the largest entry, or of 1e-12 if that is smaller; NaN is never close."""
    assert one.shape == other.shape, tensor
    scale = max(float(abs(other).max(initial=0)), 1e-12)
    error = float(abs(one.astype(np.float64) - other).max(initial=0)) / scale
    assert error <= bound, f"{tensor}: relative error {error:.1e}, allowed {bound:.0e}"


# The gradients are right


@pytest.mark.parametrize("seed", SEEDS)
@every_case
def test_differences(name, seed):
    report = CASES[name].check(name, "differences", seed)
    report.raise_if_failed()
    assert report.worst.relative_error <= 1e-10


@pytest.mark.parametrize("seed", SEEDS)
@every_case
def test_complex_step(name, seed):
    report = CASES[name].check(name, "complex", seed)
    report.raise_if_failed()
    assert report.worst.relative_error <= 1e-13


@every_case
def test_entry_by_entry(name):
    report = CASES[name].check(name, "dense")
    report.raise_if_failed()
    assert all(row.cosine is None or row.cosine > 1 - 1e-12 for row in report.rows)


@pytest.mark.parametrize("method", ["differences", "complex", "dense"])
@pytest.mark.parametrize("name", FLOAT32_CASES)
def test_formulas_of_float32_in_float64(name, method):
    FLOAT32_CASES[name].check(name, method).raise_if_failed()


@pytest.mark.parametrize("method, bound", [("differences", 2e-10), ("complex", 1e-13)])
@every_switch
def test_model_down_to_the_pixels(name, method, bound):
    report = SWITCHES[name].check(name, method)
    report.raise_if_failed()
    assert report.worst.relative_error <= bound
    assert {row.tensor for row in report.rows} >= {"images", *SWITCHES[name].model().params}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.key_bias])
def test_key_bias_is_zero(name):
    """Zero to rounding, and its neighbours are not: the declaration hides nothing else."""
    case, D = CASES[name], Sizes().D
    dbqkv = run(case, case.inputs())[1]["bqkv"]
    assert abs(dbqkv[D : 2 * D]).max() <= 1e-13 * abs(dbqkv).max()
    assert abs(dbqkv[:D]).min() > 1e-6 and abs(dbqkv[2 * D :]).min() > 1e-6


@pytest.mark.parametrize("sizes", [Sizes(), TINY], ids=["normal", "tiny"])
@every_case
def test_sizes_are_pairwise_different_and_never_one(name, sizes):
    """Or a gradient that is summed over the wrong axis could have the right shape."""
    inputs = CASES[name].inputs(sizes=sizes)
    axes = {"T": sizes.T, "D": sizes.D, "H": sizes.H, "Dh": sizes.D // sizes.H, "F": sizes.F, "K": sizes.K}
    pixels = {"C": sizes.C, "P": sizes.P, "Sh": sizes.Sh, "Sw": sizes.Sw, "D": sizes.D}
    used = [sizes.B, *(pixels if "images" in inputs else axes).values()]
    assert len(set(used)) == len(used) and min(used) > 1


# The passes are functions


@every_case
def test_backward_is_linear(name):
    case = CASES[name]
    inputs = case.inputs()
    y, cache = case.forward(**inputs)
    a, b = upstream(y, 1), upstream(y, 2)
    both = gradients(case, inputs, 2 * a - 3 * b, cache)
    of_a, of_b = gradients(case, inputs, a, cache), gradients(case, inputs, b, cache)
    for tensor in both:
        assert_close(tensor, both[tensor], 2 * of_a[tensor] - 3 * of_b[tensor], 1e-12)


@every_case
def test_twice_gives_the_same(name):
    """Also when other calls came between: a cache belongs to its call."""
    case = CASES[name]
    inputs = case.inputs()
    y, cache = case.forward(**inputs)
    first = gradients(case, inputs, upstream(y), cache)
    first = {tensor: gradient.copy() for tensor, gradient in first.items()}
    other, other_cache = case.forward(**case.inputs(seed=3))
    again, _ = case.forward(**inputs)
    gradients(case, inputs, upstream(other, 5), other_cache)
    second = gradients(case, inputs, upstream(y), cache)
    assert np.array_equal(y, again)
    for tensor in first:
        assert np.array_equal(first[tensor], second[tensor]), tensor


@every_case
def test_nothing_is_written_to(name):
    """Neither the inputs nor dy nor the cache: all of them are locked."""
    case = CASES[name]
    inputs = case.inputs()
    before = convert(inputs, np.copy)
    for _, array in arrays_in(inputs, ""):
        array.flags.writeable = False
    y, cache = case.forward(**inputs)
    kept = {path: array.copy() for path, array in arrays_in(cache, "cache")}
    for _, array in arrays_in(cache, "cache"):
        array.flags.writeable = False
    dy = upstream(y)
    dy.flags.writeable = False
    gradients(case, inputs, dy, cache)
    for path, array in arrays_in(inputs, "input"):
        assert np.array_equal(array, dict(arrays_in(before, "input"))[path]), path
    for path, array in arrays_in(cache, "cache"):
        assert np.array_equal(array, kept[path]), path
    assert np.array_equal(dy, upstream(y))


@every_case
def test_memory_layout_does_not_matter(name):
    """Reversed axes and gaps between the numbers give what contiguous arrays give."""

    def spread(x: np.ndarray) -> np.ndarray:
        wide = np.full((*x.shape[::-1], 2), np.nan)
        wide[..., 0] = x.T
        return wide[..., 0].T

    case = CASES[name]
    inputs = case.inputs()
    y, expected = run(case, inputs)
    strided = convert(inputs, spread)
    assert not any(x.flags.c_contiguous for x in strided.values() if is_float(x) and x.ndim > 1)
    y2, found = run(case, strided, spread(upstream(y)) if y.ndim else None)
    assert_close("y", y2, y, 1e-13)
    for tensor in expected:
        assert_close(tensor, found[tensor], expected[tensor], 1e-12)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.takes_no_images])
def test_a_batch_of_no_images(name):
    case = CASES[name]
    inputs = case.inputs(sizes=Sizes(B=0))
    y, found = run(case, inputs)
    assert y.size == 0
    for tensor, gradient in found.items():
        assert gradient.shape == inputs[tensor].shape, tensor
        assert not gradient.any(), tensor


# float32


@every_case
def test_float32_in_float32_out(name):
    """Every array: the output, the gradients, and what is kept in the cache."""
    case = CASES[name]
    inputs = float32(case.inputs())
    y, cache = case.forward(**inputs)
    assert y.dtype == np.float32
    for path, array in arrays_in(cache, "cache"):
        assert array.dtype == np.float32 or array.dtype.kind == "i", path
    for tensor, gradient in gradients(case, inputs, upstream(y), cache).items():
        assert gradient.dtype == np.float32, tensor
        assert gradient.shape == inputs[tensor].shape, tensor


@pytest.mark.parametrize("seed", SEEDS)
@every_case
def test_float32_agrees_with_float64(name, seed):
    case = CASES[name]
    inputs = float32(case.inputs(seed))  # numbers that both can hold
    y32, cache = case.forward(**inputs)
    dy = upstream(y32)
    found = gradients(case, inputs, dy, cache)
    y, expected = run(case, convert(inputs, lambda x: x.astype(np.float64)), dy.astype(np.float64))
    assert_close("y", y32, y, FLOAT32_BOUND)
    for tensor in expected:
        assert_close(tensor, found[tensor], expected[tensor], FLOAT32_BOUND)


@every_switch
def test_float32_model_agrees_with_float64(name):
    """Logits, loss, the gradient of every parameter and of the pixels."""
    switch = SWITCHES[name]
    found, expected = (loss_and_gradients(switch, dtype) for dtype in ("float32", "float64"))
    for tensor in expected:
        assert found[tensor].dtype == np.float32, tensor
        assert_close(tensor, found[tensor], expected[tensor], FLOAT32_BOUND)


def loss_and_gradients(switch: Switch, dtype: str) -> dict[str, np.ndarray]:
    """Everything that one pass down and up computes, from numbers that float32 can hold."""
    params = switch.model(dtype="float32").params.astype(dtype)
    images, labels = switch.batch()
    images = images.astype("float32").astype(dtype)
    if switch.soft_labels:
        labels = labels.astype("float32").astype(dtype)
    masks = draw_masks(switch.config, len(images), generator(0, DROPOUT), dtype)
    logits, cache = vit_forward(params, images, switch.config, masks)
    loss, loss_cache = cross_entropy_forward(logits, labels, switch.label_smoothing)
    grads, dimages = vit_backward(cross_entropy_backward(1.0, loss_cache), cache)
    return {"logits": logits, "loss": np.asarray(loss), "images": dimages, **grads}
