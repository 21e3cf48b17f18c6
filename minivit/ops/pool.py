"""Pooling: one vector for the whole image, which the head classifies. It is either the class token, which has attended
to every patch, or the mean of all tokens. Dosovitskiy et al. 2021 (arXiv:2010.11929), equation 4 and appendix D.3."""

from typing import NamedTuple

from ..backend import Array, array_module


class PoolCache(NamedTuple):
    shape: tuple[int, int, int]  # B, T, D
    pool: str


def pool_forward(x: Array, pool: str = "cls") -> tuple[Array, PoolCache]:
    """Read the class token, or average the tokens.

    Shapes   x (B, T, D)  ->  y (B, D)
    Formula  y = x[:, 0]  for "cls",  y = sum_t x[:, t] / T  for "mean"
    Cache    the shape, and which of the two.
    Raises ValueError for any other pool.

    >>> y, cache = pool_forward(np.array([[[1.0, 2.0], [3.0, 6.0]]]), "mean")
    >>> y
    array([[2., 4.]])
    >>> pool_backward(np.array([[1.0, 0.0]]), cache).tolist()
    [[[0.5, 0.0], [0.5, 0.0]]]
    """
    if pool == "cls":
        return x[:, 0], PoolCache(x.shape, pool)
    if pool != "mean":
        raise ValueError(f"unknown pool {pool!r}: choose cls or mean")
    return x.sum(1) / x.shape[1], PoolCache(x.shape, pool)


def pool_backward(dy: Array, cache: PoolCache) -> Array:
    """Given dy (B, D) and the cache, return dx (B, T, D); for "mean" a view of one row per image, not to be written to.

    Derivation.
      (1) "cls": only token 0 was read, so it receives dy and the others zero.
      (2) "mean": every token entered with weight 1/T, so every token receives dy/T.
    Facts    sum over tokens of dx = dy in both cases.
    """
    xp = array_module(dy)
    B, T, D = cache.shape
    if cache.pool == "cls":
        dx = xp.zeros((B, T, D), dy.dtype)
        dx[:, 0] = dy  # (1)
        return dx
    return xp.broadcast_to((dy / T)[:, None], (B, T, D))  # (2)
