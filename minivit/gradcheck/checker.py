"""check_pair: compare a hand-written backward pass with numerical derivatives of its forward pass."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..rng import GRADIENT_CHECK, generator
from .contract import PairRun, copies, first_bad, run_pair
from .hints import explain_failure
from .numeric import NotComplex, Probe, complex_step, cosine, differences, relative_error, rms, unit
from .report import Report, Row

BOUNDS = {"differences": 1e-8, "complex": 1e-12, "dense": 1e-8}
Zero = str | tuple[str, Any]  # a tensor, or a tensor and an index into it


def check_pair(
    forward: Callable[..., tuple[Any, Any]],
    backward: Callable[..., Any],
    inputs: Mapping[str, Any],
    *,
    method: str = "differences",
    fixed: Sequence[str] = (),
    zeros: Sequence[Zero] = (),
    bound: float | None = None,
    seed: int = 0,
    name: str | None = None,
) -> Report:
    """Check the gradients of one `y, cache = forward(**inputs)` and `gradients = backward(dy, cache)`.

    inputs   what forward takes, by name. Every float64 array among them is checked; other arguments are passed on.
    fixed    names of float arrays that backward returns no gradient for, a dropout mask say.
    zeros    gradients that are zero by the mathematics, as a name or (name, index): they are compared with zero
             instead of being divided by.
    method   "differences": central differences, extrapolated; to about 1e-10. Asks nothing of forward.
             "complex": the complex step, to about 1e-14. Forward must be analytic and take complex128.
             "dense": differences entry by entry, for tiny shapes.
    bound    the largest relative error that passes; 1e-8, for "complex" 1e-12.
    seed     of the random upstream gradient dy and of one random direction for each tensor.

    backward returns the gradients in the order of the checked inputs, alone or in tuples, nested as it likes; None is
    allowed where an input is None. Both are run twice and must give the same, in float64, and write to nothing given.

    The relative error of an analytic a and a numeric n is |a - n|/max(|a| + |n|, floor). The floor is the size that
    such a number typically has: |gradient|/sqrt(entries). So a direction that happens to meet the gradient at a right
    angle is no error, and a tiny tensor is held to the same standard as a large one.

    Raises TypeError for float32 and complex inputs, ValueError for names that are not there or arrays without
    entries. Everything else that goes wrong is in the report.
    """
    checked = _checked(inputs, fixed, zeros, method)
    run = run_pair(forward, backward, inputs, checked, generator(seed, GRADIENT_CHECK))
    rows = list(run.broken)
    gradients = _match(run, checked, inputs)
    if isinstance(gradients, Row):
        rows.append(gradients)
    elif not rows:
        known = [g for x, g in gradients.items() if g is not None and g.shape == inputs[x].shape]
        largest = max([abs(run.dy).max(), *(abs(g).max() for g in known if np.isfinite(g).all())])
        check = _Check(method, BOUNDS[method] if bound is None else bound, float(largest))
        for index, (tensor, gradient) in enumerate(gradients.items(), 1):
            probe = Probe(forward, copies(inputs), tensor, run.dy, checked)
            rows += check.tensor(probe, gradient, zeros, generator(seed, GRADIENT_CHECK, index))
    title = name or getattr(forward, "__name__", "pair").removesuffix("_forward")
    return Report(title, method, BOUNDS[method] if bound is None else bound, seed, tuple(rows))


class _Check(NamedTuple):
    """What the checks of all tensors share."""

    method: str
    bound: float
    largest: float  # the largest gradient entry anywhere

    def tensor(
        self, probe: Probe, gradient: np.ndarray | None, zeros: Sequence[Zero], rng: np.random.Generator
    ) -> Iterator[Row]:
        """The rows of one tensor: one, or one more for a part that is declared zero."""
        x, tensor = probe.x, probe.tensor
        if gradient is None:
            yield Row.failed(tensor, x.shape, "backward returned None for it")
            return
        if gradient.shape != x.shape:
            yield Row.failed(tensor, x.shape, f"its gradient has shape {gradient.shape}, the tensor itself {x.shape}")
            return
        if gradient.dtype != np.float64:
            problem = f"its gradient is {gradient.dtype}, the tensor float64: look for a constant or cast that does it"
            yield Row.failed(tensor, x.shape, problem)
            return
        if not np.isfinite(gradient).all():
            yield Row.failed(tensor, x.shape, f"its gradient is {first_bad(gradient)}")
            return
        live = np.ones(x.shape, bool)
        for zero in zeros:
            if (zero if isinstance(zero, str) else zero[0]) == tensor:
                part = np.zeros(x.shape, bool)
                part[... if isinstance(zero, str) else zero[1]] = True
                title = tensor if isinstance(zero, str) else f"{tensor}, zero part"
                yield self._zero(probe, gradient, part, rng, title)
                live &= ~part
        if live.any():
            yield (self._dense if self.method == "dense" else self._direction)(probe, gradient, live, rng)

    def _derivative(self, probe: Probe, direction: np.ndarray, floor: float) -> float:
        return complex_step(probe, direction) if self.method == "complex" else differences(probe, direction, floor)

    def _direction(self, probe: Probe, gradient: Any, live: Any, rng: np.random.Generator) -> Row:
        direction = _random_unit(live, rng)
        analytic = float((gradient * direction).sum())
        floor = rms(gradient[live])
        try:
            numeric = self._derivative(probe, direction, floor)
        except NotComplex as refusal:
            return Row.failed(probe.tensor, live.shape, str(refusal))
        error = float(relative_error(analytic, numeric, floor))
        row = Row(probe.tensor, live.shape, analytic, numeric, error, None, error <= self.bound)
        return row if row.passed else explain_failure(row, probe, gradient, live, self.method)

    def _dense(self, probe: Probe, gradient: Any, live: Any, rng: np.random.Generator) -> Row:
        numeric = np.zeros(live.shape)
        floor = rms(gradient[live])
        for index in zip(*live.nonzero()):
            numeric[index] = differences(probe, unit(live.shape, index), floor)
        errors = relative_error(gradient, numeric, max(floor, rms(numeric[live]))) * live
        worst = np.unravel_index(errors.argmax(), live.shape)  # NaN counts as the largest
        error = float(errors[worst])
        row = Row(
            probe.tensor, live.shape, float(gradient[worst]), float(numeric[worst]), error,
            cosine(gradient[live], numeric[live]), error <= self.bound,
        )  # fmt: skip
        return row if row.passed else explain_failure(row, probe, gradient, live, self.method)

    def _zero(self, probe: Probe, gradient: Any, part: Any, rng: np.random.Generator, title: str) -> Row:
        direction = _random_unit(part, rng)
        analytic = float(abs(gradient[part]).max())
        try:
            numeric = self._derivative(probe, direction, self.largest)
        except NotComplex as refusal:
            return Row.failed(title, part.shape, str(refusal))
        error = max(analytic, abs(numeric)) / self.largest
        problem = "" if error <= self.bound else (
            f"declared zero, but the largest entry of the gradient is {analytic:.3e} and the derivative {numeric:.3e}"
        )  # fmt: skip
        return Row(title, part.shape, analytic, numeric, error, None, not problem, problem)


def _random_unit(where: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random direction of length 1 in the entries that are true in `where`."""
    direction = rng.standard_normal(where.shape) * where
    return direction / math.sqrt(float((direction * direction).sum()))


