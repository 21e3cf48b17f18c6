"""check_pair: compare a hand-written backward pass with numerical derivatives of its forward pass."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import ConfigTypeError
from ..rng import GRADIENT_CHECK, generator
from .contract import PairRun, copies, run_pair
from .convention import Pair
from .hints import Failure, explain_failure
from .inputs import BOUNDS, Zero, choose_inputs, notes_on
from .numeric import FLOAT32_ROUNDING, ROUNDING, NotComplex, Probe, along_all, complex_step, is_analytic, rms
from .report import Report, Row
from .tensor import Check, Found, flaw

CAUSES = 3  # failing tensors whose cause is sought
FLOAT32_BOUND = 1e-3


class Options(NamedTuple):
    """How a pair is checked; `check_pair` says what they mean."""

    method: str = "differences"
    fixed: Sequence[str] = ()
    zeros: Sequence[Zero] = ()
    bound: float | None = None
    seed: int = 0
    dtype: str = "float64"
    seed_numpy: bool = False
    reuse: bool = False
    causes: int = CAUSES

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Options":
        """The options given by name. Raises ConfigTypeError for a name that is none."""
        if unknown := [name for name in given if name not in cls._fields]:
            raise ConfigTypeError(f"no option is called {unknown[0]!r}: they are {', '.join(cls._fields)}")
        return cls(**given)


def check_pair(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Mapping[str, Any],
    *,
    outputs: int = 1,
    method: str = "differences",
    fixed: Sequence[str] = (),
    zeros: Sequence[Zero] = (),
    bound: float | None = None,
    seed: int = 0,
    name: str | None = None,
    dtype: str = "float64",
    seed_numpy: bool = False,
    reuse: bool = False,
    causes: int = CAUSES,
) -> Report:
    """Check the gradients of one `y, cache = forward(**inputs)` and `gradients = backward(dy, cache)`.

    inputs   what forward takes, by name. Every float64 array among them is checked; other arguments are passed on, and
             the report names those that might have had a gradient.
    outputs  2 for `h, c, cache = forward(**inputs)` and `gradients = backward(dh, dc, cache)`, and so on. A single y
             may be a tuple, list or dictionary of arrays as well; dy then is a tuple or a dictionary.
    fixed    names of float arrays that backward returns no gradient for, a dropout mask say.
    zeros    gradients that are zero by the mathematics, as a name or (name, index): a part of a tensor is compared with
             zero instead of being divided by. A tensor whose whole gradient is zero to rounding passes by itself.
    method   "differences": central differences, extrapolated; to about 1e-10. Asks nothing of forward.
             "complex": the complex step, to about 1e-14. Forward must be analytic and take complex128.
             "dense": differences entry by entry, for tiny shapes.
    bound    the largest relative error that passes; 1e-8, for "complex" 1e-12.
    seed     of the random upstream gradient dy and of one random direction for each tensor.
    dtype    "float32" also takes a layer that computes in float32, whatever it is given, with a bound of 1e-3, which
             its rows name. A layer that can compute in float64 is held to the bound of float64.
    seed_numpy  put numpy.random into the same state before every forward, for a layer that draws from it.
    reuse    also ask that a cache outlives its backward: that a second backward pass on it gives the same.
    causes   for how many failing tensors the cause is sought, those nearest to the output; each takes a hundred or two
             forward passes. The others get the size of their error.

    backward returns the gradients in the order of the checked inputs, alone or in tuples, nested as it likes, or in a
    dictionary by the inputs' names (or "d" and the name), or some in order and the rest in a dictionary; None is
    allowed where an input is None. Where y is a scalar, dy is a number. The two passes run twice, each backward on the
    cache of the forward before it, and must give the same, in float64; forward must not write to its inputs, nor
    backward to dy.

    The relative error of an analytic a and a numeric n is |a - n|/max(|a| + |n|, floor). The floor is the size that
    such a number typically has: |gradient|/sqrt(entries). So a direction that happens to meet the gradient at a right
    angle is no error, and a tiny tensor is held to the same standard as a large one.

    Raises ConfigTypeError (a TypeError) for float32 and complex inputs and for a forward that returns no pair,
    ConfigError (a ValueError) for names that are not there or arrays without entries. Everything else that goes wrong,
    exceptions of forward and backward included, is in the report.
    """
    options = Options(method, fixed, zeros, bound, seed, dtype, seed_numpy, reuse, causes)
    return check(Pair(forward, backward, outputs), inputs, options, name or title(forward))


def check(pair: Pair, inputs: Mapping[str, Any], options: Options, name: str) -> Report:
    """The report of a pair, whatever its convention."""
    state = np.random.get_state()
    if options.seed_numpy:
        key = generator(options.seed, GRADIENT_CHECK, 0, 4).integers(2**32, size=624, dtype=np.uint32)
        pair = pair._replace(numpy_state=("MT19937", key, 624))
    try:
        return _check(pair, inputs, options, name)
    finally:
        if options.seed_numpy:
            np.random.set_state(state)


def _check(pair: Pair, inputs: Mapping[str, Any], options: Options, name: str) -> Report:
    checked = choose_inputs(inputs, options.fixed, options.zeros, options.method, options.dtype)
    if options.dtype == "float32":
        inputs = {name: x.astype("float32").astype("float64") if name in checked else x for name, x in inputs.items()}
    run = run_pair(pair, inputs, checked, generator(options.seed, GRADIENT_CHECK), options.reuse)
    if options.dtype == "float32" and not run.is_float64:
        pair = pair._replace(narrow=checked)
        run = run_pair(pair, inputs, checked, generator(options.seed, GRADIENT_CHECK), options.reuse)
    bound = options.bound
    if bound is None:
        bound = FLOAT32_BOUND if pair.narrow else BOUNDS[options.method]
    rows = list(run.broken)
    if run.y is not None:
        found = list(_tensors(pair, inputs, checked, run, options, bound))
        complained = {row.tensor for row in rows if not row.passed}  # that a number is wrong, too, says nothing new
        found = [one for one in found if isinstance(one, Row) or one.row.tensor not in complained]
        rows += _explain(found, options.causes)
    notes = notes_on(inputs, checked, options.fixed, run.extra)
    if run.stepped and not options.reuse:
        notes.append(f"backward writes to {', '.join(run.stepped)}")
    return Report(name, options.method, bound, options.seed, tuple(rows), tuple(notes))


def _tensors(
    pair: Pair, inputs: Mapping[str, Any], checked: tuple[str, ...], run: PairRun, options: Options, bound: float
) -> Iterator[Found]:
    """What is found of every tensor, one after the other."""
    assert run.y is not None

    def forward(**given: Any) -> tuple[np.ndarray, Any]:
        return pair.evaluate(**(copies(given) if run.written else given))

    dtypes = ("float32", "float64") if pair.narrow else ("float64",)
    flaws = {tensor: flaw(tensor, inputs[tensor].shape, g, dtypes) for tensor, g in run.gradients.items()}
    sound = {tensor: g.astype("float64") for tensor, g in run.gradients.items() if g is not None and not flaws[tensor]}
    largest = float(max([abs(run.dy).max(), *(abs(g).max() for g in sound.values())]))
    note = f"float32: bound {bound:.0e}" if pair.narrow else ""
    rounding = FLOAT32_ROUNDING if pair.narrow else ROUNDING
    probe = Probe(forward, copies(inputs), checked[0], run.dy, run.y, checked, [], rounding)
    analytic = True
    if options.method == "complex":
        rng = generator(options.seed, GRADIENT_CHECK, 0, 5)
        directions = {tensor: (rms(x := inputs[tensor]) or 1.0) * rng.standard_normal(x.shape) for tensor in checked}
        floor = math.sqrt(sum(float(((g * directions[tensor]) ** 2).sum()) for tensor, g in sound.items()))
        line = along_all(probe, directions)
        try:
            analytic = is_analytic(line, np.ones(()), complex_step(line, np.ones(())), floor)
        except NotComplex as refusal:  # by one tensor or by all of them, since all are complex: said once
            yield Row.failed(checked[0], inputs[checked[0]].shape, str(refusal))
            sound = {}
    check = Check(options.method, bound, largest, options.zeros, analytic, note)
    for index, tensor in enumerate(checked, 1):
        if row := flaws.get(tensor):
            yield row
        elif tensor in sound:
            probe = probe._replace(inputs=copies(inputs), tensor=tensor, raised=[])
            yield from check.tensor(probe, sound[tensor], generator(options.seed, GRADIENT_CHECK, index))


def _explain(found: Sequence[Found], causes: int) -> Iterator[Row]:
    """The rows, the last failing ones with their cause."""
    failures = [one for one in found if isinstance(one, Failure)]
    unsought = {id(failure) for failure in failures[: max(0, len(failures) - causes)]}
    for one in found:
        if isinstance(one, Row):
            yield one
        elif id(one) in unsought:
            yield one.row
        else:
            others = [f.search for f in failures if f is not one and f.row.shape == one.row.shape]
            yield explain_failure(one, {other.probe.tensor: other.gradient for other in others})


def title(function: Callable[..., Any]) -> str:
    """What a report calls a function."""
    name = getattr(function, "__name__", getattr(getattr(function, "func", None), "__name__", "pair"))
    return "pair" if name == "<lambda>" else name.removesuffix("_forward")
