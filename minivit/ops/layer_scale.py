"""LayerScale: a learned factor for each feature of a residual branch. It starts small, so that every block of a deep
stack begins near the identity. Touvron et al. 2021 (arXiv:2103.17239), equation 9."""

from typing import NamedTuple

from ..backend import Array
from .reductions import column_sums


class LayerScaleCache(NamedTuple):
    x: Array  # (..., D)
    gamma: Array  # (D,)


def layer_scale_forward(x: Array, gamma: Array | None) -> tuple[Array, LayerScaleCache | None]:
    """Multiply every feature by its factor.

    Shapes   x (..., D), gamma (D,) or None (no LayerScale)  ->  y (..., D)
    Formula  y = gamma·x
    Cache    x, because dgamma needs it, and gamma, because dx needs it.
    Without gamma y is x itself, not a copy; so is dx in the backward pass.

    >>> y, cache = layer_scale_forward(np.array([[1.0, 2.0], [3.0, 4.0]]), gamma=np.array([0.5, 10.0]))
    >>> y.tolist()
    [[0.5, 20.0], [1.5, 40.0]]
    >>> layer_scale_backward(np.array([[1.0, 0.0], [1.0, 1.0]]), cache)  # dx, dgamma
    (array([[ 0.5,  0. ],
           [ 0.5, 10. ]]), array([4., 4.]))
    """
    return (x, None) if gamma is None else (x * gamma, LayerScaleCache(x, gamma))


def layer_scale_backward(
    dy: Array, cache: LayerScaleCache | None, out: Array | None = None
) -> tuple[Array, Array | None]:
    """Given dy (..., D) and the cache, return dx (..., D) and dgamma (D,), written into `out` if it is given, or None
    without gamma.

    Derivation. Row m is y_mi = gamma_i x_mi.
      (1) gamma_i multiplies x_mi in every row, so it collects from every row: dgamma_i = sum_m dy_mi x_mi.
      (2) x_mi reaches y_mi only, with the factor gamma_i: dx = gamma·dy.
    Facts    the sum of gamma·dgamma is the sum of dy·y.
    """
    if cache is None:
        return dy, None
    x, gamma = cache
    dgamma = column_sums(dy * x, out=out)  # (1)
    return dy * gamma, dgamma  # (2)
