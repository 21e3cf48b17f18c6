"""Dropout: set a random fraction of the features to zero during training, so that no feature can rely on another.
With a mask of one value per image it is stochastic depth, which skips a whole branch for that image.
Srivastava et al. 2014 (JMLR 15:1929); Huang et al. 2016 (arXiv:1603.09382)."""

from ..backend import Array


def dropout_forward(x: Array, mask: Array | None) -> tuple[Array, Array | None]:
    """Multiply by a given mask: operations draw nothing at random, so both passes use the same mask.

    Shapes   x (..., D), mask of a shape that broadcasts to x's, or None (no dropout)  ->  y (..., D)
    Formula  y = x·mask, where an entry of the mask is 0 with probability p and 1/(1-p) otherwise, so that the
             expected value of y is x, and inference needs no rescaling.
    Cache    the mask.
    Without a mask y is x itself, not a copy; so is dx in the backward pass.

    >>> y, mask = dropout_forward(np.array([1.0, 2.0, 3.0]), mask=np.array([2.0, 0.0, 2.0]))
    >>> y
    array([2., 0., 6.])
    >>> dropout_backward(np.ones(3), mask)
    array([2., 0., 2.])
    """
    return (x if mask is None else x * mask), mask


def dropout_backward(dy: Array, mask: Array | None) -> Array:
    """Given dy (..., D) and the mask, return dx (..., D).

    Derivation.
      (1) y_i = x_i mask_i, entry by entry, and the mask does not depend on x: dx = dy·mask.
    Facts    where the mask is zero, dx is zero. The same map forward and backward: it is its own transpose.
    """
    return dy if mask is None else dy * mask  # (1)
