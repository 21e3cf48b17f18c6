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
ROUNDING = 2.0**-51  # of a sum of terms, relative to the sum of their sizes
CONVERGED = 1e-11
COMPLEX_STEP = 1e-30


class NotComplex(Exception):
    """The forward pass lost or refused the imaginary part; the message says how, and what to do."""


class Probe(NamedTuple):
    """The number <dy, y> as a function of one of the inputs, the others held still."""

    forward: Callable[..., tuple[Any, Any]]
    inputs: Mapping[str, Any]  # by name, as forward takes them
    tensor: str
    dy: np.ndarray
    checked: tuple[str, ...]  # the inputs that are differentiated: the complex step makes them all complex

    @property
    def x(self) -> np.ndarray:
        """The input at hand."""
        return self.inputs[self.tensor]

    def y(self, value: np.ndarray) -> np.ndarray:
        """The output with this value in place of x."""
        with np.errstate(all="ignore"):  # a step may leave the domain; then it gives NaN, and is not used
            return np.asarray(self.forward(**{**self.inputs, self.tensor: value})[0])

    def slope(self, direction: np.ndarray, h: float) -> float:
        """The central difference <dy, y(x + h·r) - y(x - h·r)>/2h; its error falls with h² until rounding, which
        grows with 1/h, takes over."""
        shift = h * direction
        return float((self.dy * (self.y(self.x + shift) - self.y(self.x - shift))).sum()) / (2 * h)

    def bend(self, direction: np.ndarray, h: float) -> float:
        """The slope to the right minus the slope to the left: it falls with h, unless there is a kink at x."""
        shift = h * direction
        y = self.y(self.x)
        return float((self.dy * ((self.y(self.x + shift) - y) + (self.y(self.x - shift) - y))).sum()) / h

    def step(self, direction: np.ndarray) -> float:
        """The largest h to try along a unit direction: it moves each entry that moves by about STEP typical entries."""
        return STEP * (rms(self.x) or 1.0) * math.sqrt(np.count_nonzero(direction))


def differences(probe: Probe, direction: np.ndarray, floor: float = 0.0) -> float:
    """The derivative along a unit direction by central differences, extrapolated to h = 0.

    (1) slope(h) = s + a h² + b h⁴ + ...: from h and h/2, (4·slope(h/2) - slope(h))/3 is free of h², and so on.
    (2) h is halved again and again; of all estimates, the one is kept that moved least from the two that made it.
        That chooses the step for this tensor: small enough for (1), large enough to round little.
    (3) Ends at a change below CONVERGED, relative to the slope or to `floor`, or below what rounding will do to the
        next step: beyond that, estimates agree by chance.
    """
    h = probe.step(direction)
    rounding = ROUNDING * float(abs(probe.dy * probe.y(probe.x)).sum()) / h
    best, smallest = math.nan, math.inf
    before: list[float] = []
    for halving in range(HALVINGS):
        row = [probe.slope(direction, h / 2**halving)]
        for k, coarse in enumerate(before):
            row.append(row[k] + (row[k] - coarse) / (4 ** (k + 1) - 1))  # (1)
            change = max(abs(row[-1] - row[k]), abs(row[-1] - coarse))
            if change < smallest:  # (2) NaN is never smaller
                best, smallest = row[-1], change
        if smallest <= max(CONVERGED * max(abs(best), floor), rounding * 2 ** (halving + 1)):  # (3)
            break
        before = row
    return best


def quick_difference(probe: Probe, direction: np.ndarray) -> float:
    """The derivative along a unit direction to about ten digits, from four forward passes."""
    h = probe.step(direction) / 256
    return (4 * probe.slope(direction, h / 2) - probe.slope(direction, h)) / 3


def complex_step(probe: Probe, direction: np.ndarray) -> float:
    """The derivative along a direction as imag(f(x + i·h·r))/h with h = 1e-30.

    f(x + ih) = f(x) + ih·f'(x) - h²·f''(x)/2 - ...: the slope stands alone in the imaginary part, so nothing cancels
    and h can be so small that the rest vanishes. It needs a forward pass that is analytic and takes complex numbers.
    Raises NotComplex where it does not take them.
    """
    inputs = {name: x.astype(complex) if name in probe.checked else x for name, x in probe.inputs.items()}
    value = probe.x + 1j * COMPLEX_STEP * direction
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            y = probe._replace(inputs=inputs).y(value)
        except (TypeError, np.exceptions.ComplexWarning) as error:
            raise NotComplex(f"forward does not take complex numbers ({error}): use method='differences'") from error
    if y.dtype.kind != "c":
        raise NotComplex(f"forward lost the imaginary part and returned {y.dtype}: use method='differences'")
    return float((probe.dy * y.imag).sum()) / COMPLEX_STEP


def has_kink(probe: Probe, direction: np.ndarray, floor: float) -> bool:
    """Whether y bends or jumps at x itself: at a step 64 times smaller, the slopes to the left and to the right are
    as far apart as before, or the slope is that much larger."""
    wide = probe.step(direction) / 64
    narrow = wide / 64
    rounding = 1e-12 * float(abs(probe.dy * probe.y(probe.x)).sum()) / narrow
    bend, slope = abs(probe.bend(direction, narrow)), abs(probe.slope(direction, narrow))
    bends = bend > 1e-3 * max(slope, floor) and bend > abs(probe.bend(direction, wide)) / 2
    jumps = slope > floor and slope > 32 * abs(probe.slope(direction, wide))
    return (bends and bend > rounding) or (jumps and slope > rounding)


def unit(shape: tuple[int, ...], index: tuple[int, ...]) -> np.ndarray:
    """The unit direction of one entry."""
    direction = np.zeros(shape)
    direction[index] = 1
    return direction


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
