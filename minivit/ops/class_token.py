"""The class token: one extra token in front of the patches. It belongs to no patch; through attention it gathers the
information that the classifier reads. Devlin et al. 2019 (arXiv:1810.04805), section 3."""

from ..backend import Array, array_module


def class_token_forward(x: Array, token: Array) -> tuple[Array, None]:
    """Put the class token in front of every image's patches.

    Shapes   x (B, N, D), token (1, 1, D)  ->  y (B, N + 1, D)
    Formula  y[:, 0] = token;  y[:, 1:] = x
    Cache    nothing.

    >>> y, _ = class_token_forward(np.array([[[1.0, 2.0]], [[3.0, 4.0]]]), token=np.array([[[7.0, 8.0]]]))
    >>> y.tolist()
    [[[7.0, 8.0], [1.0, 2.0]], [[7.0, 8.0], [3.0, 4.0]]]
    >>> class_token_backward(np.ones((2, 2, 2)))[1]  # dtoken sums over the two images
    array([[[2., 2.]]])
    """
    xp = array_module(x)
    B, N, D = x.shape
    y = xp.empty((B, N + 1, D), x.dtype)
    y[:, :1] = token
    y[:, 1:] = x
    return y, None


def class_token_backward(dy: Array, cache: None = None, out: Array | None = None) -> tuple[Array, Array]:
    """Given dy (B, N + 1, D), return dx (B, N, D), a view, and dtoken (1, 1, D), written into `out` if it is given.

    Derivation.
      (1) The patches are only moved, so their gradient is moved back: dx = dy[:, 1:].
      (2) Every image uses the same token, so its gradient sums over the batch: dtoken = sum_b dy[b, 0].
    Facts    dtoken does not depend on dy of the patches.
    """
    return dy[:, 1:], dy[:, :1].sum(0, keepdims=True, out=out)  # (1) (2)  (B, 1, D) -> (1, 1, D)
