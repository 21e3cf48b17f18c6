"""What holds for every pair of the checker's table, whatever the sizes: the passes are functions, and backward is
linear in dy."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from minivit.gradcheck import CASES, Case, Sizes

from .strategies import SEEDS, case_sizes, normal

every_case = pytest.mark.parametrize("name", CASES)
every_sum = pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.takes_no_images])  # no mean
few = settings(max_examples=10)


def leaves(tree: Any) -> list[np.ndarray]:
    """The arrays in nested tuples and mappings, in order."""
    if isinstance(tree, dict):
        tree = tuple(tree.values())
    if isinstance(tree, (tuple, list)):
        return [leaf for part in tree for leaf in leaves(part)]
    return [tree] if isinstance(tree, np.ndarray) else []


def differentiable(case: Case, inputs: dict[str, Any]) -> list[str]:
    """The inputs that backward returns gradients for, in order."""
    arrays = [key for key, x in inputs.items() if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    return [key for key in arrays if key not in case.fixed]


def close(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11 * max(1.0, np.abs(b).max(initial=0)))


def forward(case: Case, inputs: dict[str, Any], seed: int) -> tuple[np.ndarray, Any, np.ndarray]:
    """y, the cache, and a random dy."""
    y, cache = case.forward(**inputs)
    return y, cache, normal(seed, *y.shape)


@every_case
@few
@given(case_sizes(), SEEDS)
def test_backward_is_linear_and_forgets_nothing(name: str, sizes: Sizes, seed: int) -> None:
    case = CASES[name]
    y, cache, a = forward(case, case.inputs(seed, sizes), seed)
    b = normal(seed + 1, *y.shape)
    of_a, of_b = leaves(case.backward(a, cache)), leaves(case.backward(b, cache))
    of_a, of_b = [x.copy() for x in of_a], [x.copy() for x in of_b]
    close(leaves(case.backward(2 * a - 3 * b, cache)), [2 * x - 3 * z for x, z in zip(of_a, of_b)])
    for first, second in zip(of_a, leaves(case.backward(a, cache)), strict=True):
        np.testing.assert_array_equal(first, second)


@every_case
@few
@given(case_sizes(), SEEDS)
def test_nothing_is_written_to(name: str, sizes: Sizes, seed: int) -> None:
    case = CASES[name]
    inputs = case.inputs(seed, sizes)
    before = [x.copy() for x in leaves(inputs)]
    y, cache, dy = forward(case, inputs, seed)
    given_arrays = [*leaves(inputs), *leaves(cache), dy]
    kept = [x.copy() for x in given_arrays]
    case.backward(dy, cache)
    for array, copy in zip([*leaves(inputs), *given_arrays], [*before, *kept], strict=True):
        np.testing.assert_array_equal(array, copy)


@every_case
@few
@given(case_sizes(), SEEDS)
def test_memory_layout_does_not_matter(name: str, sizes: Sizes, seed: int) -> None:
    def strided(x: Any) -> Any:
        """The same numbers, last axis first in memory and with gaps, in arrays and in named tuples of them."""
        if isinstance(x, np.ndarray):
            return np.repeat(x.T, 2, axis=0)[::2].T if x.ndim else x
        return type(x)(*map(strided, x)) if isinstance(x, tuple) else x

    case = CASES[name]
    inputs = case.inputs(seed, sizes)
    y, cache, dy = forward(case, inputs, seed)
    moved, moved_cache, _ = forward(case, {key: strided(x) for key, x in inputs.items()}, seed)
    close([moved, *leaves(case.backward(strided(dy), moved_cache))], [y, *leaves(case.backward(dy, cache))])


@every_sum
@few
@given(case_sizes(), SEEDS)
def test_no_images_give_no_output_and_zero_gradients(name: str, sizes: Sizes, seed: int) -> None:
    case = CASES[name]
    inputs = case.inputs(seed, sizes._replace(B=0))
    y, cache, dy = forward(case, inputs, seed)
    assert y.shape[0] == 0
    gradients = leaves(case.backward(dy, cache))
    assert [g.shape for g in gradients] == [inputs[key].shape for key in differentiable(case, inputs)]
    assert not any(g.any() for g in gradients)


@every_sum
@few
@given(case_sizes(images=2), SEEDS)
def test_images_do_not_see_each_other(name: str, sizes: Sizes, seed: int) -> None:
    """One by one they give what they give together; gradients of what they share add up."""
    case = CASES[name]
    inputs, larger = case.inputs(seed, sizes), case.inputs(seed, sizes._replace(B=sizes.B + 1))
    of_images = {key for key, x in inputs.items() if isinstance(x, np.ndarray) and x.shape != larger[key].shape}
    y, cache, dy = forward(case, inputs, seed)

    def rows(x: Any, i: int) -> Any:
        if isinstance(x, tuple):
            return type(x)(*(rows(part, i) for part in x))
        return x if x is None else x[i : i + 1]

    outputs, gradients = [], []
    for i in range(sizes.B):
        alone = {key: rows(x, i) if key in of_images or key == "masks" else x for key, x in inputs.items()}
        y_alone, cache_alone, _ = forward(case, alone, seed)
        outputs.append(y_alone)
        gradients.append(leaves(case.backward(dy[i : i + 1], cache_alone)))
    together = [
        np.concatenate(parts) if key in of_images else sum(parts)
        for key, parts in zip(differentiable(case, inputs), zip(*gradients), strict=True)
    ]
    close([np.concatenate(outputs), *together], [y, *leaves(case.backward(dy, cache))])
