"""The linear layer: every output feature is a weighted sum of the input features, plus a constant. All the
learning in a Transformer, but for the positions and the LayerNorm scales, happens in layers like this one.
Rumelhart, Hinton, Williams 1986 (doi:10.1038/323533a0), equation 1."""

from typing import NamedTuple

from ..backend import Array
from .sums import column_sums


class LinearCache(NamedTuple):
    x: Array  # (..., D)
    W: Array  # (D, E)
    has_bias: bool


def linear_forward(x: Array, W: Array, b: Array | None) -> tuple[Array, LinearCache]:
    """Map the last axis from D features to E; leading axes are a batch.

    Shapes   x (..., D), W (D, E), b (E,) or None  ->  y (..., E)
    Formula  y = x @ W + b
    Cache    x, because dW needs it, and W, because dx needs it.
    """
    rows = x.reshape(-1, x.shape[-1])  # (..., D) -> (M, D), one product instead of one for each image
    y = rows @ W  # (M, D) -> (M, E)
    if b is not None:
        y += b
    return y.reshape(*x.shape[:-1], W.shape[-1]), LinearCache(x, W, b is not None)  # (M, E) -> (..., E)


def linear_backward(dy: Array, cache: LinearCache) -> tuple[Array, Array, Array | None]:
    """Given dy (..., E) and the cache, return dx (..., D), dW (D, E), db (E,) or None without a bias.

    Derivation. Write M for the number of rows (tokens of all images); row m is y_me = sum_d x_md W_de + b_e.
      (1) b_e is added to every row, so it collects the gradient of every row: db_e = sum_m dy_me.
      (2) W_de multiplies x_md in every row: dW_de = sum_m x_md dy_me, which is dW = xᵀ @ dy.
      (3) x_md reaches every output e of its own row through W_de: dx_md = sum_e dy_me W_de, dx = dy @ Wᵀ.
    In words: forward the rows meet W, backward they meet Wᵀ; a parameter sums over everyone who used it.
    Facts    db is the gradient that W would get from a constant input of 1. dx does not depend on x.
    """
    x, W, has_bias = cache
    rows = x.reshape(-1, x.shape[-1])  # (..., D) -> (M, D)
    drows = dy.reshape(-1, dy.shape[-1])  # (..., E) -> (M, E)
    db = column_sums(drows) if has_bias else None  # (1)
    dW = rows.T @ drows  # (2)  (D, M) @ (M, E) -> (D, E)
    dx = drows @ W.T  # (3)  (M, E) @ (E, D) -> (M, D)
    return dx.reshape(x.shape), dW, db  # (M, D) -> (..., D)
