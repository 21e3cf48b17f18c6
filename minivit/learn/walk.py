"""The walk as text: a table of the forward pass and one of the backward pass."""

import re
from typing import Any

import numpy as np

from .graph import Place, Step
from .passes import TINY, Walk, norm, run_walk

NAME, SHAPE = 30, 17  # widths of columns


def walk(index: int = 0) -> str:
    """What `minivit walk --index` prints: the bundled test digit number `index` goes through a tiny model and back.

    Forward: every tensor's name, shape, norm and first values, its formula, and the line that computes it. Backward:
    the same of every gradient, and beside its norm the slope of the loss along it, measured by finite differences.
    Raises ConfigError for an index out of range.
    """
    it = run_walk(index)
    order = _order(it.steps)
    size = sum(it.values[name].size for name in order if "." in name or name in ("cls_token", "pos_embed"))
    return "\n".join(
        [
            f"Test digit {index}, a {it.label}, through a tiny untrained model of {size} parameters, in float64.",
            f"{TINY.patches} patches and a class token of width {TINY.dim}, {TINY.depth} block, {TINY.heads} heads.",
            "",
            f"{'FORWARD':<{NAME}}{'shape':<{SHAPE}}{'norm':>10}   first values",
            *(line for name in order for line in _value(it, name)),
            "",
            "Backward, from bottom to top. `measured` is a finite difference of two forward passes: the slope of the",
            "loss along the gradient, which must equal the gradient's norm.",
            "",
            f"{'GRADIENT WITH RESPECT TO':<{NAME}}{'shape':<{SHAPE}}{'norm':>10}{'measured':>11}   first values",
            *(line for name in reversed(order) if name != "loss" for line in _gradient(it, name)),
            "",
            _verdict(it),
        ]
    )


def _order(steps: list[Step]) -> list[str]:
    """Every tensor in the order in which the forward pass meets it, the parameters just before they are used."""
    return list(dict.fromkeys(name for step in steps for name in (*step.inputs, step.name)))


def _value(it: Walk, name: str) -> list[str]:
    lines = [_row(name, it.values[name])]
    for step in it.steps:
        if step.name == name:
            lines.append(_formula("=", step.operation.formula, step, step.operation.place))
    return lines


def _gradient(it: Walk, name: str) -> list[str]:
    """The gradient, and a line for each step that uses the tensor: its contribution."""
    lines = [_row(name, it.gradients[name], f" {it.slopes[name]:>10.6g}")]
    for step in reversed(it.steps):
        for which, gradient in zip(step.inputs, step.operation.gradients):
            if which == name:
                lines.append(_formula("=" if len(lines) == 1 else "+", gradient.formula, step, gradient.place))
    return lines


def _row(name: str, x: Any, measured: str = "") -> str:
    values = "".join(f"{value:>11.4g}" for value in np.ravel(x)[:4])
    return f"{name:<{NAME}}{np.shape(x)!s:<{SHAPE}}{norm(x):>10.6g}{measured} {values}"


def _formula(sign: str, formula: str, step: Step, place: Place) -> str:
    names = {f"x{i}": name for i, name in enumerate(step.inputs)} | {"dy": f"d{step.name}", "y": step.name}
    text = re.sub(r"\b(x\d|dy|y)(?=\b|ᵀ)", lambda found: names[found[1]], formula)
    return f"  {place!s:<{NAME - 2}}{sign} {text}"


def _verdict(it: Walk) -> str:
    norms = {name: norm(gradient) for name, gradient in it.gradients.items()}
    errors = {name: abs(slope - norms[name]) / norms[name] for name, slope in it.slopes.items()}
    worst = max(errors, key=lambda name: errors[name])
    return (
        f"Of {len(errors)} gradients, that of {worst} differs most from the measured slope: "
        f"by {errors[worst]:.1e} of its norm."
    )
