"""Where a gradient is wrong: one bad entry by bisection, and the region that holds all of them.

The derivative along a direction is linear in the direction. So the entries of a tensor can be tried half by half: the
wrong entry is in the half whose numeric derivative does not match, and log2(entries) derivatives find one among all.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .numeric import Probe, random_unit, rms, short_step

EACH = 12  # the length of an axis whose every index is tried; of a longer one, the first and the last wrong index

Derivative = Callable[[Probe, np.ndarray], float]
Index = tuple[int, ...]


class Search(NamedTuple):
    """Numeric derivatives of one tensor beside its gradient."""

    probe: Probe
    gradient: np.ndarray
    live: np.ndarray  # the entries to look at
    direction: np.ndarray  # a unit direction in them, along which the two disagree
    derivative: Derivative  # to some digits, and cheap

    def gap(self, direction: np.ndarray) -> float:
        """The analytic minus the numeric derivative along a direction of any length."""
        length = math.sqrt(float((direction * direction).sum()))
        return float((self.gradient * direction).sum()) - length * self.derivative(self.probe, direction / length)

    def is_wrong(self, part: np.ndarray, rng: np.random.Generator) -> bool:
        """Whether there are wrong entries among those that are true in `part`."""
        part = part & self.live
        if not part.any():
            return False
        gap = abs(self.gap(random_unit(part, rng)))
        noise = 30 * self.probe.noise(short_step(self.probe, part))
        return not gap <= max(self.probe.clear * rms(self.gradient[self.live]), noise)

    def region(self, rng: np.random.Generator) -> str:
        """The smallest block that holds every wrong entry, as an index: "[:, :2]"; empty if that is everything, or if
        they are not wrong enough to tell."""
        if not self.is_wrong(self.live, rng):
            return ""
        wrong = [self._wrong_along(axis, rng) for axis in range(self.gradient.ndim)]
        return "" if any(not indices for indices in wrong) else block(wrong, self.gradient.shape)

    def _wrong_along(self, axis: int, rng: np.random.Generator) -> list[int]:
        """The indices along an axis that hold wrong entries; of a long axis, all from the first to the last."""
        length = self.gradient.shape[axis]
        along = np.arange(length).reshape([-1 if i == axis else 1 for i in range(self.gradient.ndim)])

        def holds(start: int, stop: int) -> bool:
            return self.is_wrong(np.broadcast_to((start <= along) & (along < stop), self.gradient.shape), rng)

        if length <= EACH:
            return [i for i in range(length) if holds(i, i + 1)]
        first, stop = 0, length - 1  # the first wrong index lies in first..stop
        while first < stop:
            middle = (first + stop) // 2
            first, stop = (first, middle) if holds(first, middle + 1) else (middle + 1, stop)
        start, last = first, length - 1
        while start < last:
            middle = (start + last + 1) // 2
            start, last = (middle, last) if holds(middle, last + 1) else (start, middle - 1)
        return list(range(first, last + 1))


def bisect(live: np.ndarray, direction: np.ndarray, size: Callable[[np.ndarray], float]) -> Index:
    """The entry that is left when the half of the direction with the larger |size| is kept, again and again."""
    entries = np.flatnonzero(live)
    while len(entries) > 1:
        halves = entries[: len(entries) // 2], entries[len(entries) // 2 :]
        sizes = []
        for half in halves:
            part = np.zeros(live.size)
            part[half] = direction.flat[half]
            found = abs(size(part.reshape(live.shape)))
            sizes.append(math.inf if math.isnan(found) else found)
        entries = halves[int(sizes[1] > sizes[0])]
    return tuple(map(int, np.unravel_index(entries[0], live.shape)))


def block(wrong: list[list[int]], shape: tuple[int, ...]) -> str:
    """The index of a block, from the indices along each axis: "[:, :2]"; empty if it is the whole array."""
    parts = [_part(indices, length) for indices, length in zip(wrong, shape)]
    while parts and parts[-1] == ":":
        parts.pop()
    return f"[{', '.join(parts)}]" if parts else ""


def _part(indices: list[int], length: int) -> str:
    first, last = indices[0], indices[-1]
    if len(indices) == length:
        return ":"
    if len(indices) == 1:
        return str(first)
    if len(indices) < last - first + 1:
        return str(indices)
    return f"{first or ''}:{'' if last == length - 1 else last + 1}"
