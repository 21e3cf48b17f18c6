"""GELU: a smooth switch. Each feature is multiplied by the probability that a standard normal number lies below it,
so large ones pass, very negative ones vanish, and in between there is a slope everywhere to learn by.
Hendrycks, Gimpel 2016 (arXiv:1606.08415), section 2."""

import math
from typing import NamedTuple

from ..backend import Array, array_module

FORMS = ("erf", "tanh")


class GeluCache(NamedTuple):
    x: Array  # (..., D)
    cdf: Array  # (..., D)
    form: str


def gelu_forward(x: Array, form: str = "erf") -> tuple[Array, GeluCache]:
    """Multiply every entry by its normal probability.

    Shapes   x (..., D)  ->  y (..., D)
    Formula  y = x·Φ(x), with Φ(x) = (1 + erf(x/√2))/2 exactly ("erf") or by the paper's formula ("tanh")
    Cache    x and Φ(x), the first of the slope's two terms.
    """
    cdf = normal_cdf(x, form)
    return x * cdf, GeluCache(x, cdf, form)


def gelu_backward(dy: Array, cache: GeluCache) -> Array:
    """Given dy (..., D) and the cache, return dx (..., D).

    Derivation, entry by entry.
      (1) y = x·Φ(x) holds x twice: dy/dx = Φ(x) + x·Φ'(x).
      (2) "erf": the slope of the distribution function is the density, Φ'(x) = exp(-x²/2)/√(2π).
      (3) "tanh": Φ = (1 + tanh s)/2 with s = √(2/π)·(x + a x³), a = 0.044715. The slope of tanh is 1 - tanh²,
          which is 4Φ(1 - Φ), so Φ'(x) = 2Φ(1 - Φ)·s'(x) with s'(x) = √(2/π)·(1 + 3a x²).
    Facts    the slope is 1/2 at 0, and slope(x) + slope(-x) = 1. It is negative below x = -0.7518, where GELU turns.
    """
    xp = array_module(dy)
    x, cdf, form = cache
    slope = x * x
    if form == "erf":
        slope *= -0.5  # (2)
        xp.exp(slope, out=slope)
        slope *= 1 / math.sqrt(2 * math.pi)
    else:
        (linear, cubic), _ = TANH
        slope *= 3 * cubic  # (3)
        slope += linear
        slope *= 2 * cdf
        slope *= 1 - cdf
    slope *= x  # (1)
    slope += cdf
    slope *= dy
    return slope


# Every form of the normal distribution function here is (1 + tanh(x·P(x²)/Q(x²)))/2, and differs in P and Q only,
# given from the constant term up. FITTED: minimax fits of atanh(erf(x/√2)), one for each precision
# (tests/tools/fit_normal_cdf.py prints them). TANH: the paper's approximation, √(2/π)·(x + 0.044715 x³).
FITTED: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "float32": (
        (0.7978845795698304, 0.09891070679722125, 0.007522918097307412, 0.0001915734952377949),
        (1.0, 0.07842638972126315, 0.005903236276840508, 4.0333272631923136e-05),
    ),
    "float64": (
        (
            0.7978845608028639, 0.17224713275449774, 0.024190892263240404, 0.0021089715375058205,
            0.00013252511153988902, 5.635929578034684e-06, 1.608249464722353e-07, 2.425762035361695e-09,
            7.729851187260892e-12,
        ),
        (
            1.0, 0.17033984247070283, 0.022607872247628235, 0.0016869109162765464, 9.78836281844186e-05,
            3.4567541764601357e-06, 8.493531857339107e-08, 7.048306166253853e-10, 5.941792724579789e-13,
        ),
    ),
}  # fmt: skip
TANH = ((math.sqrt(2 / math.pi), math.sqrt(2 / math.pi) * 0.044715), (1.0,))


def normal_cdf(x: Array, form: str = "erf") -> Array:
    """The standard normal distribution function Φ(x), or the tanh form's stand-in for it.

    Shapes   x (..., D) float32, float64 or complex128  ->  (..., D), same dtype
    Formula  Φ(x) = (1 + tanh(x·P(x²)/Q(x²)))/2
    The error of "erf" is below 1e-7 in float32 and 1e-15 in float64: the dtype chooses the coefficients. They hold for
    |x| up to 1e7 in float32 and 1e19 in float64, beyond which powers of x overflow.
    Raises ValueError for an unknown form.
    """
    xp = array_module(x)
    if form not in FORMS:
        raise ValueError(f"unknown GELU form {form!r}: choose one of {', '.join(FORMS)}")
    P, Q = TANH if form == "tanh" else FITTED["float32" if x.dtype == xp.float32 else "float64"]
    return tanh_cdf(x, P, Q)


def tanh_cdf(x: Array, P: tuple[float, ...], Q: tuple[float, ...]) -> Array:
    """(1 + tanh(x·P(x²)/Q(x²)))/2, entry by entry, for coefficients from the constant term up.

    Shapes   x (..., D)  ->  (..., D)
    """
    xp = array_module(x)
    square = x * x
    cdf = _polynomial(P, square)
    if len(Q) > 1:
        cdf /= _polynomial(Q, square)
    cdf *= x
    xp.tanh(cdf, out=cdf)
    cdf += 1
    cdf *= 0.5
    return cdf


def _polynomial(coefficients: tuple[float, ...], t: Array) -> Array:
    """Horner's rule for a polynomial of degree one or more, coefficients from the constant term up."""
    *rest, last = coefficients
    y = t * last
    y += rest.pop()
    for coefficient in reversed(rest):
        y *= t
        y += coefficient
    return y
