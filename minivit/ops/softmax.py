"""Softmax: turn a row of scores into positive weights that sum to one; the largest score gets the largest weight.
Attention uses it to weigh the tokens' values.
Bridle 1990 (doi:10.1007/978-3-642-76153-9_28); the scores' maximum is subtracted only where it is needed."""

from typing import NamedTuple

from ..backend import Array, array_module, errstate, fused, is_host_float
from .reductions import row_dots, row_sums

SAFE = 2.0**60  # row sums in [1/SAFE, SAFE] can neither have overflowed nor lost a digit to underflow


class SoftmaxCache(NamedTuple):
    y: Array  # (..., K)


def softmax_forward(x: Array) -> tuple[Array, SoftmaxCache]:
    """Softmax over the last axis.

    Shapes   x (..., K)  ->  y (..., K)
    Formula  y_i = exp(x_i - m) / sum_j exp(x_j - m), for any m: the constant cancels.
    Cache    y only: the gradient of softmax is a function of its output.

    The usual m is the row's maximum, with which nothing overflows, but finding it takes longer than the exponentials.
    So m = 0 is tried first, and the row sums are checked; not on a GPU, where the check would wait for the device, and
    not for complex numbers, which have no order. Both give the same weights up to rounding. If one row needs its
    maximum, all rows of the array subtract theirs, so the last bits of a row can depend on the other rows.

    >>> y, cache = softmax_forward(np.array([0.0, 1.0, 2.0]))
    >>> y.round(4)
    array([0.09  , 0.2447, 0.6652])
    >>> softmax_backward(np.array([1.0, 0.0, 0.0]), cache).round(4)
    array([ 0.0819, -0.022 , -0.0599])
    """
    y = _without_maximum(x) if is_host_float(x) else None
    if y is None:
        y = _with_maximum(x)
    return y, SoftmaxCache(y)


def _without_maximum(x: Array) -> Array | None:
    """m = 0; None unless every row sum lies well inside the range of the dtype (NaN does not)."""
    xp = array_module(x)
    with errstate(over="ignore"):
        y = xp.exp(x)
        sums = row_sums(y)  # (..., 1)
    if sums.size and not (sums.min() >= 1 / SAFE and sums.max() <= SAFE):
        return None
    y /= sums
    return y


def _with_maximum(x: Array) -> Array:
    """m is the row's maximum."""
    xp = array_module(x)
    largest = x.real.max(-1, keepdims=True)  # x.real is x itself, except in the complex-step check
    y = fused(lambda x, largest: xp.exp(x - largest), x, largest)
    y /= row_sums(y)
    return y


def softmax_backward(dy: Array, cache: SoftmaxCache) -> Array:
    """Given dy (..., K) and the cache, return dx (..., K).

    Derivation, for one row.
      (1) y_i = e_i / s with e_i = exp(x_i) and s = sum_j e_j. Raising x_j raises e_j, and with it s:
              d y_i / d x_j = [i = j] e_i/s - e_i e_j/s² = y_i ([i = j] - y_j),  [i = j] being 1 if i = j, else 0.
      (2) Collect over the outputs: dx_j = sum_i dy_i y_i ([i = j] - y_j) = y_j dy_j - y_j sum_i dy_i y_i,
              dx = y · (dy - sum(dy·y)).
    In words: an entry's gradient counts relative to the average of dy, weighted by y.
    The K x K Jacobian of (1) is never built.
    Facts    sum(dx) = 0 for every row: adding a constant to the scores changes nothing. A constant dy gives dx = 0.
    """
    (y,) = cache

    def relative(dy: Array, dots: Array, y: Array) -> Array:
        dx = dy - dots  # (1) (2)
        dx *= y
        return dx

    return fused(relative, dy, row_dots(dy, y), y)
