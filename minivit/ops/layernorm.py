"""Layer normalisation: give every token zero mean and unit variance over its D features, then multiply by gamma and
add beta, both learned. Adding a constant to all features of a token does not change the output; multiplying them by a
positive number hardly changes it (only because of eps).
Ba, Kiros, Hinton 2016 (arXiv:1607.06450), equation 4."""

from typing import NamedTuple

from ..backend import Array, array_module, fused
from .reductions import column_sums, row_dots, row_means


class LayerNormCache(NamedTuple):
    xhat: Array  # (..., D)
    rstd: Array  # (..., 1)
    gamma: Array  # (D,)


def layernorm_forward(x: Array, gamma: Array, beta: Array, eps: float = 1e-6) -> tuple[Array, LayerNormCache]:
    """Normalise the last axis.

    Shapes   x (..., D), gamma (D,), beta (D,)  ->  y (..., D)
    Formula  xc = x - mean(x);  rstd = 1/sqrt(mean(xc²) + eps);  xhat = rstd·xc;  y = gamma·xhat + beta
    Cache    xhat and rstd. x itself is not needed; keeping xhat costs one (..., D) array and saves
             recomputing it, keeping rstd costs one value per token.

    >>> y, cache = layernorm_forward(np.array([[1.0, 2.0, 6.0]]), gamma=np.ones(3), beta=np.zeros(3))
    >>> y.round(4)
    array([[-0.9258, -0.4629,  1.3887]])
    >>> layernorm_backward(np.array([[1.0, 0.0, 0.0]]), cache)[0].round(4)  # dx
    array([[ 0.1763, -0.2204,  0.0441]])
    """
    xp = array_module(x)
    D = x.shape[-1]
    xhat = x - row_means(x)  # xc for now
    rstd = fused(lambda dots: xp.sqrt(D / (dots + D * eps)), row_dots(xhat, xhat))  # (..., 1)

    def scaled(xhat: Array, rstd: Array, gamma: Array, beta: Array) -> Array:
        xhat *= rstd
        y = xhat * gamma
        y += beta
        return y

    return fused(scaled, xhat, rstd, gamma, beta), LayerNormCache(xhat, rstd, gamma)


def layernorm_backward(
    dy: Array, cache: LayerNormCache, out: tuple[Array | None, ...] = (None, None)
) -> tuple[Array, Array, Array]:
    """Given dy (..., D) and the cache, return dx (..., D), dgamma (D,), dbeta (D,); dgamma and dbeta are written into
    the arrays of `out` that are not None.

    Derivation. Each token is normalised independently, so the derivation of dx is for one token, x in R^D; only dgamma
    and dbeta sum over tokens.
      (1) y_i = gamma_i xhat_i + beta_i:  dbeta = sum over tokens of dy,  dgamma = sum of dy·xhat.
      (2) xhat receives the gradient u = gamma·dy.
      (3) xc reaches xhat_i = rstd·xc_i in two ways. Directly it receives rstd·u. Through rstd, every
          output depends on every input: rstd = (v + eps)^(-1/2) with v = mean(xc²) and dv / dxc_j = 2 xc_j / D,
          so d rstd / dxc_j = -rstd³ xc_j / D. This path contributes sum_i u_i xc_i · (-rstd³ xc_j / D);
          with sum_i u_i xc_i = D·mean(u·xhat)/rstd and xc_j = xhat_j/rstd that is -rstd · xhat_j · mean(u·xhat).
          Together
              dxc = rstd · (u - xhat·mean(u·xhat)).
      (4) xc = x - mean(x) subtracts an average. The matrix of that map, I with 1/D subtracted from every entry, is
          symmetric, so its transpose is the same map: dx = dxc - mean(dxc).
          Since mean(xhat) = 0, mean(dxc) = rstd·mean(u), and
              dx = rstd · (u - mean(u) - xhat·mean(u·xhat)).
    In words: take u, remove its component along (1, ..., 1) and its component along xhat, and multiply by rstd. Along
    (1, ..., 1) x can move without changing the output, along xhat almost without changing it. |xhat|² is D (up to
    eps), so xhat·mean(u·xhat) is the projection of u onto xhat, as mean(u) is its projection onto (1, ..., 1).
    For a constant token xhat = 0 and rstd = 1/sqrt(eps), so dx can be a thousand times as large as dy.
    Facts    sum(dx) = 0 for every token. With gamma = 1, a constant dy gives dx = 0.
             sum(dx·xhat) = rstd·sum(u·xhat)·eps/(var + eps) with var = mean(xc²): zero up to eps.
    """
    xhat, rstd, gamma = cache
    dgamma, dbeta = out
    D = xhat.shape[-1]
    dbeta = column_sums(dy, out=dbeta)  # (1)
    dgamma = column_sums(dy * xhat, out=dgamma)  # (1)
    u = dy * gamma  # (2)
    along, mean = row_dots(u, xhat) / -D, row_means(u)  # -mean(u·xhat), mean(u)

    def projected(u: Array, xhat: Array, along: Array, mean: Array, rstd: Array) -> Array:
        dx = xhat * along  # (3)
        dx += u  # (3)
        dx -= mean  # (4)
        dx *= rstd
        return dx

    return fused(projected, u, xhat, along, mean, rstd), dgamma, dbeta
