"""The linear layer: every output feature is a weighted sum of the input features, plus a constant. Nearly all
parameters of a Transformer are in layers like this one; the rest are LayerNorms, the class token and the positions.
Rumelhart, Hinton, Williams 1986 (doi:10.1038/323533a0), equation 1."""

from typing import NamedTuple

from ..backend import Array, array_module
from .reductions import column_sums


class LinearCache(NamedTuple):
    x: Array  # (..., D)
    W: Array  # (D, E)
    has_bias: bool


def linear_forward(x: Array, W: Array, b: Array | None) -> tuple[Array, LinearCache]:
    """Map the last axis from D features to E; leading axes are a batch.

    Shapes   x (..., D), W (D, E), b (E,) or None  ->  y (..., E)
    Formula  y = x @ W + b
    Cache    x, because dW needs it, and W, because dx needs it.

    >>> y, cache = linear_forward(np.array([[1.0, 2.0]]), W=np.array([[1.0, 0.0], [3.0, 4.0]]), b=np.array([0.5, 0.0]))
    >>> y
    array([[7.5, 8. ]])
    >>> linear_backward(np.array([[1.0, 10.0]]), cache)  # dx, dW, db
    (array([[ 1., 43.]]), array([[ 1., 10.],
           [ 2., 20.]]), array([ 1., 10.]))
    """
    rows = x.reshape(-1, x.shape[-1])  # (..., D) -> (M, D), one product instead of one for each image
    y = rows @ W  # (M, D) -> (M, E)
    if b is not None:
        y += b
    return y.reshape(*x.shape[:-1], W.shape[-1]), LinearCache(x, W, b is not None)  # (M, E) -> (..., E)


def linear_backward(
    dy: Array, cache: LinearCache, out: tuple[Array | None, ...] = (None, None), need_dx: bool = True
) -> tuple[Array, Array, Array | None]:
    """Given dy (..., E) and the cache, return dx (..., D), dW (D, E), db (E,) or None without a bias; dW and db are
    written into the arrays of `out` that are not None. With need_dx=False, dx is not computed and is None.

    Derivation. Write M for the number of rows (tokens of all images); row m is y_me = sum_d x_md W_de + b_e.
      (1) b_e is added to every row, so its gradient sums over the rows: db_e = sum_m dy_me.
      (2) W_de multiplies x_md in every row: dW_de = sum_m x_md dy_me, which is dW = xᵀ @ dy.
      (3) x_md reaches every output e of its own row through W_de: dx_md = sum_e dy_me W_de, dx = dy @ Wᵀ.
    In words: forward multiplies by W, backward by Wᵀ; a parameter's gradient sums over every row that used it.
    Facts    db is the gradient that W would get from a constant input of 1. dx does not depend on x.
    """
    xp = array_module(dy)
    x, W, has_bias = cache
    dW, db = out
    rows = x.reshape(-1, x.shape[-1])  # (..., D) -> (M, D)
    drows = dy.reshape(-1, dy.shape[-1])  # (..., E) -> (M, E)
    db = column_sums(drows, out=db) if has_bias else None  # (1)
    dW = xp.matmul(rows.T, drows, out=dW)  # (2)  (D, M) @ (M, E) -> (D, E)
    if not need_dx:
        return None, dW, db
    dx = drows @ W.T  # (3)  (M, E) @ (E, D) -> (M, D)
    return dx.reshape(x.shape), dW, db  # (M, D) -> (..., D)
