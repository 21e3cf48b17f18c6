"""GELU: a smooth gate. Each feature is multiplied by the probability that a standard normal variable is smaller, so
large features pass almost unchanged and very negative ones become almost zero. Unlike ReLU, it
has a nonzero slope for negative features (except at one point), so these can still learn.
Hendrycks, Gimpel 2016 (arXiv:1606.08415), section 2."""

import math
from typing import NamedTuple

from ..backend import Array, array_module, fused
from .normal_cdf import QUICK_LINEAR, TANH_CUBIC, TANH_LINEAR, reciprocal_cdf


class GeluCache(NamedTuple):
    x: Array  # (..., D)
    reciprocal: Array  # (..., D), 1/Φ(x)
    form: str


def gelu_forward(x: Array, form: str = "erf") -> tuple[Array, GeluCache]:
    """Multiply every entry x by Φ(x), the standard normal distribution function.

    Shapes   x (..., D)  ->  y (..., D)
    Formula  y = x·Φ(x), with Φ(x) = (1 + erf(x/√2))/2 exactly ("erf"), by the paper's tanh formula ("tanh"), or with
             the logistic function in its place, y = x·σ(1.702·x) ("quick", QuickGELU, as in OpenAI's CLIP)
    Cache    x and 1/Φ(x) = 1 + exp(-z) (normal_cdf.py): x divided by it is y.

    >>> y, cache = gelu_forward(np.array([-2.0, 0.0, 2.0]))
    >>> y.round(4)
    array([-0.0455,  0.    ,  1.9545])
    >>> gelu_backward(np.ones(3), cache).round(4)  # the slope
    array([-0.0852,  0.5   ,  1.0852])
    """
    reciprocal = fused(lambda x: reciprocal_cdf(x, form), x)
    return x / reciprocal, GeluCache(x, reciprocal, form)


def gelu_backward(dy: Array, cache: GeluCache) -> Array:
    """Given dy (..., D) and the cache, return dx (..., D).

    Derivation, entry by entry.
      (1) y = x·Φ(x) holds x twice: dy/dx = Φ(x) + x·Φ'(x).
      (2) "erf": the slope of the distribution function is the density, Φ'(x) = exp(-x²/2)/√(2π).
      (3) "tanh": Φ = 1/(1 + exp(-z)) with z = 2√(2/π)·(x + a x³), a = 0.044715. The slope of the logistic function is
          Φ(1 - Φ), so Φ'(x) = Φ(1 - Φ)·z'(x) with z'(x) = 2√(2/π)·(1 + 3a x²).
      (4) "quick": the same with z = 1.702·x: z'(x) = 1.702.
    Facts    the slope is 1/2 at 0, and slope(x) + slope(-x) = 1. It is negative below x = -0.7518, where GELU has
             its minimum.
    """
    xp = array_module(dy)
    x, reciprocal, form = cache

    def slope_times(dy: Array, x: Array, reciprocal: Array) -> Array:
        cdf = 1 / reciprocal
        slope = x * x
        if form == "erf":
            slope *= -0.5  # (2)
            xp.exp(slope, out=slope)
            slope *= 1 / math.sqrt(2 * math.pi)
        else:
            linear, cubic = (TANH_LINEAR, TANH_CUBIC) if form == "tanh" else (QUICK_LINEAR, 0.0)
            slope *= 3 * cubic  # (3) (4)
            slope += linear
            slope *= cdf
            slope *= 1 - cdf
        slope *= x  # (1)
        slope += cdf
        slope *= dy
        return slope

    return fused(slope_times, dy, x, reciprocal)
