"""Figures: create one, draw shares of patches and signed values in it, and save it atomically."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from .atomic import write_atomically
from .errors import ConfigError, MissingPackageError

FORMATS = ("png", "jpg", "jpeg", "pdf", "svg", "eps", "ps", "tif", "tiff", "webp")  # none needs another program
PNG = b"\x89PNG"  # how such a file begins


def check_picture_path(path: str | Path) -> None:
    """Raise, before anything is computed for it, what `save_figure` would: ConfigError for a name that ends like no
    picture's, and for a file without an ending that is there and is no picture; FileNotFoundError without a folder."""
    path = Path(path)
    ending = path.suffix[1:].lower()
    if ending and ending not in FORMATS:
        raise ConfigError(f"{path}: a picture's name ends in one of {', '.join(FORMATS)}, not in {path.suffix}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to draw in: make it, or choose another")
    if path.is_dir():
        raise ConfigError(f"{str(path)!r} is a folder, expected the name of a picture to draw, x.png for example")
    if not ending and path.is_file():
        with path.open("rb") as file:
            start = file.read(len(PNG))
        if start not in (b"", PNG):
            raise ConfigError(f"{path} is there, and is no picture: move it away, or choose another name")


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib figure of this size in inches. Raises MissingPackageError without matplotlib, ConfigError if
    matplotlib is set to something that it does not know."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPackageError(
            "drawing needs matplotlib, which is not installed: pip install minivit[viz]"
        ) from None
    except ValueError as error:  # MPLBACKEND, or a matplotlibrc, names what matplotlib does not know
        reason = " ".join(str(error).split())[:80]
        raise ConfigError(f"matplotlib refuses its own settings, see MPLBACKEND and matplotlibrc: {reason}") from None
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, path: str | Path) -> None:
    """Write a figure to a file, atomically, in the format that its extension names; PNG without one.
    Raises OSError if it cannot be written, ConfigError as `check_picture_path` does."""
    check_picture_path(path)
    picture = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # it draws a box for a letter that its font lacks
        figure.savefig(picture, format=Path(path).suffix[1:].lower() or "png", dpi=120)
    write_atomically(path, picture.getvalue())


def show_image(axes: Any, image: np.ndarray, interpolation: str = "antialiased") -> None:
    """Draw an image of pixels in 0..255, uint8 (C, Sh, Sw) of one channel or of three, on matplotlib axes."""
    pixels = np.moveaxis(image, 0, -1) if len(image) == 3 else image.mean(0)  # (C, Sh, Sw) -> (Sh, Sw, C) or (Sh, Sw)
    axes.imshow(pixels, "gray", vmin=0, vmax=255, interpolation=interpolation)


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
