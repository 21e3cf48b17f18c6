"""Elastic distortion, as handwriting varies: Simard, Steinkraus, Platt 2003 (doi:10.1109/ICDAR.2003.1227801).

Random vectors Z, standard normal, sit on a grid of control points whose distance is a seventh of the side. A pixel is
moved by the sum of those around it, weighted by a Gaussian of their distance, in rows and in columns alike:
    field = A Z Bᵀ,   A_ij = exp(-(y_i - y_j)²/2σ²) / norm of row i,   B likewise, σ = the distance of the points.
Every row of A and B has the norm 1, so every entry of the field is standard normal, at the edge as in the middle.
"""

import numpy as np

from ..backend import Array, array_module
from .sampling import as_before, bilinear, parts_of

POINTS = 8  # along a side, the first and the last on its ends
DISTANCE = 0.03  # of a side: standard deviation of the displacements at strength 1


def elastic_distortion(images: Array, rng: np.random.Generator, strength: float = 1.0) -> Array:
    """Every image (n, C, Sh, Sw), uint8 or floats, bent by a smooth random field, the same for all its channels.

    rng: 2 · 8² draws for each image. strength: the displacements have a standard deviation of strength · 3 % of the
    width and of the height; with 0 the images stay as they are.
    Returns a new batch of the same shape and dtype, where the images live; beyond the edge, the edge is repeated.
    """
    xp = array_module(images)
    n, _, Sh, Sw = images.shape
    Z = xp.asarray(rng.standard_normal((n, 2, POINTS, POINTS)).astype("float32"))
    A, B = xp.asarray(_weights(Sh)), xp.asarray(_weights(Sw))
    bent = xp.empty_like(images)
    for part in parts_of(images):
        field = _times(_times(Z[part].swapaxes(2, 3), A).swapaxes(2, 3), B)  # (n, 2, Sh, Sw)
        row = field[:, 0] * (strength * DISTANCE * Sh) + xp.arange(Sh, dtype="float32")[:, None]
        column = field[:, 1] * (strength * DISTANCE * Sw) + xp.arange(Sw, dtype="float32")
        bent[part] = as_before(bilinear(images[part], row, column), images)
    return bent


def _times(values: Array, weights: Array) -> Array:
    """values @ weights.T, added in this order whatever BLAS does: the bytes must not depend on its threads."""
    return sum(values[..., j : j + 1] * weights[:, j] for j in range(POINTS))


def _weights(side: int) -> np.ndarray:
    """A of the module's docstring, (side, POINTS), float32."""
    pixels, points = np.arange(side)[:, None], np.linspace(0, side - 1, POINTS)
    spacing = max(side - 1, 1) / (POINTS - 1)
    weights = np.exp(-0.5 * ((pixels - points) / spacing) ** 2)
    return (weights / np.linalg.norm(weights, axis=1, keepdims=True)).astype("float32")
