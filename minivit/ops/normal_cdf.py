"""The standard normal distribution function, which GELU needs. NumPy has no erf, so it is computed by tanh and a
continued fraction, whose coefficients were fitted until the error is that of rounding in each precision.
Hendrycks, Gimpel 2016 (arXiv:1606.08415), section 2, for the tanh form."""

import math

from ..backend import Array, array_module

FORMS = ("erf", "tanh")

# The coefficients of `atanh_erf`, one set for each precision, which make the largest error of Φ as small as possible
# (tests/tools/fit_normal_cdf.py prints them); and those of the paper's approximation, √(2/π) and √(2/π)·0.044715.
ERF_COEFFICIENTS = {
    "float32": (37.48199, ((1097.6743, -24.146273), (-22.156902, 25.933378)), (22.546873, 0.21053691)),
    "float64": (
        4.595698749902443,
        (
            (171.759912323503, 5.421382896112513), (12.880296233920536, 5.337741152913753),
            (208.21886128841908, 0.619504346092784), (104.06576116707647, 24.262963456595703),
            (319.69562807209496, 8.246727191515083), (-228.34227335307116, 91.51916855910824),
            (-9361.652016058595, 173.81424384091108),
        ),
        (67.06038599072585, 0.0768681386049463),
    ),
}  # fmt: skip
TANH_LINEAR = math.sqrt(2 / math.pi)
TANH_CUBIC = 0.044715 * TANH_LINEAR


def normal_cdf(x: Array, form: str = "erf") -> Array:
    """The standard normal distribution function Φ(x), or its tanh approximation.

    Shapes   x (..., D) float32, float64 or complex128  ->  (..., D), same dtype
    Formula  Φ(x) = (1 + tanh(s))/2, with s = atanh(erf(x/√2)) ("erf") or √(2/π)·(x + 0.044715 x³) ("tanh")
    NumPy has no erf, but a fast tanh. s is odd and smooth and about 0.8·x near 0; where it is large, tanh(s) rounds to
    1, so that an error of s does not matter.
    The absolute error of "erf" is below 1.2e-7 in float32 (1e-7 with AVX2 or AVX-512) and 1e-15 in float64, whose
    coefficients differ. |x| may be up to 1e12 in float32 and 1e100 in float64; powers of larger x overflow.
    Raises ValueError for an unknown form.

    >>> normal_cdf(np.array([-1.0, 0.0, 1.0])).round(6)
    array([0.158655, 0.5     , 0.841345])
    >>> normal_cdf(np.array([-1.0, 0.0, 1.0]), "tanh").round(6)
    array([0.158808, 0.5     , 0.841192])
    >>> normal_cdf(np.array([-40.0, 40.0]))
    array([0., 1.])
    """
    xp = array_module(x)
    if form == "erf":
        s = atanh_erf(x, *ERF_COEFFICIENTS["float32" if x.dtype == xp.float32 else "float64"])
    elif form == "tanh":
        s = x * x
        s *= TANH_CUBIC
        s += TANH_LINEAR
        s *= x
    else:
        raise ValueError(f"unknown GELU form {form!r}: choose one of {', '.join(FORMS)}")
    return _tanh_cdf_in_place(s)


def _tanh_cdf_in_place(s: Array) -> Array:
    """Overwrite s with a smooth step from 0 to 1.

    Shapes   s (..., D)  ->  (..., D)
    Formula  y = (1 + tanh(s))/2
    """
    array_module(s).tanh(s, out=s)
    s += 1
    s *= 0.5
    return s


def atanh_erf(x: Array, b0: float, inner: tuple[tuple[float, float], ...], last: tuple[float, float]) -> Array:
    """atanh(erf(x/√2)), which is x divided by a continued fraction in x².

    Shapes   x (..., D)  ->  (..., D)
    Formula  y = x/(c + a₁/(x² + b₁ + a₂/(x² + b₂ + a₃/(x² + b₃)))), computed from the inside out and given in that
             order: b₃, ((a₃, b₂), (a₂, b₁)), (a₁, c)
    Two coefficients take one division and two additions; in a quotient of polynomials they would take two
    multiplications and two additions. No denominator comes near zero. The fraction is x/y and not y/x because x/y,
    falling from √(π/2) = 1.25 at x = 0 to c = 0.21 (in float32), is a sum of positive terms; y/x would begin as
    4.75 - 3.95, a cancellation that loses digits.
    """
    xp = array_module(x)
    square = x * x
    y = square + b0
    for a, b in inner:
        xp.divide(a, y, out=y)
        y += square
        y += b
    a, c = last
    xp.divide(a, y, out=y)
    y += c
    return xp.divide(x, y, out=y)
