"""One honest run of a pair: what it returns, and whether it keeps the rules that make a gradient checkable."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .convention import NotAnArray, Pair, Result
from .gradients import Matched, match
from .gradients import flatten as flatten
from .raised import raised
from .report import Row

SAME = 1e-12  # two calls may differ by this, relative to the largest entry: threads may sum in another order
FLOAT32_SAME = 1e-5


class PairRun(NamedTuple):
    """A forward and a backward pass, and what was wrong with them."""

    y: np.ndarray | None  # the outputs, joined; None if there is nothing to differentiate
    dy: np.ndarray
    gradients: dict[str, np.ndarray | None]
    broken: list[Row]  # rules that were broken
    written: list[str]  # inputs that forward writes to
    stepped: list[str]  # inputs that backward writes to
    extra: list[str]  # the names of gradients that nobody asked for
    is_float64: bool  # outputs and gradients are


class _Stop(Exception):
    """The run cannot go on; the row says why."""

    def __init__(self, row: Row) -> None:
        self.row = row


def run_pair(
    pair: Pair, inputs: Mapping[str, Any], checked: Sequence[str], rng: np.random.Generator, reuse: bool = False
) -> PairRun:
    """Run forward, backward, forward, backward on copies of the inputs, with a random dy.

    The rules: forward gives the same twice, in float64, and finite; backward gives the same twice, each time on the
    cache of a forward pass of its own; forward writes to no input, and backward not to dy. With `reuse`, backward
    writes to nothing, and gives the same once more on a cache that was used already.
    """
    rows: list[Row] = []
    work = copies(inputs)
    try:
        result, leaves = _forward(pair, work)
        written = changed(inputs, work)
        rows += [Row.failed(name, inputs[name].shape, "forward wrote to its input") for name in written]
        y = result.joined().astype("float64")
        dy = np.ones(y.shape) if pair.ones else np.asarray(rng.standard_normal(y.shape))
        if pair.narrow:
            dy = dy.astype("float32").astype("float64")
        given = dy.copy()
        first = match(_backward(pair, given, result), inputs, checked)
        if not same(given, dy, 0):
            rows.append(Row.failed("dy", dy.shape, "backward wrote to dy, the gradient it was given"))
        stepped = [name for name in changed(inputs, work) if name not in written]

        result, others = _forward(pair, copies(inputs), " at its second call, not at the first: it keeps state")
        tolerance = FLOAT32_SAME if pair.narrow else SAME
        _stop_if_random(leaves, others, tolerance)
        kept = [(path, array.copy()) for path, array in arrays_in(result.cache, "cache")] if reuse else []
        returned = _backward(pair, dy.copy(), result, " at its second call, not at the first: it keeps state")
        second = match(returned, inputs, checked)
        rows += _compare(first.gradients, second.gradients, tolerance)
        if reuse:
            rows += [Row.failed(name, inputs[name].shape, "backward wrote to its input") for name in stepped]
            rows += _use_again(pair, dy.copy(), result, kept, second, inputs)
    except _Stop as stop:
        return PairRun(None, np.zeros(()), {}, [*rows, stop.row], [], [], [], False)
    arrays = [a for _, a in leaves] + [g for g in first.gradients.values() if g is not None]
    is_float64 = all(a.dtype == np.float64 for a in arrays)
    return PairRun(y, dy, first.gradients, rows + first.wrong, written, stepped, first.extra, is_float64)


def _forward(pair: Pair, inputs: Mapping[str, Any], when: str = "") -> tuple[Result, list[tuple[str, np.ndarray]]]:
    """What forward returned, and its outputs by name, copied."""
    try:
        returned = pair.run_forward(inputs)
    except Exception as error:
        raise _Stop(Row.failed("forward", (), raised(error, pair.forward) + when)) from error
    result = pair.result(returned)
    try:
        leaves = [(name, np.array(y)) for name, y in result.leaves()]
    except NotAnArray as error:
        raise _Stop(Row.failed("y", (), str(error))) from error
    for name, y in leaves:
        problem = ""
        if y.size == 0:
            problem = f"forward returned shape {y.shape}, with no entries to differentiate"
        elif y.dtype != np.float64 and not (pair.narrow and y.dtype == np.float32):
            problem = (
                f"forward returned {y.dtype} for float64 inputs: look for a constant or a cast that changes it "
                "(dtype='float32' checks a layer that computes in float32 only)"
            )
        elif not np.isfinite(y).all():
            problem = f"forward returned {first_bad(y)}: choose inputs inside the domain"
        if problem:
            raise _Stop(Row.failed(name, y.shape, problem))
    return result, leaves


def _backward(pair: Pair, dy: np.ndarray, result: Result, when: str = "") -> Any:
    try:
        return pair.run_backward(dy, result)
    except Exception as error:
        raise _Stop(Row.failed("backward", (), raised(error, pair.backward) + when)) from error


def _stop_if_random(one: list[tuple[str, np.ndarray]], two: list[tuple[str, np.ndarray]], tolerance: float) -> None:
    for (name, y), (_, again) in zip(one, two):
        if not same(y, again, tolerance):
            apart = f"up to {gap(y, again):.1e} apart" if y.shape == again.shape else f"{y.shape} and {again.shape}"
            problem = (
                f"not deterministic: forward gave two results for the same inputs, {apart}. If it draws a dropout "
                "mask, draw the mask outside and pass it in, or say seed_numpy=True; otherwise look for state that it "
                "keeps (check_layer copies an object for every forward)"
            )
            raise _Stop(Row.failed(name, y.shape, problem))


def _compare(first: Mapping[str, Any], second: Mapping[str, Any], tolerance: float) -> Iterator[Row]:
    """A row for every gradient that is another one the second time."""
    for name, one in first.items():
        two = second.get(name)
        if one is None or (two is not None and same(one, two, tolerance)):
            continue
        if two is not None and same(2 * one, two, tolerance):
            problem = "backward adds to the gradient of the call before: it must start from zero"
        else:
            problem = "backward gave another gradient the second time: it draws random numbers or keeps state"
        yield Row.failed(name, one.shape, problem)


def _use_again(
    pair: Pair, dy: np.ndarray, result: Result, kept: list[tuple[str, np.ndarray]], before: Matched,
    inputs: Mapping[str, Any],
) -> Iterator[Row]:  # fmt: skip
    """A row if a second backward pass on one cache fails or gives something else."""
    now = dict(arrays_in(result.cache, "cache"))
    written = [path for path, array in kept if path not in now or not same(now[path], array, 0)]
    reason = f"it writes to {written[0]}" if written else "it keeps state"
    try:
        again = match(pair.run_backward(dy, result), inputs, list(before.gradients)).gradients
    except Exception as error:
        yield Row.failed("cache", (), f"a second backward on it {raised(error, pair.backward)}: {reason}")
        return
    if any(_compare(before.gradients, again, SAME)):
        yield Row.failed("cache", (), f"backward gave another gradient the second time on one cache: {reason}")
    elif written:
        yield Row.failed("cache", (), f"a cache must outlive its backward: {reason}")


def copies(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs, the arrays among them copied."""
    return {name: x.copy() if isinstance(x, np.ndarray) else x for name, x in inputs.items()}


def changed(inputs: Mapping[str, Any], work: Mapping[str, Any]) -> list[str]:
    """The names of the arrays that are no longer what they were."""
    return [name for name, x in inputs.items() if isinstance(x, np.ndarray) and not same(x, work[name], 0)]


def same(a: np.ndarray, b: np.ndarray, tolerance: float = SAME) -> bool:
    """Whether two arrays agree, NaN with NaN, within a part of the largest entry."""
    if a.shape != b.shape:
        return False
    return np.array_equal(a, b, equal_nan=a.dtype.kind in "fc") or (a.size > 0 and gap(a, b) <= tolerance)


def gap(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference, relative to the largest entry."""
    with np.errstate(all="ignore"):
        return float(abs(a - b).max() / abs(a).max())


def first_bad(a: np.ndarray) -> str:
    """The first NaN or infinity of an array, and its place: "nan at [1, 0]"."""
    index = tuple(map(int, np.argwhere(~np.isfinite(a))[0]))
    return f"{a[index]} at {list(index)}"


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
