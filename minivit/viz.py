"""Pictures of a run, where matplotlib is installed (the extra `[viz]`)."""

from pathlib import Path

from .run import read_metrics


def save_curves(folder: Path) -> bool:
    """Draw a run's loss and error over the epochs into curves.png; False if matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return False
    lines = read_metrics(folder)
    epochs = [line["epoch"] for line in lines]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    loss, error = figure.subplots(1, 2)
    for name, label, colour in (("train", "training (augmented)", "#0072b2"), ("valid", "validation", "#d55e00")):
        if lines[0][f"{name}_loss"] is None:
            continue
        loss.plot(epochs, [line[f"{name}_loss"] for line in lines], label=label, color=colour)
        error.plot(epochs, [100 * (1 - line[f"{name}_accuracy"]) for line in lines], label=label, color=colour)
    loss.set(xlabel="epoch", ylabel="cross-entropy")
    error.set(xlabel="epoch", ylabel="error (%)", yscale="log")
    for axes in (loss, error):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(folder / "curves.png", dpi=120)
    return True
