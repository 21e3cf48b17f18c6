"""Resizing: learned positions belong to one grid of patches. An image of another size has another grid, so the
positions are interpolated: along the columns and along the rows, each with a matrix of its own.
Keys 1981 (doi:10.1109/TASSP.1981.1163711), equation 4, for the cubic kernel; Dosovitskiy et al. 2021
(arXiv:2010.11929), section 3.2."""

from types import ModuleType
from typing import NamedTuple

from ..backend import Array

DIALECTS = ("bicubic-antialias", "bicubic", "bicubic+0.1", "bilinear", "corner")
OFFSET = 0.1  # of "bicubic+0.1", in patches


class ResizeCache(NamedTuple):
    vertical: Array  # (new_rows, rows)
    horizontal: Array  # (new_columns, columns)


def resize_forward(x: Array, vertical: Array, horizontal: Array) -> tuple[Array, ResizeCache]:
    """Interpolate a grid of tokens, every feature by itself. The grid is stored row by row; the matrices come from
    `interpolation_matrix`.

    Shapes   x (B, rows·columns, D), vertical (new_rows, rows), horizontal (new_columns, columns)
             ->  y (B, new_rows·new_columns, D)
    Formula  Y = vertical @ X @ horizontalᵀ, where X (rows, columns) is one feature of one image's grid
    Cache    the two matrices. x is not needed, because y is linear in it.

    >>> wider = interpolation_matrix(np, 2, 3, "corner")
    >>> wider.tolist()
    [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    >>> y, cache = resize_forward(np.array([[[0.0], [2.0], [4.0], [6.0]]]), wider, wider)  # 2 x 2 tokens become 3 x 3
    >>> y.reshape(3, 3).tolist()
    [[0.0, 1.0, 2.0], [2.0, 3.0, 4.0], [4.0, 5.0, 6.0]]
    >>> resize_backward(np.ones((1, 9, 1)), cache).tolist()
    [[[2.25], [2.25], [2.25], [2.25]]]
    """
    (B, _, D), (new_rows, rows), (new_columns, columns) = x.shape, vertical.shape, horizontal.shape
    y = vertical @ x.reshape(B, rows, columns * D)  # (B, rows·columns, D) -> (B, new_rows, columns·D)
    y = horizontal @ y.reshape(B, new_rows, columns, D)  # -> (B, new_rows, new_columns, D)
    return y.reshape(B, new_rows * new_columns, D), ResizeCache(vertical, horizontal)


def resize_backward(dy: Array, cache: ResizeCache) -> Array:
    """Given dy (B, new_rows·new_columns, D) and the cache, return dx (B, rows·columns, D). The matrices are constants
    and have no gradient.

    Derivation, for one feature of one image, with V = vertical and H = horizontal: Y_ij = sum_kl V_ik X_kl H_jl.
      (1) X_kl reaches every Y_ij, with the factor V_ik H_jl: dX_kl = sum_ij V_ik dY_ij H_jl, which is dX = Vᵀ @ dY @ H.
          Read from bottom to top it begins across the grid: Hᵀ in place of H.
      (2) Then down the grid: Vᵀ in place of V.
    In words: a token receives the gradient of every output that read it, times the weight with which it was read.
    Facts    where every row of both matrices sums to 1, the sum of dx is the sum of dy.
    """
    (B, _, D), (new_rows, rows), (new_columns, columns) = dy.shape, cache.vertical.shape, cache.horizontal.shape
    dx = cache.horizontal.T @ dy.reshape(B, new_rows, new_columns, D)  # (1)  -> (B, new_rows, columns, D)
    dx = cache.vertical.T @ dx.reshape(B, new_rows, columns * D)  # (2)  -> (B, rows, columns·D)
    return dx.reshape(B, rows * columns, D)


def interpolation_matrix(xp: ModuleType, before: int, after: int, dialect: str) -> Array:
    """The matrix that interpolates `before` evenly spaced values at `after` points, in float64. Libraries resize
    positions in different ways, their dialects, and a model gives its own results with its own library's only.

    Shapes   ->  (after, before)
    Formula  A[i, j] = K((j - s_i)/σ): point i lies at place s_i among the values, and K weighs them by their distance.
             s_i = (i + 1/2)·before/after - 1/2, as if the values were the centres of pixels, and σ = 1, except where a
             dialect differs. A value beyond an end is the one at that end, so its weight is added there.
    "bicubic"            K is Keys' cubic kernel with a = -3/4. PyTorch's interpolate, Hugging Face, MAE.
    "bicubic-antialias"  a = -1/2; σ = max(before/after, 1) widens K where there are fewer points than values, so that
                         none is left out. Weights beyond an end are dropped, and each row is divided by its sum. timm.
    "bicubic+0.1"        "bicubic" with s_i = (i + 1/2)·before/(after + 0.1) - 1/2. DINO, and DINOv2 without registers.
    "bilinear"           K(x) = max(1 - |x|, 0). timm for Google's .npz files.
    "corner"             "bilinear" with s_i = i·(before - 1)/(after - 1): both ends stay where they are. Google.
    Raises ValueError for another dialect.
    Facts    every row sums to 1. Except with "bicubic+0.1" it is the identity where before and after are equal.
    """
    if dialect not in DIALECTS:
        raise ValueError(f"unknown dialect {dialect!r}: choose one of {', '.join(DIALECTS)}")
    i = xp.arange(after, dtype="float64")[:, None]
    if dialect == "corner":
        places = i * ((before - 1) / max(after - 1, 1))
    else:
        places = (i + 0.5) * (before / (after + OFFSET if dialect == "bicubic+0.1" else after)) - 0.5
    if dialect == "bicubic-antialias":
        distances = (xp.arange(before, dtype="float64") - places) / max(before / after, 1)
        weights = _cubic(xp, distances, -0.5)
        return weights / weights.sum(1, keepdims=True)
    distances = xp.arange(-2, before + 2, dtype="float64") - places  # K reaches two values beyond either end
    weights = _cubic(xp, distances, -0.75) if "bicubic" in dialect else xp.maximum(1 - abs(distances), 0)
    matrix = weights[:, 2:-2].copy()
    matrix[:, 0] += weights[:, :2].sum(1)
    matrix[:, -1] += weights[:, -2:].sum(1)
    return matrix


def _cubic(xp: ModuleType, x: Array, a: float) -> Array:
    """Keys' kernel: 1 at 0, and 0 at ±1, ±2 and beyond; a is its slope at 1."""
    x = abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return xp.where(x < 1, near, xp.where(x < 2, far, 0.0))
