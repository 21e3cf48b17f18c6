"""The MLP of an encoder block: every token is mapped to F features, passed through a GELU and mapped back.
Attention moves information between tokens; the MLP transforms each token independently of the others.
Vaswani et al. 2017 (arXiv:1706.03762), section 3.3, with GELU in place of ReLU."""

from typing import NamedTuple

from ..backend import Array
from .gelu import GeluCache, gelu_backward, gelu_forward
from .linear import LinearCache, linear_backward, linear_forward


class MlpCache(NamedTuple):
    fc1: LinearCache
    gelu: GeluCache
    fc2: LinearCache


def mlp_forward(x: Array, W1: Array, b1: Array, W2: Array, b2: Array, gelu: str = "erf") -> tuple[Array, MlpCache]:
    """Linear, GELU, linear.

    Shapes   x (..., D), W1 (D, F), b1 (F,), W2 (F, E), b2 (E,)  ->  y (..., E)
    Formula  y = gelu(x @ W1 + b1) @ W2 + b2
    Cache    the caches of the three parts.

    >>> y, cache = mlp_forward(np.array([[1.0, -1.0]]), np.eye(2), np.zeros(2), 2 * np.eye(2), np.zeros(2))
    >>> y.round(4)
    array([[ 1.6827, -0.3173]])
    >>> mlp_backward(np.array([[1.0, 0.0]]), cache)[0].round(4)  # dx
    array([[2.1666, 0.    ]])
    """
    hidden, fc1 = linear_forward(x, W1, b1)  # (..., D) -> (..., F)
    active, gelu_cache = gelu_forward(hidden, gelu)
    y, fc2 = linear_forward(active, W2, b2)  # (..., F) -> (..., E)
    return y, MlpCache(fc1, gelu_cache, fc2)


def mlp_backward(
    dy: Array, cache: MlpCache, out: tuple[Array | None, ...] = (None,) * 4
) -> tuple[Array, Array, Array, Array, Array]:
    """Given dy (..., E) and the cache, return dx (..., D), dW1 (D, F), db1 (F,), dW2 (F, E), db2 (E,); the last four
    are written into the arrays of `out` that are not None.

    Derivation: the forward read from bottom to top.
      (1) Back through the second linear layer.
      (2) Back through the GELU.
      (3) Back through the first linear layer.
    """
    dactive, dW2, db2 = linear_backward(dy, cache.fc2, out[2:])  # (1)  (..., E) -> (..., F)
    dhidden = gelu_backward(dactive, cache.gelu)  # (2)
    dx, dW1, db1 = linear_backward(dhidden, cache.fc1, out[:2])  # (3)  (..., F) -> (..., D)
    return dx, dW1, db1, dW2, db2
