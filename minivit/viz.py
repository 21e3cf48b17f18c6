"""Pictures of a run, where matplotlib is installed (the extra `[viz]`)."""

import io
from pathlib import Path

from .files import write_atomically
from .folder import read_metrics


def save_curves(folder: Path) -> bool:
    """Draw a run's loss and error over the epochs into curves.png; False if matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return False
    lines = read_metrics(folder)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
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
    picture = io.BytesIO()
    figure.savefig(picture, dpi=120)
    write_atomically(folder / "curves.png", picture.getvalue())
    return True
