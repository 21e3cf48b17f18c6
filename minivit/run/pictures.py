"""Pictures of a run, where matplotlib is installed (the extra `[viz]`)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import MissingPackageError
from ..plotting import new_figure, save_figure, show_image
from ..train import TrainConfig
from .folder import PICTURES
from .mistakes import Mistake
from .records import read_metrics, read_result, read_settings

MOST_COUNTED, MOST_NAMED = 20, 60  # classes whose counts, and whose names, are legible in a confusion matrix
LONGEST_LABEL, LONGEST_TITLE, LONGEST_NAME = 24, 24, 44  # characters of a class's name, and of a file's


def draw_pictures(folder: Path, mistakes: Sequence[Mistake] = ()) -> str:
    """Draw those of a run's pictures that are not there yet: its loss and error over the epochs into curves.png, the
    confusion matrix of its test into confusion.png, and its most confident mistakes, where there are some, into
    mistakes.png. An empty text, or the reason why one could not be drawn: whatever goes wrong in a picture, the run has
    its result."""
    curves, matrix, wrong = (folder / name for name in PICTURES)
    try:
        if not curves.exists():
            save_curves(folder)
        names = ((read_settings(folder) or {}).get("model") or {}).get("class_names")
        result = read_result(folder)
        if not matrix.exists() and result and "test_confusion" in result:
            rows = [row.split() for row in result["test_confusion"]]
            save_confusion(np.array(rows, int), matrix, names)
        if not wrong.exists() and mistakes:
            save_mistakes(mistakes, wrong, names)
    except MissingPackageError:
        return "pip install minivit[viz] also draws its curves and mistakes"
    except Exception as error:
        return f"its pictures cannot be drawn: {' '.join(str(error).split()) or type(error).__name__}"
    return ""


def save_curves(folder: Path) -> None:
    """Draw the lines of metrics.jsonl into curves.png. Raises MissingPackageError if matplotlib is missing."""
    figure = new_figure(9, 3.6)
    lines, settings = read_metrics(folder), read_settings(folder)
    augments = settings is None or TrainConfig.from_dict(settings["train"]).augments
    training = "training (augmented)" if augments else "training"
    loss, error = figure.subplots(1, 2)
    for prefix, label, colour in (("", training, "#0072b2"), ("valid_", "validation", "#d55e00")):
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
        axes.xaxis.get_major_locator().set_params(integer=True)  # there are no halves of a step
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
    labels = [shortened(name, LONGEST_LABEL) for name in names or map(str, range(K))]
    widest = 0.085 * max(map(len, labels))  # inches; more than that does not fit below a column, but upright
    cell = 0.42 if K <= MOST_COUNTED else max(0.16, 8.4 / K) if K <= MOST_NAMED else 9 / K  # inches
    side = max(2.6, cell * K)
    upright = widest > 0.9 * side / K
    figure = new_figure(side + widest + 2.1, side + (widest if upright else 0.1) + 0.9)
    axes = figure.subplots()
    mistakes = confusion * (1 - np.eye(K, dtype=int))
    image = axes.imshow(mistakes, "Oranges", vmin=0, vmax=max(1, mistakes.max()))
    figure.colorbar(image, label="mistakes", shrink=0.8).ax.yaxis.get_major_locator().set_params(integer=True)
    size = 9 if K <= MOST_COUNTED else max(4.5, 30 * cell)  # points
    for (row, column), count in np.ndenumerate(confusion if K <= MOST_COUNTED else mistakes):
        dark = 2 * mistakes[row, column] > mistakes.max()
        colour = "grey" if row == column else "white" if dark else "black"
        if count and K <= MOST_NAMED:
            points = min(size, 72 * side / K / (0.7 * len(str(count))))
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=points)
    if K <= MOST_NAMED:
        axes.set_xticks(range(K), labels, rotation=90 if upright else 0, fontsize=size, parse_math=False)
        axes.set_yticks(range(K), labels, fontsize=size, parse_math=False)
    right, images = int(confusion.trace()), int(confusion.sum())
    axes.set(xlabel="predicted class", ylabel="true class", title=f"{right} of {images} correct")
    save_figure(figure, path)


def save_mistakes(mistakes: Sequence[Mistake], path: Path, names: Sequence[str] | None = None) -> None:
    """Draw pictures that were classified wrongly, each with its true and its predicted class and how sure the model
    was, into a picture file. names: of the classes; without them they are called by their numbers.
    Raises MissingPackageError if matplotlib is missing, OSError if the file cannot be written."""
    columns = min(6, max(2, len(mistakes)))
    rows = -(-len(mistakes) // columns)
    _, height, width = mistakes[0].image.shape
    figure = new_figure(2.1 * columns, (2.0 * height / width + 0.6) * rows + 0.5)
    figure.suptitle("most confident mistakes\ntrue class → predicted class (its probability)", fontsize=9)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, mistake in zip(grid.flat, mistakes):
        show_image(axes, mistake.image, "nearest" if max(height, width) < 100 else "antialiased")
        true, predicted = (
            shortened(str(k) if names is None else names[k], LONGEST_TITLE) for k in (mistake.true, mistake.predicted)
        )
        axes.set_title(
            f"{true}\n→ {predicted} ({100 * mistake.confidence:.0f} %)", fontsize=8, loc="left", parse_math=False
        )
        name = shortened(mistake.name, LONGEST_NAME)
        axes.text(0, -0.03, name, transform=axes.transAxes, va="top", fontsize=6, color="grey", parse_math=False)
    save_figure(figure, path)


def shortened(name: str, longest: int) -> str:
    """A name on one line, its middle left out where it is too long: names of classes often differ at their ends.
    A question mark stands for what cannot be printed."""
    name = "".join(c if c.isprintable() else "?" for c in " ".join(name.split()))
    half = (longest - 1) // 2
    return name if len(name) <= longest else f"{name[: longest - 1 - half]}…{name[-half:]}"
