"""Kinks and jumps: places where y has no gradient, whatever backward returns."""

from .numeric import Probe, unit

# Two steps each, as parts of the largest: at a kink, the slopes left and right are as far apart at the small one as at
# the large one. The second pair is for a tensor with other kinks within reach of the first.
STEPS = ((2**-6, 2**-12), (2**-16, 2**-20))


def has_kink(probe: Probe, index: tuple[int, ...], gap: float, floor: float) -> bool:
    """Whether y bends or jumps at an entry of x, by enough to explain a gap between its analytic and its numeric
    derivative.

    floor: the size of a typical entry of the gradient
    """
    direction = unit(probe.x.shape, index)
    for wide, narrow in STEPS:
        wide, narrow = wide * probe.step(direction), narrow * probe.step(direction)
        rounding = 2000 * probe.noise(narrow)
        bend, slope = abs(probe.bend(direction, narrow)), abs(probe.slope(direction, narrow))
        if bend > max(gap / 8, rounding) and bend > abs(probe.bend(direction, wide)) / 2:
            return True
        if slope > max(floor, rounding) and slope > wide / narrow / 2 * abs(probe.slope(direction, wide)):
            return True
    return False
