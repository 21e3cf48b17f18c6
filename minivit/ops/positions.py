"""The class token and the positions. Attention sees its tokens as a set: nothing in it knows which patch was where,
so each place adds a vector of its own, learned or a fixed pattern of sines. In front goes one more token that
belongs to no patch and gathers what the classifier will read.
Devlin et al. 2019 (arXiv:1810.04805), section 3; Vaswani et al. 2017 (arXiv:1706.03762), section 3.5;
He et al. 2022 (arXiv:2111.06377) for the 2-D form."""

from types import ModuleType

from ..backend import Array, array_module
from .sums import column_sums


def class_token_forward(x: Array, token: Array) -> tuple[Array, None]:
    """Put the class token in front of every image's patches.

    Shapes   x (B, N, D), token (1, 1, D)  ->  y (B, N + 1, D)
    Formula  y[:, 0] = token;  y[:, 1:] = x
    Cache    nothing.
    """
    xp = array_module(x)
    B, N, D = x.shape
    y = xp.empty((B, N + 1, D), x.dtype)
    y[:, :1] = token
    y[:, 1:] = x
    return y, None


def class_token_backward(dy: Array, cache: None = None) -> tuple[Array, Array]:
    """Given dy (B, N + 1, D), return dx (B, N, D) (a view) and dtoken (1, 1, D).

    Derivation.
      (1) The patches were moved, so their gradient moves back: dx = dy[:, 1:].
      (2) The one token was used by every image, so it sums over the batch: dtoken = sum_b dy[b, 0].
    Facts    dtoken does not see dy of the patches.
    """
    return dy[:, 1:], column_sums(dy[:, 0])[None, None]  # (1) (2)  (D,) -> (1, 1, D)


def add_positions_forward(x: Array, positions: Array) -> tuple[Array, None]:
    """Add to every token the vector of its place.

    Shapes   x (B, T, D), positions (1, T, D)  ->  y (B, T, D)
    Formula  y = x + positions
    Cache    nothing.
    """
    return x + positions, None


def add_positions_backward(dy: Array, cache: None = None) -> tuple[Array, Array]:
    """Given dy (B, T, D), return dx (B, T, D), which is dy itself, and dpositions (1, T, D).

    Derivation.
      (1) A sum hands its gradient to both terms unchanged: dx = dy.
      (2) The same positions were added to every image, so they sum over the batch: dpositions = sum_b dy[b].
    """
    return dy, dy.sum(0, keepdims=True)  # (1) (2)


def sincos1d(xp: ModuleType, length: int, width: int) -> Array:
    """The fixed positions of the original Transformer, in float64.

    Shapes   ->  (length, width), width even
    Formula  y[t, 2i] = sin(t·w_i),  y[t, 2i + 1] = cos(t·w_i),  w_i = 10000^(-2i/width)
    Raises ValueError for an odd width.
    Facts    y[t]·y[s] depends on t - s only: the pattern looks the same from every place.
    """
    if width % 2:
        raise ValueError(f"sine-cosine positions come in pairs: the width must be even, not {width}")
    angles = _angles(xp, length, width)  # (length, width/2)
    return xp.stack([xp.sin(angles), xp.cos(angles)], axis=-1).reshape(length, width)  # (t, i, 2) -> (t, 2i)


def sincos2d(xp: ModuleType, height: int, width: int, D: int) -> Array:
    """The 2-D form for a grid of patches, in float64: half of the features tell the row, half the column.

    Shapes   ->  (height·width, D), D a multiple of 4
    Formula  y[r·width + c] = [sin(r·w), cos(r·w), sin(c·w), cos(c·w)],  w_i = 10000^(-4i/D),  i < D/4
    Raises ValueError if 4 does not divide D.
    """
    if D % 4:
        raise ValueError(f"2-D sine-cosine positions need a width that 4 divides, not {D}")
    rows = _angles(xp, height, D // 2)[:, None, :]  # (height, 1, D/4)
    columns = _angles(xp, width, D // 2)[None, :, :]  # (1, width, D/4)
    parts = [xp.sin(rows), xp.cos(rows), xp.sin(columns), xp.cos(columns)]
    grid = [xp.broadcast_to(part, (height, width, D // 4)) for part in parts]
    return xp.concatenate(grid, axis=-1).reshape(height * width, D)  # (h, w, D) -> (h·w, D)


def _angles(xp: ModuleType, length: int, width: int) -> Array:
    """t·w_i with w_i = 10000^(-2i/width): (length, width/2), in float64."""
    frequencies = 10000.0 ** (-2.0 / width * xp.arange(width // 2, dtype="float64"))
    return xp.arange(length, dtype="float64")[:, None] * frequencies
