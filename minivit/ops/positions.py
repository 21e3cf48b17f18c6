"""Positions: attention ignores the order of its tokens (it is permutation-equivariant), so each position adds a vector
of its own, learned or a fixed pattern of sines.
Vaswani et al. 2017 (arXiv:1706.03762), section 3.5; He et al. 2022 (arXiv:2111.06377) for the 2-D form."""

from types import ModuleType

from ..backend import Array


def add_positions_forward(x: Array, positions: Array) -> tuple[Array, None]:
    """Add to every token the vector of its position.

    Shapes   x (B, T, D), positions (1, T, D)  ->  y (B, T, D)
    Formula  y = x + positions
    Cache    nothing.

    >>> y, _ = add_positions_forward(np.zeros((2, 3, 2)), np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]))
    >>> y[1].tolist()
    [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    >>> add_positions_backward(np.ones((2, 3, 2)))[1].tolist()  # dpositions sum over the two images
    [[[2.0, 2.0], [2.0, 2.0], [2.0, 2.0]]]
    """
    return x + positions, None


def add_positions_backward(dy: Array, cache: None = None, out: Array | None = None) -> tuple[Array, Array]:
    """Given dy (B, T, D), return dx (B, T, D), which is dy itself, and dpositions (1, T, D), written into `out` if it
    is given.

    Derivation.
      (1) Both terms of a sum receive its gradient unchanged: dx = dy.
      (2) The same positions are added to every image, so their gradient sums over the batch: dpositions = sum_b dy[b].
    """
    return dy, dy.sum(0, keepdims=True, out=out)  # (1) (2)


def sincos1d(xp: ModuleType, T: int, D: int) -> Array:
    """The fixed positions of the original Transformer, in float64.

    Shapes   ->  (T, D), D even
    Formula  y[t, 2i] = sin(t·w_i),  y[t, 2i + 1] = cos(t·w_i),  w_i = 10000^(-2i/D)
    Raises ValueError for an odd D.
    Facts    y[t]·y[s] depends on t - s only: the pattern looks the same from every position.
    """
    if D % 2:
        raise ValueError(f"sine-cosine positions come in pairs: the width must be even, not {D}")
    angles = _angles(xp, T, D)  # (T, D/2)
    return xp.stack([xp.sin(angles), xp.cos(angles)], axis=-1).reshape(T, D)  # (T, D/2, 2) -> (T, D)


def sincos2d(xp: ModuleType, rows: int, columns: int, D: int) -> Array:
    """The 2-D form for a grid of patches, in float64: half of the features encode the row, half the column.

    Shapes   ->  (rows·columns, D), D a multiple of 4
    Formula  y[r·columns + c] = [sin(r·w), cos(r·w), sin(c·w), cos(c·w)],  w_i = 10000^(-4i/D),  i < D/4
    Raises ValueError if 4 does not divide D.
    """
    if D % 4:
        raise ValueError(f"2-D sine-cosine positions need a width that 4 divides, not {D}")
    r = _angles(xp, rows, D // 2)[:, None, :]  # (rows, 1, D/4)
    c = _angles(xp, columns, D // 2)[None, :, :]  # (1, columns, D/4)
    parts = [xp.sin(r), xp.cos(r), xp.sin(c), xp.cos(c)]
    grid = [xp.broadcast_to(part, (rows, columns, D // 4)) for part in parts]
    return xp.concatenate(grid, axis=-1).reshape(rows * columns, D)  # (rows, columns, D) -> (rows·columns, D)


def _angles(xp: ModuleType, T: int, D: int) -> Array:
    """t·w_i with w_i = 10000^(-2i/D): (T, D/2), in float64."""
    frequencies = 10000.0 ** (-2.0 / D * xp.arange(D // 2, dtype="float64"))
    return xp.arange(T, dtype="float64")[:, None] * frequencies
