"""Pooling: one vector for the whole image, which the head classifies. It is the class token, which has attended to
every patch; the mean of all tokens; the mean of the patches, without class token and registers; or the class token
and that mean side by side. Dosovitskiy et al. 2021 (arXiv:2010.11929), equation 4 and appendix D.3; for the last,
Oquab et al. 2023 (arXiv:2304.07193), appendix B.3."""

from typing import NamedTuple

from ..backend import Array, array_module

POOLS = ("cls", "mean", "patches", "cls+patches")


class PoolCache(NamedTuple):
    shape: tuple[int, int, int]  # B, T, D
    pool: str
    prefix: int


def pool_forward(x: Array, pool: str = "cls", prefix: int = 1) -> tuple[Array, PoolCache]:
    """Read the class token, or average tokens. prefix: how many tokens stand in front of the patches: the class token,
    if there is one, and the registers.

    Shapes   x (B, T, D)  ->  y (B, D), or (B, 2D) for "cls+patches"
    Formula  y = x[:, 0]  for "cls",  y = sum_t x[:, t] / T  for "mean",  y = sum_{t >= prefix} x[:, t] / (T - prefix)
             for "patches";  "cls+patches" is the first and the last of them, side by side
    Cache    the shape, which of the four, and the prefix.
    Without a class token and registers "patches" is "mean".
    Raises ValueError for another pool.

    >>> y, cache = pool_forward(np.array([[[1.0, 2.0], [3.0, 6.0]]]), "mean")
    >>> y
    array([[2., 4.]])
    >>> pool_backward(np.array([[1.0, 0.0]]), cache).tolist()
    [[[0.5, 0.0], [0.5, 0.0]]]
    """
    cache = PoolCache(x.shape, pool, prefix)
    if pool == "cls":
        return x[:, 0], cache
    if pool == "mean":
        return x.sum(1) / x.shape[1], cache
    if pool not in POOLS:
        raise ValueError(f"unknown pool {pool!r}: choose one of {', '.join(POOLS)}")
    patches = x[:, prefix:].sum(1) / (x.shape[1] - prefix)
    if pool == "patches":
        return patches, cache
    return array_module(x).concatenate([x[:, 0], patches], axis=-1), cache  # (B, D), (B, D) -> (B, 2D)


def pool_backward(dy: Array, cache: PoolCache) -> Array:
    """Given dy (B, D), or (B, 2D) for "cls+patches", and the cache, return dx (B, T, D); for "mean" a view of one row
    per image, not to be written to.

    Derivation.
      (1) "cls": only token 0 was read, so it receives dy and the others zero.
      (2) "mean": every token entered with weight 1/T, so every token receives dy/T.
      (3) "patches": every patch entered with weight 1/N, N = T - prefix, so it receives dy/N, and the prefix zero.
      (4) "cls+patches": the first D entries of dy go the way of (1), the last D that of (3).
    Facts    sum over tokens of dx = dy; for "cls+patches" it is the sum of dy's two halves.
    """
    xp = array_module(dy)
    (B, T, D), pool, prefix = cache
    if pool == "mean":
        return xp.broadcast_to((dy / T)[:, None], (B, T, D))  # (2)
    dx = xp.zeros((B, T, D), dy.dtype)
    if pool != "patches":
        dx[:, 0] = dy[:, :D]  # (1) (4)
    if pool != "cls":
        dx[:, prefix:] = (dy[:, -D:] / (T - prefix))[:, None]  # (3) (4)  (B, D) -> (B, 1, D)
    return dx
