"""Single branches of operations that choose one by the dtype or the values: each is checked in float64, too."""

from typing import Any

import numpy as np

from ..ops.gelu import GeluCache
from ..ops.normal_cdf import ERF_COEFFICIENTS, _one_plus_exp_in_place, log_odds_against
from ..ops.softmax import SoftmaxCache, _with_maximum, _without_maximum


def gelu_float32_forward(x: np.ndarray) -> tuple[np.ndarray, GeluCache]:
    """GELU as float32 computes it, its own coefficients, in the precision of x."""
    reciprocal = _one_plus_exp_in_place(log_odds_against(x, *ERF_COEFFICIENTS["float32"]))
    return x / reciprocal, GeluCache(x, reciprocal, "erf")


def softmax_fast_forward(x: np.ndarray) -> tuple[Any, SoftmaxCache]:
    """Softmax by the branch that subtracts no maximum."""
    y = _without_maximum(x)
    return y, SoftmaxCache(y)


def softmax_maximum_forward(x: np.ndarray) -> tuple[np.ndarray, SoftmaxCache]:
    """Softmax by the branch that subtracts the row's maximum."""
    y = _with_maximum(x)
    return y, SoftmaxCache(y)
