"""Figures: create one, draw shares of patches and signed values in it, and save it atomically."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from .atomic import write_atomically
from .errors import MissingPackageError


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib figure of this size in inches. Raises MissingPackageError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPackageError(
            "drawing needs matplotlib, which is not installed: pip install minivit[viz]"
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, path: str | Path) -> None:
    """Write a figure to a file, atomically, in the format that its extension names; PNG without one.
    Raises OSError if it cannot be written, ValueError for a format that matplotlib does not know."""
    picture = io.BytesIO()
    figure.savefig(picture, format=Path(path).suffix[1:] or "png", dpi=120)
    write_atomically(path, picture.getvalue())


def draw_shares(axes: Any, picture: np.ndarray, shares: np.ndarray, most: float | None = None) -> Any:
    """Lay shares of patches (Sh/P, Sw/P) over a picture (Sh, Sw), on matplotlib axes; returns the coloured image.
    most: the value of the brightest colour, for pictures that share a scale; None: the largest share."""
    height, width = picture.shape
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    axes.imshow(picture, "gray", extent=extent)
    return axes.imshow(shares, "viridis", extent=extent, alpha=0.7, vmin=0, vmax=most)


def draw_signed(axes: Any, values: np.ndarray) -> Any:
    """Draw signed values (Sh, Sw) on matplotlib axes, zero white, negative blue, positive red; returns the image."""
    limit = abs(values).max()
    return axes.imshow(values, "RdBu_r", vmin=-limit, vmax=limit)
