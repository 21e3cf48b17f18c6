"""Patch dropout: leave out a random part of every image's patches while training. The blocks then compute fewer tokens,
so a step costs less, and the model learns not to rely on any one patch; in evaluation it sees them all.
Liu et al. 2023 (arXiv:2208.07220), section 3; Li et al. 2023 (arXiv:2212.00794), section 3."""

from typing import NamedTuple

from ..backend import Array, array_module


class PatchDropoutCache(NamedTuple):
    shape: tuple[int, int, int]  # B, T, D
    kept: Array  # (B, Tk)


def patch_dropout_forward(x: Array, kept: Array) -> tuple[Array, PatchDropoutCache]:
    """Keep the tokens whose numbers are given, for each image its own: operations draw nothing at random.

    Shapes   x (B, T, D), kept (B, Tk) integers in 0..T-1, no number twice in an image  ->  y (B, Tk, D)
    Formula  y[b, i] = x[b, kept[b, i]]
    Cache    the shape of x, and the numbers.
    The tokens have their positions already, so the model knows where each of those that are left comes from. Nothing is
    rescaled: attention averages over the tokens that there are.

    >>> x = np.array([[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]])
    >>> y, cache = patch_dropout_forward(x, kept=np.array([[0, 2], [0, 1]]))
    >>> y.tolist()
    [[[1.0], [3.0]], [[4.0], [5.0]]]
    >>> patch_dropout_backward(np.ones((2, 2, 1)), cache).tolist()
    [[[1.0], [0.0], [1.0]], [[1.0], [1.0], [0.0]]]
    """
    images = array_module(x).arange(len(x))[:, None]  # (B, 1)
    return x[images, kept], PatchDropoutCache(x.shape, kept)  # (B, T, D) -> (B, Tk, D)


def patch_dropout_backward(dy: Array, cache: PatchDropoutCache) -> Array:
    """Given dy (B, Tk, D) and the cache, return dx (B, T, D).

    Derivation.
      (1) A token that was left out reached no output: its gradient is zero.
      (2) Each other token was copied once, so it receives the gradient of its copy: dx[b, kept[b, i]] = dy[b, i].
    Facts    the sum of the entries of dx is that of dy.
    """
    xp = array_module(dy)
    dx = xp.zeros(cache.shape, dy.dtype)  # (1)
    dx[xp.arange(len(dy))[:, None], cache.kept] = dy  # (2)  (B, Tk, D) -> (B, T, D)
    return dx