def _checked(inputs: Mapping[str, Any], fixed: Sequence[str], zeros: Sequence[Zero], method: str) -> tuple[str, ...]:
    """The names of the inputs to differentiate; raises for what cannot be checked."""
    if method not in BOUNDS:
        raise ValueError(f"unknown method {method!r}: choose one of {', '.join(BOUNDS)}")
    arrays = {name: x for name, x in inputs.items() if isinstance(x, np.ndarray) and x.dtype.kind in "fc"}
    checked = tuple(name for name in arrays if name not in fixed)
    named = [*fixed, *(zero if isinstance(zero, str) else zero[0] for zero in zeros)]
    if missing := [name for name in named if name not in inputs]:
        raise ValueError(f"no input is called {missing[0]!r}: they are {', '.join(inputs)}")
    if not checked:
        raise ValueError(f"nothing to check: no float64 array among the inputs {', '.join(inputs)}")
    for name in checked:
        x = arrays[name]
        if x.dtype.kind == "c":
            raise TypeError(f"{name} is {x.dtype}: give real inputs; the complex step makes its own complex numbers")
        if x.dtype != np.float64:
            raise TypeError(
                f"{name} is {x.dtype}: rounding leaves differences in {x.dtype} with an error of about 1e-3, which "
                "hides real bugs (minivit gradcheck --plot FILE draws it). Check float64, and compare float32 with it"
            )
        if x.size == 0:
            raise ValueError(f"{name} has shape {x.shape}, with no entries to check")
        if not np.isfinite(x).all():
            raise ValueError(f"{name} holds {first_bad(x)}: a gradient exists at finite inputs only")
    return checked


def _match(run: PairRun, checked: tuple[str, ...], inputs: Mapping[str, Any]) -> dict[str, np.ndarray | None] | Row:
    """The gradients by name: those of inputs that are None are left out."""
    gradients = run.gradients
    if len(gradients) != len(checked):
        gradients = [g for g in gradients if g is not None]
    if len(gradients) != len(checked):
        return Row.failed(
            "gradients", (len(run.gradients),),
            f"backward returned {len(run.gradients)} gradients for {len(checked)} inputs ({', '.join(checked)}): "
            "return one for each, in this order, and name the arrays that have none in `fixed`",
        )  # fmt: skip
    return dict(zip(checked, gradients))
