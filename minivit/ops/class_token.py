"""The class token: one extra token in front of the patches. It belongs to no patch; through attention it gathers the
information that the classifier reads. Devlin et al. 2019 (arXiv:1810.04805), section 3. Registers are further learned
tokens behind it, which nothing reads: they give the model a place for information that it would otherwise store in
patches of empty background. Darcet et al. 2024 (arXiv:2309.16588), section 2.2."""

from typing import NamedTuple

from ..backend import Array, array_module


class RegistersCache(NamedTuple):
    place: int
    number: int  # R


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


def registers_forward(x: Array, registers: Array, place: int = 1) -> tuple[Array, RegistersCache]:
    """Insert the registers in front of token number `place`: 1 behind a class token, 0 without one.

    Shapes   x (B, N, D), registers (1, R, D)  ->  y (B, N + R, D)
    Formula  y[:, :place] = x[:, :place];  y[:, place : place + R] = registers;  y[:, place + R :] = x[:, place:]
    Cache    the place, and R.
    """
    xp = array_module(x)
    (B, N, D), R = x.shape, registers.shape[1]
    y = xp.empty((B, N + R, D), x.dtype)
    y[:, :place] = x[:, :place]
    y[:, place : place + R] = registers
    y[:, place + R :] = x[:, place:]
    return y, RegistersCache(place, R)


def registers_backward(dy: Array, cache: RegistersCache, out: Array | None = None) -> tuple[Array, Array]:
    """Given dy (B, N + R, D) and the cache, return dx (B, N, D) and dregisters (1, R, D), written into `out` if it is
    given.

    Derivation.
      (1) The other tokens were moved, so their gradients move back.
      (2) Every image used the same registers, so they sum over the batch: dregisters = sum_b dy[b, place : place + R].
    Facts    dregisters does not depend on dy of the other tokens.
    """
    xp = array_module(dy)
    place, R = cache
    dx = xp.concatenate([dy[:, :place], dy[:, place + R :]], axis=1)  # (1)  (B, N + R, D) -> (B, N, D)
    return dx, dy[:, place : place + R].sum(0, keepdims=True, out=out)  # (2)  (B, R, D) -> (1, R, D)
