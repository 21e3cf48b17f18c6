"""The standard normal distribution function, which GELU needs. NumPy has no erf, so it is computed by exp and a
continued fraction, whose coefficients were fitted until the error is that of rounding in each precision.
Hendrycks, Gimpel 2016 (arXiv:1606.08415), section 2, for the tanh form."""

import math

from ..backend import Array, array_module, errstate

FORMS = ("erf", "tanh", "quick")

# The coefficients of `log_odds_against`, one set for each precision, which make the largest error of Φ as small as
# possible (tests/tools/fit_normal_cdf.py prints them); and those of the approximations, z = LINEAR·x + CUBIC·x³.
ERF_COEFFICIENTS = {
    "float32": (37.48199, ((1097.6743, -24.146273), (-22.156902, 25.933378)), (11.2734365, 0.105268455)),
    "float64": (
        4.595698749902443,
        (
            (171.759912323503, 5.421382896112513), (12.880296233920536, 5.337741152913753),
            (208.21886128841908, 0.619504346092784), (104.06576116707647, 24.262963456595703),
            (319.69562807209496, 8.246727191515083), (-228.34227335307116, 91.51916855910824),
            (-9361.652016058595, 173.81424384091108),
        ),
        (33.530192995362925, 0.03843406930247315),
    ),
}  # fmt: skip
TANH_LINEAR = 2 * math.sqrt(2 / math.pi)
TANH_CUBIC = 0.044715 * TANH_LINEAR
QUICK_LINEAR = 1.702


def normal_cdf(x: Array, form: str = "erf") -> Array:
    """The standard normal distribution function Φ(x), or its tanh or logistic approximation.

    Shapes   x (..., D) float32, float64 or complex128  ->  (..., D), same dtype
    Formula  Φ(x) = 1/(1 + exp(-z)), the logistic function of the log-odds z = log(Φ(x)/(1 - Φ(x))) ("erf"), of
             2√(2/π)·(x + 0.044715 x³) ("tanh": since 1/(1 + exp(-2s)) = (1 + tanh(s))/2) or of 1.702·x ("quick")
    NumPy has no erf, but a fast exp (without AVX-512 twice as fast as its tanh). z is odd and smooth and about 1.6·x
    near 0; where it is large, Φ rounds to 0 or 1, so that an error of z does not matter.
    The absolute error of "erf" is below 1.2e-7 in float32 and 1e-15 in float64, whose coefficients differ. |x| may be
    up to 1e12 in float32 and 1e100 in float64; powers of larger x overflow.
    Raises ValueError for an unknown form.

    >>> normal_cdf(np.array([-1.0, 0.0, 1.0])).round(6)
    array([0.158655, 0.5     , 0.841345])
    >>> normal_cdf(np.array([-1.0, 0.0, 1.0]), "tanh").round(6)
    array([0.158808, 0.5     , 0.841192])
    >>> normal_cdf(np.array([-60.0, 60.0]))
    array([0., 1.])
    """
    return 1 / reciprocal_cdf(x, form)


def reciprocal_cdf(x: Array, form: str = "erf") -> Array:
    """1/Φ(x), what GELU divides by.

    Shapes   x (..., D) float32, float64 or complex128  ->  (..., D), same dtype
    Formula  1 + exp(-z), z as in `normal_cdf`; infinite where the exponential overflows
    Raises ValueError for an unknown form.
    """
    xp = array_module(x)
    if form == "erf":
        against = log_odds_against(x, *ERF_COEFFICIENTS["float32" if x.dtype == xp.float32 else "float64"])
    elif form == "tanh":
        against = x * x
        against *= -TANH_CUBIC
        against -= TANH_LINEAR
        against *= x
    elif form == "quick":
        against = x * -QUICK_LINEAR
    else:
        raise ValueError(f"unknown GELU form {form!r}: choose one of {', '.join(FORMS)}")
    return _one_plus_exp_in_place(against)


def _one_plus_exp_in_place(against: Array) -> Array:
    """Overwrite -z with 1 + exp(-z), the reciprocal of the logistic function of z. Infinite where it overflows."""
    with errstate(over="ignore"):
        array_module(against).exp(against, out=against)
    against += 1
    return against


def log_odds_against(x: Array, b0: float, inner: tuple[tuple[float, float], ...], last: tuple[float, float]) -> Array:
    """log((1 - Φ(x))/Φ(x)), which is -x divided by a continued fraction in x².

    Shapes   x (..., D)  ->  (..., D)
    Formula  y = -x/(c + a₁/(x² + b₁ + a₂/(x² + b₂ + a₃/(x² + b₃)))), computed from the inside out and given in that
             order: b₃, ((a₃, b₂), (a₂, b₁)), (a₁, c)
    Two coefficients take one division and two additions; in a quotient of polynomials they would take two
    multiplications and two additions. No denominator comes near zero. The fraction is x/z and not z/x because x/z,
    falling from √(π/8) = 0.63 at x = 0 to c = 0.11 (in float32), is a sum of positive terms; z/x would begin as
    9.5 - 7.9, a cancellation that loses digits.
    """
    xp = array_module(x)
    square = x * x
    y = square + b0
    for a, b in inner:
        xp.divide(a, y, out=y)
        y += square
        y += b
    a, c = last
    xp.divide(-a, y, out=y)
    y -= c
    return xp.divide(x, y, out=y)
