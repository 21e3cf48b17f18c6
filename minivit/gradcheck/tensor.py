"""The check of one tensor: its gradient along a random direction, or entry by entry, beside numeric derivatives."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .contract import first_bad
from .hints import Failure
from .inputs import Zero, tensor_of
from .numeric import (
    ROUNDING,
    Probe,
    complex_step,
    cosine,
    differences,
    is_analytic,
    is_only_rounding,
    random_unit,
    relative_error,
    rms,
    short_difference,
    unit,
)
from .report import Row, badness
from .search import Search

ZERO = 1e-13  # of the largest gradient: what rounding leaves of a zero
ALMOST_ZERO = 1e-4  # of the largest gradient: more is none, however much rounding is amplified
SMALL = 1e-3  # of a typical entry: what is smaller by far may need steps of its own

Found = Row | Failure


def flaw(tensor: str, shape: tuple[int, ...], gradient: np.ndarray | None, dtypes: Sequence[str]) -> Row | None:
    """The row of a gradient that cannot be compared: none, or one of another shape or dtype, or with a NaN."""
    if gradient is None:
        problem = "backward returned None for it"
    elif gradient.shape != shape:
        problem = f"its gradient has shape {gradient.shape}, the tensor itself {shape}"
    elif gradient.dtype not in dtypes:
        problem = f"its gradient is {gradient.dtype}, the tensor {dtypes[0]}: look for a constant or cast that does it"
    elif not np.isfinite(gradient).all():
        problem = f"its gradient is {first_bad(gradient)}"
    else:
        return None
    return Row.failed(tensor, shape, problem)


class Check(NamedTuple):
    """What the checks of all tensors share."""

    method: str
    bound: float
    largest: float  # the largest gradient entry anywhere
    zeros: Sequence[Zero]
    analytic: bool  # differences confirm the complex step, with all tensors moving at once
    note: str = ""  # of every row

    def tensor(self, probe: Probe, gradient: np.ndarray, rng: np.random.Generator) -> Iterator[Found]:
        """What is found of one tensor: a row, and one more for a part that is declared zero."""
        live = np.ones(probe.x.shape, bool)
        for zero in self.zeros:
            if tensor_of(zero) == probe.tensor:
                part = np.zeros(live.shape, bool)
                part[... if isinstance(zero, str) else zero[1]] = True
                title = probe.tensor if isinstance(zero, str) else f"{probe.tensor}, zero part"
                yield self._declared_zero(probe, gradient, part, rng, title)
                live &= ~part
        if live.any():
            yield (self._dense if self.method == "dense" else self._direction)(probe, gradient, live, rng)

    def _direction(self, probe: Probe, gradient: np.ndarray, live: np.ndarray, rng: np.random.Generator) -> Found:
        """All entries in one direction, and in others those that are too small beside the rest to count in it."""
        found = self._along(probe, gradient, live, rng)
        if isinstance(found, Failure):
            return found if self.method == "complex" else self._by_size(found, live, rng)
        small = live & (abs(gradient) < SMALL**2 * rms(gradient[live]))
        if small.any() and probe.rounding == ROUNDING:
            noise = 1000 * probe.noise(probe.step(small)) + 30 * ROUNDING * self.largest
            other = self._along(probe, gradient, small, rng, noise / self.bound)
            return other if isinstance(other, Failure) else found
        return found

    def _by_size(self, found: Failure, live: np.ndarray, rng: np.random.Generator) -> Found:
        """Another try for a tensor whose entries are of very different sizes, with steps for each size."""
        probe, gradient = found.search.probe._replace(by_size=True), found.search.gradient
        each = [self._along(probe, gradient, part, rng) for part in size_classes(probe.x, live)]
        rows = [one for one in each if isinstance(one, Row)]
        failures = [one for one in each if isinstance(one, Failure)]
        if failures and (rows or found.row.error == "-"):
            return max(failures, key=lambda failure: badness(failure.row))
        if failures or not rows:
            return found
        return max(rows, key=badness)._replace(note=self._noted(f"checked in {len(rows)} parts by size"))

    def _along(
        self, probe: Probe, gradient: np.ndarray, live: np.ndarray, rng: np.random.Generator, floor: float = 0.0
    ) -> Found:
        direction = random_unit(live, rng)
        floor = max(floor, rms(gradient[live]))
        numeric = self._derivative(probe, direction, floor)
        if zero := self._zero(probe, gradient[live], direction, numeric):
            return zero
        analytic = float((gradient * direction).sum())
        error = float(relative_error(analytic, numeric, floor))
        passed = error <= self.bound and (self.analytic or is_analytic(probe, direction, numeric, floor))
        row = Row(probe.tensor, live.shape, analytic, numeric, error, None, passed, "", self.note)
        return row if passed else self._failure(row, probe, gradient, live, direction, rng)

    def _dense(self, probe: Probe, gradient: np.ndarray, live: np.ndarray, rng: np.random.Generator) -> Found:
        numeric = np.zeros(live.shape)
        floor = rms(gradient[live])
        spread = bool(size_classes(probe.x, live))
        for index in zip(*live.nonzero()):
            numeric[index] = differences(probe, unit(live.shape, index), floor)
            if spread and not abs(numeric[index] - gradient[index]) <= self.bound * floor:
                other = differences(probe._replace(by_size=True), unit(live.shape, index), floor)
                if not abs(other - gradient[index]) >= abs(numeric[index] - gradient[index]):
                    numeric[index] = other
        errors = relative_error(gradient, numeric, max(floor, rms(numeric[live]))) * live
        worst = np.unravel_index(errors.argmax(), live.shape)  # NaN counts as the largest
        direction = unit(live.shape, worst)
        if zero := self._zero(probe, gradient[live], direction, float(abs(numeric).max())):
            return zero
        error = float(errors[worst])
        row = Row(
            probe.tensor, live.shape, float(gradient[worst]), float(numeric[worst]), error,
            cosine(gradient[live], numeric[live]), error <= self.bound, "", self.note,
        )  # fmt: skip
        return row if row.passed else self._failure(row, probe, gradient, live, direction, rng, numeric)

    def _failure(
        self, row: Row, probe: Probe, gradient: np.ndarray, live: np.ndarray, direction: np.ndarray,
        rng: np.random.Generator, numeric: np.ndarray | None = None,
    ) -> Failure:  # fmt: skip
        what = "no derivative" if row.error == "-" else f"relative error {row.error}"
        if row.relative_error <= self.bound:
            what = "differences do not confirm the complex step"
        row = row._replace(passed=False, problem=f"{what}; its cause was not sought", sought=False)
        derivative = complex_step if self.method == "complex" else short_difference
        return Failure(row, Search(probe, gradient, live, direction, derivative), self.method, numeric, rng)

    def _derivative(self, probe: Probe, direction: np.ndarray, floor: float) -> float:
        return complex_step(probe, direction) if self.method == "complex" else differences(probe, direction, floor)

    def _zero(self, probe: Probe, gradient: np.ndarray, direction: np.ndarray, numeric: float) -> Row | None:
        """The row of a gradient that is zero by the mathematics: rounding is all that is left on both sides."""
        size = float(abs(gradient).max())
        if size > ALMOST_ZERO * self.largest or not math.isfinite(numeric):
            return None
        only_rounding, jitter = is_only_rounding(probe, direction, numeric)
        if not only_rounding or size > ZERO * probe.rounding / ROUNDING * jitter * self.largest:
            return None
        note = self._noted("zero, to rounding" if size or numeric else "zero: nothing depends on it")
        error = max(size, abs(numeric)) / self.largest
        return Row(probe.tensor, probe.x.shape, size, numeric, error, None, True, "", note)

    def _declared_zero(
        self, probe: Probe, gradient: np.ndarray, part: np.ndarray, rng: np.random.Generator, title: str
    ) -> Row:
        direction = random_unit(part, rng)
        analytic = float(abs(gradient[part]).max())
        numeric = self._derivative(probe, direction, self.largest)
        error = max(analytic, abs(numeric)) / self.largest
        problem = "" if error <= self.bound else (
            f"declared zero, but the largest entry of the gradient is {analytic:.3e} and the derivative {numeric:.3e}"
        )  # fmt: skip
        return Row(title, part.shape, analytic, numeric, error, None, not problem, problem, self.note)

    def _noted(self, note: str) -> str:
        return "; ".join(filter(None, (self.note, note)))


def size_classes(x: np.ndarray, live: np.ndarray) -> list[np.ndarray]:
    """The entries in parts of like size, a factor of 1000 apart; nothing where there are no more small ones than an
    even spread around zero has."""
    typical = rms(x[live])
    small = live & (x != 0) & (abs(x) < SMALL * typical)
    expected = 0.8 * SMALL * live.sum()
    if small.sum() <= expected + 3 * expected**0.5:
        return []
    sizes = np.zeros(x.shape)
    sizes[small] = np.floor(np.log10(abs(x[small]) / typical) / 3)
    return [live & (sizes == size) for size in np.unique(sizes[live])]
