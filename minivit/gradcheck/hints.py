"""Why a gradient does not match: which entries, which kind of mistake, or whether there is a gradient at all."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from .kinks import has_kink
from .numeric import complex_step, cosine, differences, quick_difference, rms, short_difference, unit
from .raised import raised
from .report import Row
from .search import Search, bisect, block

SAMPLE = 24  # entries of a tensor that are looked at one by one, besides the one that bisection finds


class Failure(NamedTuple):
    """A row that failed, and what it takes to find out why."""

    row: Row
    search: Search
    method: str
    numeric: np.ndarray | None  # the whole numeric gradient, if the method measured it
    rng: np.random.Generator

    @property
    def floor(self) -> float:
        """The size of a typical entry of the gradient."""
        return rms(self.search.gradient[self.search.live])


def explain_failure(failure: Failure, others: Mapping[str, np.ndarray]) -> Row:
    """The failed row with its problem put into words: its worst entry, and what is the matter with the gradient.

    others: the gradients of the tensors of the same shape, by name; one of them may be in this one's place.
    """
    row, search, probe = failure.row._replace(sought=True), failure.search, failure.search.probe
    clear = probe.clear
    if not math.isfinite(row.numeric):
        return row._replace(problem=_without_derivative(search))
    found, numeric = _wrong_entry(failure)
    gap = abs(search.gradient[found] - numeric)
    if gap > clear * failure.floor and has_kink(probe, found, gap, failure.floor):
        return row._replace(
            problem=f"there is no gradient here: the slopes left and right of {_value(search, found)} differ at every "
            "step size, as at a kink (relu at 0, max of equal values) or a jump. Move the inputs away from it and "
            "check again"
        )
    if failure.method == "complex":
        plain = differences(probe, search.direction, failure.floor)
        if abs(plain - row.numeric) > clear * max(abs(plain), failure.floor):
            right = abs(plain - row.analytic) <= clear * max(abs(plain), failure.floor)
            return row._replace(problem=_not_analytic(failure, right))
    if words := _in_another_place(failure, others):
        return row._replace(problem=f"relative error {row.error}; {words}")
    return _describe(failure, found, numeric)


def _wrong_entry(failure: Failure) -> tuple[tuple[int, ...], float]:
    """An entry at which analytic and numeric derivative disagree, by bisection, and its numeric derivative."""
    search = failure.search._replace(derivative=short_difference)
    if failure.numeric is not None:
        worst = tuple(map(int, np.argwhere(search.direction)[0]))
        return worst, float(failure.numeric[worst])
    found = bisect(search.live, search.direction, search.gap)
    return found, differences(search.probe, unit(search.live.shape, found), failure.floor)


def _describe(failure: Failure, found: tuple[int, ...], found_numeric: float) -> Row:
    """The row with its worst entry, and a hint from the entries that were looked at."""
    row, search = failure.row._replace(sought=True), failure.search
    entries, numeric = _sample(failure, found, found_numeric)
    analytic = np.array([search.gradient[index] for index in entries])
    gaps = abs(analytic - numeric)
    worst = int(gaps.argmax())  # NaN counts as the largest
    a, n = float(analytic[worst]), float(numeric[worst])
    angle = cosine(analytic, numeric)
    problem = f"relative error {row.error}; worst entry {_entry(search, entries[worst])}: "
    problem += f"analytic {a:.9g}, numeric {n:.9g}. " + _hint(failure, analytic, numeric, gaps, angle)
    return row._replace(cosine=angle, problem=problem)


def _sample(failure: Failure, found: tuple[int, ...], value: float) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """Some entries, the one that was found first, and their numeric derivatives."""
    search, live = failure.search, failure.search.live
    entries = [tuple(map(int, index)) for index in np.argwhere(live)]
    if failure.numeric is not None:
        return entries, failure.numeric[live]
    if len(entries) > SAMPLE:
        chosen = failure.rng.choice(len(entries), SAMPLE, replace=False)
        entries = [entries[i] for i in chosen]
    entries = [found, *(index for index in entries if index != found)]
    derivative = complex_step if failure.method == "complex" else quick_difference
    others = [derivative(search.probe, unit(live.shape, index)) for index in entries[1:]]
    return entries, np.array([value, *others])


def _hint(failure: Failure, analytic: np.ndarray, numeric: np.ndarray, gaps: np.ndarray, angle: float) -> str:
    """What kind of mistake this looks like, in a sentence or two."""
    clear = failure.search.probe.clear
    if not failure.search.gradient[failure.search.live].any():
        return "The whole gradient is zero: nothing was sent back to this tensor"
    ratio = rms(analytic) / rms(numeric) if numeric.any() else math.inf
    if failure.search.gradient.size == 1 and abs(ratio - 1) > 1e-3:
        return f"It is {math.copysign(ratio, angle):.6g} times what it should be: look for a term, a factor or a sign"
    if angle > 1 - clear**2 and abs(ratio - 1) > clear:
        return f"Every entry is {ratio:.6g} times what it should be: look for a factor"
    if angle < -1 + clear**2:
        return f"Every entry is {-ratio:.6g} times what it should be: look for a sign"
    size = max(rms(analytic), rms(numeric))
    worst = gaps.argmax()
    if (gaps <= 1e-3 * np.maximum(abs(numeric), 0.1 * size)).all() and gaps[worst] <= 1e-3 * abs(numeric[worst]):
        if not gaps.max() > 1e-9 * size:
            return (
                "No entry is wrong by itself: a kink (relu, max, abs) lies within reach of the steps when many entries "
                "move at once. Check fewer entries, or move the inputs away from it"
            )
        digits = int(-math.log10(gaps.max() / abs(numeric).max()))
        return (
            f"They agree to {digits} digits: look for a constant with few digits, an epsilon that backward leaves out, "
            "or a cast to float32"
        )
    wrong = int(((gaps > clear * size) | (gaps > np.maximum(1e-3 * abs(numeric), 1e-9 * size))).sum())
    count = "all" if wrong == gaps.size else f"{wrong} of {gaps.size}"
    where = f"Of the entries looked at, {count} are wrong, at a cosine of {angle:.4f}"
    where += _where(failure, wrong == gaps.size)
    return f"{where}: look for a missing, extra or wrong term, a wrong axis, or a transpose"


def _where(failure: Failure, everywhere: bool) -> str:
    """Where all wrong entries lie, if not everywhere."""
    search = failure.search
    if everywhere and failure.numeric is None:
        return ""
    if failure.numeric is None:
        region = search.region(failure.rng)
    else:
        gaps = abs(search.gradient - failure.numeric) * search.live
        wrong = np.argwhere(gaps > search.probe.clear * max(failure.floor, rms(failure.numeric)))
        region = block([sorted(set(axis.tolist())) for axis in wrong.T], gaps.shape) if len(wrong) else ""
    return f", and the wrong ones all lie in {search.probe.tensor}{region}" if region else ""


def _in_another_place(failure: Failure, others: Mapping[str, np.ndarray]) -> str:
    """Whether the gradient that belongs here was returned for another tensor, or is the transpose of this one."""
    search, row, clear = failure.search, failure.row, failure.search.probe.clear

    def belongs(gradient: np.ndarray) -> bool:
        if failure.numeric is not None:
            return bool(abs((gradient - failure.numeric) * search.live).max() <= clear * rms(failure.numeric))
        value = float((gradient * search.direction).sum())
        return abs(value - row.numeric) <= clear * max(abs(row.numeric), rms(gradient[search.live]))

    for name, gradient in others.items():
        if belongs(gradient):
            return f"what was returned for {name} is the gradient of {search.probe.tensor}: look at the order"
    if search.gradient.ndim > 1 and search.gradient.shape[-1] == search.gradient.shape[-2]:
        if belongs(search.gradient.swapaxes(-1, -2)):
            return "its transpose is the gradient: look for a transpose"
    return ""


def _without_derivative(search: Search) -> str:
    """What is the matter where no step gives a finite derivative."""
    probe = search.probe
    h = probe.step(search.direction) / 2**20
    place = _value(search, bisect(search.live, search.direction, lambda part: probe.slope(part, h)))
    what = f"forward {raised(probe.raised[-1])}" if probe.raised else "forward gives NaN or infinity"
    return f"{what} at every step away from {place}, however small: choose inputs further inside its domain"


def _not_analytic(failure: Failure, right: bool) -> str:
    search = failure.search

    def apart(direction: np.ndarray) -> float:
        length = math.sqrt(float((direction * direction).sum()))
        return complex_step(search.probe, direction) - length * short_difference(search.probe, direction / length)

    index = bisect(search.live, search.direction, apart)
    direction = unit(search.live.shape, index)
    one, two = complex_step(search.probe, direction), quick_difference(search.probe, direction)
    place = _entry(search, index)
    verdict = "as backward does" if right else f"and backward {search.gradient[index]:.9g}"
    return (
        f"forward is not analytic: at {place} the complex step gives {one:.9g}, differences {two:.9g}, {verdict}. "
        "Look for abs, conj, .real or .var in forward, or use method='differences'"
    )


def _entry(search: Search, index: tuple[int, ...]) -> str:
    """An entry: "x[1, 2]"."""
    return f"{search.probe.tensor}{list(index) or ''}"


def _value(search: Search, index: tuple[int, ...]) -> str:
    """An entry and its value: "x[1, 2] = 0"."""
    return f"{_entry(search, index)} = {search.probe.x[index]:.6g}"
