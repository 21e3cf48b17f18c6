"""Numerical derivatives: of <dy, y>, along a direction, by differences or by the complex step.

Ridders 1982 (doi:10.1016/S0141-1195(82)80057-0) for the extrapolated differences; Squire, Trapp 1998
(doi:10.1137/S003614459631241X) for the complex step.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

STEP = 0.1  # the largest step moves a typical entry by this part of a typical entry
HALVINGS = 16
MORE_HALVINGS = 24  # where a kink within reach of the steps keeps the estimates apart
ROUNDING = 2.0**-51  # of a sum of terms, relative to the sum of their sizes
FLOAT32_ROUNDING = 2.0**-22
MANY = 10000  # entries
CLEAR = 1e-6
MOST_JITTER = 1e8  # times the rounding of y: what is left of its digits is no longer enough
CONVERGED = 1e-11
GOOD_ENOUGH = 1e-9  # after HALVINGS
COMPLEX_STEP = 1e-30


class NotComplex(Exception):
    """The forward pass lost or refused the imaginary part; the message says how, and what to do."""


class Probe(NamedTuple):
    """The number <dy, y> as a function of one of the inputs, the others held still."""

    forward: Callable[..., tuple[Any, Any]]
    inputs: Mapping[str, Any]  # by name, as forward takes them
    tensor: str
    dy: np.ndarray
    y0: np.ndarray  # the output at the inputs
    checked: tuple[str, ...]  # the inputs that are differentiated: the complex step makes them all complex
    raised: list[Exception]  # what forward raised at steps
    rounding: float = ROUNDING
    by_size: bool = False  # steps follow the size of the entries that move, not that of a typical entry of x

    @property
    def clear(self) -> float:
        """Relative; entries that differ by more are wrong beyond doubt."""
        return CLEAR * math.sqrt(self.rounding / ROUNDING)

    @property
    def x(self) -> np.ndarray:
        """The input at hand."""
        return self.inputs[self.tensor]

    def y(self, value: np.ndarray) -> np.ndarray:
        """The output with this value in place of x. A step may leave the domain: then it is NaN, and is not used."""
        try:
            with np.errstate(all="ignore"):
                y = np.asarray(self.forward(**{**self.inputs, self.tensor: value})[0])
            if y.shape != self.y0.shape:
                raise ValueError(f"y has shape {self.y0.shape} at the inputs, but {y.shape} at a step away from them")
        except Exception as error:
            self.raised.append(error)
            return np.full(self.y0.shape, math.nan)
        return y

    def slope(self, direction: np.ndarray, h: float) -> float:
        """The central difference <dy, y(x + h·r) - y(x - h·r)>/2h; its error falls with h² until rounding, which
        grows with 1/h, takes over."""
        shift = h * direction
        with np.errstate(all="ignore"):
            return float((self.dy * (self.y(self.x + shift) - self.y(self.x - shift))).sum()) / (2 * h)

    def bend(self, direction: np.ndarray, h: float) -> float:
        """The slope to the right minus the slope to the left: it falls with h, unless there is a kink at x."""
        shift = h * direction
        with np.errstate(all="ignore"):
            right, left = self.y(self.x + shift) - self.y0, self.y(self.x - shift) - self.y0
            return float((self.dy * (right + left)).sum()) / h

    def step(self, direction: np.ndarray) -> float:
        """The largest h to try along a unit direction: it moves each entry that moves by about STEP typical entries."""
        size = rms(self.x[direction != 0]) if self.by_size else 0.0
        return STEP * (size or rms(self.x) or 1.0) * math.sqrt(np.count_nonzero(direction))

    def noise(self, h: float) -> float:
        """What rounding may add to a slope at step h."""
        return self.rounding * float(abs(self.dy * self.y0).sum()) / h


def differences(probe: Probe, direction: np.ndarray, floor: float = 0.0) -> float:
    """The derivative along a unit direction by central differences, extrapolated to h = 0.

    (1) slope(h) = s + a h² + b h⁴ + ...: from h and h/2, (4·slope(h/2) - slope(h))/3 is free of h², and so on.
    (2) h is halved again and again; of all estimates, the one is kept that moved least from the two that made it.
        That chooses the step for this tensor: small enough for (1), large enough to round little.
    (3) Ends at a change below CONVERGED, relative to the slope or to `floor`, or below what rounding will do to the
        next step: beyond that, estimates agree by chance. Goes on beyond HALVINGS only where nothing has settled:
        one of many entries is near a kink, and no step that reaches it is small enough.
    """
    h = probe.step(direction)
    rounding = probe.noise(h)
    best, smallest = math.nan, math.inf
    before: list[float] = []
    for halving in range(MORE_HALVINGS):
        row = [probe.slope(direction, h / 2**halving)]
        for k, coarse in enumerate(before):
            row.append(row[k] + (row[k] - coarse) / (4 ** (k + 1) - 1))  # (1)
            change = max(abs(row[-1] - row[k]), abs(row[-1] - coarse))
            if change < smallest:  # (2) NaN is never smaller
                best, smallest = row[-1], change
        size = max(abs(best), floor)
        enough = GOOD_ENOUGH if halving + 1 >= HALVINGS else CONVERGED
        if smallest <= max(enough * size, rounding * 2 ** (halving + 1)):  # (3)
            break
        before = row
    return best


def quick_difference(probe: Probe, direction: np.ndarray) -> float:
    """The derivative along a unit direction to about ten digits, from four forward passes."""
    h = probe.step(direction) / (256 if probe.rounding == ROUNDING else 4)
    return (4 * probe.slope(direction, h / 2) - probe.slope(direction, h)) / 3


def short_difference(probe: Probe, direction: np.ndarray) -> float:
    """The derivative along a unit direction to about seven digits, from two forward passes at a step so short that
    few of many entries meet a kink."""
    return probe.slope(direction, short_step(probe, direction))


def short_step(probe: Probe, direction: np.ndarray) -> float:
    """The step of `short_difference`: the shorter, the more entries move."""
    if probe.rounding > ROUNDING:
        return probe.step(direction) / 4
    return probe.step(direction) / (2**14 if np.count_nonzero(direction) < MANY and not probe.by_size else 2**18)


def complex_step(probe: Probe, direction: np.ndarray) -> float:
    """The derivative along a direction as imag(f(x + i·h·r))/h with h = 1e-30.

    f(x + ih) = f(x) + ih·f'(x) - h²·f''(x)/2 - ...: the slope stands alone in the imaginary part, so nothing cancels
    and h can be so small that the rest vanishes. It needs a forward pass that is analytic and takes complex numbers.
    Raises NotComplex where it does not take them.
    """
    inputs = {name: x.astype(complex) if name in probe.checked else x for name, x in probe.inputs.items()}
    inputs[probe.tensor] = probe.x + 1j * COMPLEX_STEP * direction
    advice = "use method='differences'"
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            y = np.asarray(probe.forward(**inputs)[0])
        except Exception as error:
            if isinstance(error, (TypeError, np.exceptions.ComplexWarning)) and "complex" in str(error):
                advice = f"look for a buffer of np.zeros or np.empty without dtype=x.dtype, or a cast, or {advice}"
            said = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
            raise NotComplex(f"forward does not take complex numbers ({said}): {advice}") from error
    if y.dtype.kind != "c":
        raise NotComplex(f"forward lost the imaginary part and returned {y.dtype}: {advice}")
    if y.shape != probe.y0.shape:
        raise NotComplex(f"forward returned shape {y.shape} for complex numbers, {probe.y0.shape} otherwise: {advice}")
    return float((probe.dy * y.imag).sum()) / COMPLEX_STEP


def is_analytic(probe: Probe, direction: np.ndarray, value: float, floor: float) -> bool:
    """Whether differences confirm the value of the complex step along a direction. They do not where forward loses
    the imaginary part on a way, in abs or .var say, or where x is at a kink."""
    gap = abs(differences(probe, direction, floor) - value)
    return not gap > max(probe.clear * max(abs(value), floor), 1e4 * probe.noise(probe.step(direction)))


def along_all(probe: Probe, directions: Mapping[str, np.ndarray]) -> Probe:
    """The same number as a function of t, where several inputs are x + t·r."""

    def forward(t: np.ndarray) -> tuple[Any, Any]:
        return probe.forward(**{**probe.inputs, **{name: probe.inputs[name] + t * r for name, r in directions.items()}})

    return probe._replace(forward=forward, inputs={"t": np.zeros(())}, tensor="t", checked=("t",), raised=[])


def is_only_rounding(probe: Probe, direction: np.ndarray, numeric: float) -> tuple[bool, float]:
    """Whether a derivative is zero but for rounding, and how many times more y jitters than the rounding of its last
    operation explains, as where it is a small difference of large terms.

    Rounding changes y by as much at a normal step as at one a thousand times shorter, a derivative by a thousand
    times as much. So what y jitters by at short steps is all that it may change by at a normal one.
    """
    h = probe.step(direction)
    jitter = max(abs(probe.slope(direction, h / 2**k)) * h / 2**k for k in (10, 11, 12))
    y = max((probe.y0, probe.y(probe.x + h * direction), probe.y(probe.x - h * direction)), key=lambda y: abs(y).sum())
    noise = probe._replace(y0=y).noise(1.0)
    if jitter > MOST_JITTER * noise:  # a jump of y, or what no derivative tells from one
        jitter = 0.0
    smallest = min(abs(numeric), abs(probe.slope(direction, h)))
    return smallest <= max(100 * noise, 10 * jitter) / h, max(1.0, jitter / noise) if noise else 1.0


def unit(shape: tuple[int, ...], index: tuple[int, ...]) -> np.ndarray:
    """The unit direction of one entry."""
    direction = np.zeros(shape)
    direction[index] = 1
    return direction


def random_unit(where: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random direction of length 1 in the entries that are true in `where`."""
    direction = rng.standard_normal(where.shape) * where
    return direction / math.sqrt(float((direction * direction).sum()))


def rms(a: np.ndarray) -> float:
    """The root mean square."""
    return math.sqrt(float((a * a).mean()))


def relative_error(a: Any, n: Any, floor: float) -> Any:
    """|a - n|/max(|a| + |n|, floor), entry by entry; NaN, which no bound lets pass, for 0/0."""
    with np.errstate(all="ignore"):
        return np.divide(abs(a - n), np.maximum(abs(a) + abs(n), floor))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """The cosine of the angle between two gradients: 1 if they point the same way, whatever their lengths."""
    with np.errstate(all="ignore"):
        return float(np.divide((a * b).sum(), rms(a) * rms(b) * a.size))
