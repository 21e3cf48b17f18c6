"""Why a gradient does not match: which entry, which kind of mistake, or whether there is a gradient at all."""

import math

import numpy as np

from .numeric import Probe, complex_step, cosine, has_kink, quick_difference, rms, unit
from .report import Row

SAMPLE = 200  # entries of a tensor that are looked at one by one
CLEAR = 1e-6  # relative; entries that differ by more are wrong beyond doubt


def explain_failure(row: Row, probe: Probe, gradient: np.ndarray, live: np.ndarray, method: str) -> Row:
    """The failed row with its problem put into words: its worst entry, and what is the matter with the gradient."""
    entries = [tuple(map(int, index)) for index in np.argwhere(live)]
    entries = entries[:: -(-len(entries) // SAMPLE)]
    floor = rms(gradient[live])
    if has_kink(probe, live / math.sqrt(len(live.nonzero()[0])), floor):
        bent = next((index for index in entries if has_kink(probe, unit(live.shape, index), floor)), entries[0])
        place = f"{probe.tensor}{list(bent)} = {probe.x[bent]:.6g}"
        return row._replace(
            problem=f"there is no gradient here: the slopes left and right of {place} differ at every step size, "
            "as at a kink (relu at 0) or a jump. Move the inputs away from it and check again"
        )
    derivative = complex_step if method == "complex" else quick_difference
    analytic = np.array([gradient[index] for index in entries])
    numeric = np.array([derivative(probe, unit(live.shape, index)) for index in entries])
    gaps = abs(analytic - numeric)
    worst = int(gaps.argmax())  # NaN counts as the largest
    a, n = float(analytic[worst]), float(numeric[worst])
    place = f"{probe.tensor}{list(entries[worst])}"
    if method == "complex":
        plain = quick_difference(probe, unit(live.shape, entries[worst]))
        if abs(plain - a) <= CLEAR * max(abs(a), floor) < abs(n - a):
            return row._replace(
                problem=f"forward is not analytic: at {place} the complex step gives {n:.9g}, differences {plain:.9g}, "
                "as backward does. Look for abs, conj, .real or .var in forward, or use method='differences'"
            )
    angle = cosine(analytic, numeric)
    problem = f"relative error {row.relative_error:.1e}; worst entry {place}: analytic {a:.9g}, numeric {n:.9g}"
    return row._replace(cosine=angle, problem=problem + _hint(analytic, numeric, gaps, angle, abs(probe.dy).max()))


def _hint(analytic: np.ndarray, numeric: np.ndarray, gaps: np.ndarray, angle: float, scale: float) -> str:
    """What kind of mistake this looks like, as the end of a sentence."""
    if not analytic.any() and not numeric.any():
        return ". Nothing depends on this tensor: is it used, or was its branch dropped? If so, declare it in `zeros`"
    if max(abs(analytic).max(), abs(numeric).max()) <= 1e-12 * scale:
        return ". Both are about zero: if the gradient is zero by the mathematics, declare it in `zeros`"
    if not analytic.any():
        return ". The whole gradient is zero: nothing was sent back to this tensor"
    ratio = rms(analytic) / rms(numeric) if numeric.any() else math.inf
    if angle > 1 - CLEAR**2 and abs(ratio - 1) > CLEAR:
        return f". Every entry is {ratio:.6g} times what it should be: look for a factor"
    if angle < -1 + CLEAR**2:
        return f". Every entry is {-ratio:.6g} times what it should be: look for a sign"
    wrong = int((gaps > CLEAR * max(rms(analytic), rms(numeric))).sum())
    count = "all" if wrong == gaps.size else f"{wrong} of {gaps.size}"
    where = f"Of the entries looked at, {count} are wrong, at a cosine of {angle:.4f}"
    return f". {where}: look for a missing, extra or wrong term, a wrong axis, or a transpose"
