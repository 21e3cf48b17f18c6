"""Sums over rows and columns, computed by matrix products and by einsum: both read the array once, at full vector
width, whereas `x.sum(-1)` and `x.sum(0)` are several times slower for the short rows of a small Transformer."""

import functools
from types import ModuleType
from typing import Any

from ..backend import Array, array_module


def row_sums(x: Array) -> Array:
    """Sum over the last axis.

    Shapes   x (..., D)  ->  (..., 1)
    Formula  sum_i x_i

    >>> row_sums(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[3.],
           [7.]])
    >>> column_sums(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([4., 6.])
    >>> row_dots(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]]))
    array([[17.],
           [53.]])
    """
    return _weighted_rows(x, 1.0)


def row_means(x: Array) -> Array:
    """Mean over the last axis.

    Shapes   x (..., D)  ->  (..., 1)
    Formula  (sum_i x_i)/D
    """
    return _weighted_rows(x, 1 / x.shape[-1])


def _weighted_rows(x: Array, weight: float) -> Array:
    """weight · sum_i x_i over the last axis: x @ (weight, ..., weight)."""
    xp, D = array_module(x), x.shape[-1]
    rows = x.reshape(-1, D)  # (..., D) -> (M, D)
    sums = rows @ _filled(xp, D, weight, x.dtype)  # (M, D) @ (D,) -> (M,)
    return sums.reshape(*x.shape[:-1], 1)  # (M,) -> (..., 1)


def column_sums(x: Array, out: Array | None = None) -> Array:
    """Sum over every axis but the last, written into `out` if it is given: a bias gradient, one sum over all tokens.

    Shapes   x (..., D)  ->  (D,)
    Formula  y = 1ᵀ @ x
    """
    xp = array_module(x)
    rows = x.reshape(-1, x.shape[-1])  # (..., D) -> (M, D)
    return xp.matmul(_filled(xp, rows.shape[0], 1.0, x.dtype), rows, out=out)  # (M, D) -> (D,)


@functools.lru_cache(maxsize=64)
def _filled(xp: ModuleType, n: int, value: float, dtype: Any) -> Array:
    """n times the same value; cached, and never modified."""
    return xp.full(n, value, dtype)


def row_dots(x: Array, y: Array) -> Array:
    """Dot product of corresponding rows.

    Shapes   x (..., D), y (..., D)  ->  (..., 1)
    Formula  sum_i x_i y_i
    """
    xp = array_module(x, y)
    return xp.einsum("...i,...i->...", x, y)[..., None]  # (...) -> (..., 1)
