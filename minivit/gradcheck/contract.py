"""One honest run of a pair: what it returns, and whether it keeps the rules that make a gradient checkable."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .report import Row

SAME = 1e-12  # two calls may differ by this, relative to the largest entry: threads may sum in another order


class PairRun(NamedTuple):
    """A forward and a backward pass, and what was wrong with them."""

    y: np.ndarray
    dy: np.ndarray
    gradients: list[Any]
    broken: list[Row]  # rules that were broken


def run_pair(
    forward: Callable[..., tuple[Any, Any]],
    backward: Callable[..., Any],
    inputs: Mapping[str, Any],
    checked: tuple[str, ...],
    rng: np.random.Generator,
) -> PairRun:
    """Run forward twice and backward twice on copies of the inputs, with a random dy.

    The rules: forward gives the same twice, in float64, and finite; backward gives the same twice; neither writes to
    what it was given.
    """
    broken: list[Row] = []

    def complain(tensor: str, problem: str) -> None:
        shape = np.shape(inputs[tensor]) if tensor in inputs else dy.shape if tensor == "dy" else y.shape
        broken.append(Row.failed(tensor, shape, problem))

    work = copies(inputs)
    pair = forward(**work)
    if not (isinstance(pair, tuple) and len(pair) == 2):
        raise TypeError(f"forward must return a pair (y, cache), not {type(pair).__name__}")
    y, cache = np.array(pair[0]), pair[1]
    for tensor in changed(inputs, work):
        complain(tensor, "forward wrote to its input")
    again = np.asarray(forward(**copies(inputs))[0])
    if not same(y, again):
        complain(
            "y", f"not deterministic: forward gave two results for the same inputs, up to {gap(y, again):.1e} apart. "
            "If it draws a dropout mask, draw the mask outside and pass it in; otherwise look for state that it keeps"
        )  # fmt: skip
    if y.dtype != np.float64:
        complain("y", f"forward returned {y.dtype} for float64 inputs: look for a constant or a cast that changes it")
    if not np.isfinite(y).all():
        complain("y", f"forward returned {first_bad(y)}: choose inputs inside the domain")

    dy = np.asarray(rng.standard_normal(y.shape))
    given, work = dy.copy(), copies(work)
    kept = {path: array.copy() for path, array in arrays_in(cache, "cache")}
    gradients = [None if g is None else np.array(g) for g in flatten(backward(given, cache))]
    if not same(given, dy, 0):
        complain("dy", "backward wrote to dy, the gradient it was given")
    written = [path for path, array in arrays_in(cache, "cache") if not same(array, kept[path], 0)]
    second = flatten(backward(dy.copy(), cache))
    names = checked if len(checked) == len(gradients) else tuple(f"gradient {i}" for i in range(len(gradients)))
    for name, one, two in zip(names, gradients, second):
        if one is not None and not same(one, np.asarray(two)):
            reason = f"it writes to {written[0]}" if written else "it draws random numbers or keeps state"
            complain(name, f"backward gave another gradient the second time: {reason}")
    return PairRun(y, dy, gradients, broken)


def copies(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs, the arrays among them copied."""
    return {name: x.copy() if isinstance(x, np.ndarray) else x for name, x in inputs.items()}


def changed(inputs: Mapping[str, Any], work: Mapping[str, Any]) -> list[str]:
    """The names of the arrays that are no longer what they were."""
    return [name for name, x in inputs.items() if isinstance(x, np.ndarray) and not same(x, work[name], 0)]


def same(a: np.ndarray, b: np.ndarray, tolerance: float = SAME) -> bool:
    """Whether two arrays agree, NaN with NaN, within a part of the largest entry."""
    return a.shape == b.shape and (np.array_equal(a, b, equal_nan=a.dtype.kind in "fc") or gap(a, b) <= tolerance)


def gap(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference, relative to the largest entry."""
    with np.errstate(all="ignore"):
        return float(abs(a - b).max() / abs(a).max())


def first_bad(a: np.ndarray) -> str:
    """The first NaN or infinity of an array, and its place: "nan at [1, 0]"."""
    index = tuple(map(int, np.argwhere(~np.isfinite(a))[0]))
    return f"{a[index]} at {list(index)}"


def flatten(tree: Any) -> list[Any]:
    """The leaves of nested tuples and lists, in order."""
    return [leaf for part in tree for leaf in flatten(part)] if isinstance(tree, (tuple, list)) else [tree]


def arrays_in(tree: Any, path: str) -> Iterator[tuple[str, np.ndarray]]:
    """(path, array) of every array in nested (named) tuples, lists and mappings: ("cache.softmax.y", ...)."""
    if isinstance(tree, np.ndarray):
        yield path, tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from arrays_in(value, f"{path}[{key!r}]")
    elif isinstance(tree, (tuple, list)):
        names = [f".{field}" for field in getattr(tree, "_fields", ())] or [f"[{i}]" for i in range(len(tree))]
        for name, value in zip(names, tree):
            yield from arrays_in(value, path + name)
