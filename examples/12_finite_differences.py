"""Is a gradient right? Move the input a little and measure how much the output changes: (f(x + h) - f(x - h)) / 2h.

If h is too large, the error is truncation, about h²; if h is too small, it is rounding, about eps/h. It is smallest in
between, at the tip of the V, near h = eps^(1/3) times the function's own scale: 6e-6 in float64 and 5e-3 in float32.
There about ten digits are right in float64 and four in float32, which is why gradients are checked in float64. Where h
is so small that x + h = x, the difference is zero: the flat part of the curve of float32. The complex step has no such
limit: the imaginary part of f(x + ih) = f + ih·f' - h²·f''/2 - ... is h·f' up to h³, and nothing is subtracted.
minivit.gradcheck does all this for your own layers.
"""

import numpy as np
from common import BLUE, GREEN, GREY, ORANGE, new_figure, save

from minivit.ops import layernorm_backward, layernorm_forward
from minivit.rng import GRADIENT_CHECK, generator

rng = generator(0, GRADIENT_CHECK)
x, dy = rng.standard_normal((2, 5, 12))
gamma, beta = rng.standard_normal((2, 12))
directions = [r / np.linalg.norm(r) for r in rng.standard_normal((16, 5, 12))]  # a single one may be accurate by chance


def f(x: np.ndarray) -> np.ndarray:
    """A scalar function of a LayerNorm's output, in the precision of x."""
    y, _ = layernorm_forward(x, gamma.astype(x.dtype), beta.astype(x.dtype))
    return (dy.astype(x.dtype) * y).sum()


_, cache = layernorm_forward(x, gamma, beta)
dx = layernorm_backward(dy, cache)[0]  # to be checked: <dx, r> is the slope along r


def difference(r: np.ndarray, h: float, dtype: str) -> float:
    above, below = (f((x + side * r).astype(dtype)) for side in (h, -h))
    return float(above - below) / (2 * h)


methods = {
    "differences in float32": lambda r, h: difference(r, h, "float32"),
    "differences in float64": lambda r, h: difference(r, h, "float64"),
    "complex step in float64": lambda r, h: f(x + 1j * h * r).imag / h,  # imag f(x + ih) / h: nothing is subtracted
}
steps = 10.0 ** np.arange(-14, 0.01, 0.25)
errors = {}
for name, slope in methods.items():
    misses = [[slope(r, h) - (dx * r).sum() for r in directions] for h in steps]  # (steps, directions)
    errors[name] = np.sqrt(np.square(misses).mean(1)) / np.linalg.norm(dx) * np.sqrt(dx.size)
    best = errors[name].argmin()
    print(f"{name:<24} best at h = {steps[best]:.0e}: off by {errors[name][best]:.0e}")
assert errors["differences in float64"].min() < 1e-9 < 1e-5 < errors["differences in float32"].min()

figure = new_figure(4.2)
axes = figure.subplots()
for error, colour, style in zip(errors.values(), (ORANGE, BLUE, GREEN), ("-", "-", "--")):
    axes.loglog(steps, error, style, color=colour, linewidth=2)
for at, height, name, colour in ((1e-13, 2, 0, ORANGE), (1e-11, 1e-4, 1, BLUE), (1e-12, 3e-15, 2, GREEN)):
    axes.text(at, height, list(errors)[name], color=colour, va="bottom")
axes.text(1e-2, 1e-10, "h too large:\ntruncation,\nerror ∝ h²", color=GREY)
axes.text(2e-14, 1e-9, "h too small: rounding,\nerror ∝ 1/h", color=GREY)
axes.set(xlabel="step h", ylabel="relative error of the slope", ylim=(1e-17, 300), xlim=(1e-14, 1))
save(figure, __file__)
