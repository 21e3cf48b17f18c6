"""Pictures of a run, where matplotlib is installed (the extra `[viz]`)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import MissingPackageError
from ..plotting import new_figure, save_figure
from .folder import PICTURES
from .records import read_metrics, read_result, read_settings


def draw_pictures(folder: Path) -> str:
    """Draw those of a run's pictures that are not there yet: its loss and error over the epochs into curves.png, and
    the confusion matrix of its test into confusion.png. An empty text, or the reason why one could not be drawn:
    whatever goes wrong in a picture, the run has its result."""
    try:
        if not all((folder / name).exists() for name in PICTURES):
            save_curves(folder)
            result = read_result(folder)
            if result and "test_confusion" in result:
                rows = [row.split() for row in result["test_confusion"]]
                names = (read_settings(folder) or {}).get("model", {}).get("class_names")
                save_confusion(np.array(rows, int), folder / "confusion.png", names)
    except MissingPackageError:
        return "pip install minivit[viz] also draws its curves and mistakes"
    except Exception as error:
        return f"its pictures cannot be drawn: {' '.join(str(error).split()) or type(error).__name__}"
    return ""


def save_curves(folder: Path) -> None:
    """Draw the lines of metrics.jsonl into curves.png. Raises MissingPackageError if matplotlib is missing."""
    figure = new_figure(9, 3.6)
    lines = read_metrics(folder)
    loss, error = figure.subplots(1, 2)
    for prefix, label, colour in (("", "training (augmented)", "#0072b2"), ("valid_", "validation", "#d55e00")):
        points = [line for line in lines if line[f"{prefix}loss"] is not None]
        if not points:
            continue
        steps = [line["step"] for line in points]
        style = {"label": label, "color": colour, "marker": "." if len(points) < 20 else ""}
        loss.plot(steps, [line[f"{prefix}loss"] for line in points], **style)
        error.plot(steps, [100 * (1 - line[f"{prefix}accuracy"]) for line in points], **style)
    loss.set(xlabel="step", ylabel="cross-entropy")
    error.set(xlabel="step", ylabel="error (%)")
    if any(line["accuracy"] < 1 for line in lines):  # a logarithmic axis needs a number above zero
        error.set_yscale("log")
        error.yaxis.set_major_formatter("{x:g}")
        error.yaxis.set_minor_formatter("{x:g}")
    for axes in (loss, error):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    save_figure(figure, folder / "curves.png")


def save_confusion(confusion: np.ndarray, path: Path, names: Sequence[str] | None = None) -> None:
    """Draw a confusion matrix (K, K), a row for each true class, a column for each predicted one, into a picture file
    of the format that its name ends with. names: of the classes; without them they are called by their numbers.

    Only the mistakes are coloured: beside the many correct answers they could not be seen.
    Raises MissingPackageError if matplotlib is missing, OSError if the file cannot be written.
    """
    K = len(confusion)
    side = min(12.0, 1.5 + 0.45 * K)
    figure = new_figure(side + 0.8, side)
    axes = figure.subplots()
    mistakes = confusion * (1 - np.eye(K, dtype=int))
    image = axes.imshow(mistakes, "Oranges", vmin=0, vmax=max(1, mistakes.max()))
    figure.colorbar(image, label="mistakes", shrink=0.8).ax.yaxis.get_major_locator().set_params(integer=True)
    if K <= 20:  # more would not be legible
        for (row, column), count in np.ndenumerate(confusion):
            dark = 2 * mistakes[row, column] > mistakes.max()
            colour = "grey" if row == column else "white" if dark else "black"
            if count:
                axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=9)
        upright = names is not None and max(map(len, names)) > 2
        axes.set_xticks(range(K), names or range(K), rotation=90 if upright else 0)
        axes.set_yticks(range(K), names or range(K))
    right, images = int(confusion.trace()), int(confusion.sum())
    axes.set(xlabel="predicted class", ylabel="true class", title=f"{right} of {images} correct")
    save_figure(figure, path)
