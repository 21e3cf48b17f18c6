"""Kinks and jumps: places where y has no gradient, whatever backward returns."""

from functools import partial

import numpy as np

from .numeric import Probe
from .search import Index, bisect

# Two steps each, as parts of the largest: at a kink, the slopes left and right are as far apart at the small one as at
# the large one. Of a million entries, some have another kink within the first pair's reach.
STEPS = ((2**-6, 2**-12), (2**-16, 2**-20))


def find_kink(probe: Probe, live: np.ndarray, direction: np.ndarray, gap: float, floor: float) -> Index | None:
    """The entry at which y bends or jumps, if it does so along a direction, by enough to explain a gap between the
    analytic and the numeric derivative; None if it is smooth there."""
    for wide, narrow in STEPS:
        wide, narrow = wide * probe.step(direction), narrow * probe.step(direction)
        rounding = 2000 * probe.noise(narrow)
        bend, slope = abs(probe.bend(direction, narrow)), abs(probe.slope(direction, narrow))
        if bend > max(gap / 8, 1e-9 * floor, rounding) and bend > abs(probe.bend(direction, wide)) / 2:
            return bisect(live, direction, partial(probe.bend, h=narrow))
        if slope > max(floor, rounding) and slope > (wide / narrow) / 2 * abs(probe.slope(direction, wide)):
            return bisect(live, direction, partial(probe.slope, h=narrow))
    return None
