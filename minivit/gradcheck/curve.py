"""Why gradients are checked in float64: the error of a difference against its step, drawn."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..ops import layernorm_backward, layernorm_forward
from ..plotting import check_picture_path, new_figure, save_figure
from ..rng import GRADIENT_CHECK, generator
from .cases import CASES
from .numeric import Probe, complex_step, differences, rms

DIRECTIONS = 16  # one alone may be lucky at some step
DTYPES = ("float32", "float64")


class Curve(NamedTuple):
    """Root-mean-square errors of the slope along random directions, relative to its typical size."""

    steps: np.ndarray  # (S,)
    errors: dict[str, np.ndarray]  # by dtype, (S,): central differences at each step
    extrapolated: float  # float64, as `check_pair` takes them
    complex_step: float


def measure_curve(seed: int = 0) -> Curve:
    """The errors for the LayerNorm of two images, along random directions in its input."""
    inputs = CASES["layernorm"].inputs(seed)
    y, cache = layernorm_forward(**inputs)
    rng = generator(seed, GRADIENT_CHECK)
    dy = rng.standard_normal(y.shape)
    dx = layernorm_backward(dy, cache)[0]
    directions = rng.standard_normal((DIRECTIONS, *dx.shape))
    directions /= np.linalg.norm(directions.reshape(DIRECTIONS, -1), axis=1)[:, None, None, None]
    exact = (dx * directions).sum((1, 2, 3))  # (DIRECTIONS,)
    probe = Probe(layernorm_forward, inputs, "x", dy, y, tuple(inputs), [])

    def error(slopes: list[float]) -> float:
        return rms(np.array(slopes) - exact) / rms(dx)

    def slope(r: np.ndarray, h: float, dtype: str) -> float:
        cast = {name: x.astype(dtype) for name, x in inputs.items()}
        above, below = (probe._replace(inputs=cast).y((probe.x + side * r).astype(dtype)) for side in (h, -h))
        return float((dy * (above - below)).sum()) / (2 * h)

    steps = 10.0 ** np.arange(-14, 0.26, 0.25)
    errors = {dtype: np.array([error([slope(r, h, dtype) for r in directions]) for h in steps]) for dtype in DTYPES}
    extrapolated = error([differences(probe, r, rms(dx)) for r in directions])
    return Curve(steps, errors, extrapolated, error([complex_step(probe, r) for r in directions]))


def plot_curve(path: str | Path, seed: int = 0) -> str:
    """Draw error against step size into a picture file, and return in words what it shows.

    Raises MissingPackageError if matplotlib is missing, OSError if the file cannot be written, ConfigError for a name
    that is no picture's.
    """
    check_picture_path(path)
    figure = new_figure(8, 4.8)
    curve = measure_curve(seed)
    axes = figure.subplots()
    lines = []
    for (dtype, errors), colour in zip(curve.errors.items(), ("#d55e00", "#0072b2")):
        best = errors.argmin()
        axes.loglog(curve.steps, errors, color=colour, marker=".", label=f"central differences in {dtype}")
        lines.append(f"central differences in {dtype}: at best {errors[best]:.0e}, at h = {curve.steps[best]:.0e}")
    for name, error, colour in (
        ("extrapolated to h = 0, float64", curve.extrapolated, "#009e73"),
        ("complex step, float64", curve.complex_step, "#777777"),
    ):
        axes.axhline(error, color=colour, linestyle="--", label=name)
        lines.append(f"{name}: {error:.0e}")
    axes.set(xlabel="step size h", ylabel="relative error of the slope", ylim=(1e-17, 1e6))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, ncols=2)
    save_figure(figure, path)
    return "\n".join([*lines, f"drawn in {path}"])
