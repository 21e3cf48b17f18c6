"""The tape as text: a table of the forward pass and one of the backward pass."""

import numpy as np

from ..config import ViTConfig
from ..data import load
from ..errors import ConfigError
from ..initial import initial_params
from ..vit import ViT
from .lines import PACKAGE
from .tape import Step, Tape, norm, record

TINY = ViTConfig(dim=8, depth=1, heads=2, mlp_dim=16, pixel_mean=(0.1307,), pixel_std=(0.3081,))
NAME, SHAPE = 32, 17  # widths of columns


def walk(index: int = 0, model: ViT | None = None, block: int | None = None) -> str:
    """What `minivit walk` prints: the bundled test digit number `index` goes through a model and back.

    model: None is a tiny untrained one; block: only the tensors of this block, None: all tensors.
    Forward: every tensor's name, shape, norm and first values, its formula, and the line that computes it. Backward:
    the same of every gradient, with the slope of the loss along a direction, from the gradient and by finite
    differences. Raises ConfigError for an index or a block out of range, DataError if the model reads other images.
    """
    tape = record_digit(index, model)
    L = tape.config.depth
    if block is not None and not 0 <= block < L:
        raise ConfigError(f"there is no block {block}: the model's blocks are numbered 0 to {L - 1}")
    steps = [step for step in tape.steps.values() if block in (None, step.block)]
    slopes = {step.name: tape.slope(step.name) for step in steps if step.kind != "loss"}
    kind = "a tiny untrained model" if model is None else "a model"
    tokens = f"{tape.config.patches} patches{' and a class token' if tape.config.has_class_token else ''}"
    blocks = f"{L} block{'s' if L > 1 else ''}, {tape.config.heads} heads"
    return "\n".join(
        [
            f"Test digit {index}, a {tape.label}, through {kind} of {tape.params.flat.size} parameters, in float64.",
            f"{tokens} of width {tape.config.dim}, {blocks}." + ("" if block is None else f" Block {block}:"),
            "",
            f"{'FORWARD':<{NAME}}{'shape':<{SHAPE}}{'norm':>12}   first values",
            *(line for step in steps for line in _value(step)),
            "",
            "Backward, from bottom to top. Every tensor is moved along its gradient and a random direction: `slope` is",
            "the slope of the loss that the gradient predicts, `measured` a finite difference of two forward passes.",
            "",
            f"{'GRADIENT WITH RESPECT TO':<{NAME}}{'norm':>12}{'slope':>12}{'measured':>12}   first values",
            *(line for step in reversed(steps) if step.kind != "loss" for line in _gradient(step, *slopes[step.name])),
            "",
            _verdict(slopes),
        ]
    )


def record_digit(index: int, model: ViT | None = None) -> Tape:
    """The tape of the bundled test digit number `index` and its label, through a model; None: a tiny untrained one.
    Raises ConfigError for an index out of range, DataError if the model reads other images."""
    test = load("mnist5k").test
    last = len(test.labels) - 1
    if not 0 <= index <= last:
        raise ConfigError(f"there is no digit {index}: the bundled test digits are numbered 0 to {last}")
    if model is None:
        params, config = initial_params(TINY, dtype="float64"), TINY
    else:
        params, config = model.params, model.config
    return record(params, config, test.images[index], int(test.labels[index]))


def _value(step: Step) -> list[str]:
    lines = [f"{step.name:<{NAME}}{step.value.shape!s:<{SHAPE}}{norm(step.value):>12.6g} {_first(step.value)}"]
    if step.inputs:
        lines.append(_formula(step.file, step.line, step.formula))
    return lines


def _gradient(step: Step, slope: float, measured: float) -> list[str]:
    numbers = f"{norm(step.grad):>12.6g}{slope:>12.6g}{measured:>12.6g}"
    return [
        f"{step.name:<{NAME}}{numbers} {_first(step.grad)}",
        _formula(step.grad_file, step.grad_line, step.grad_formula),
    ]


def _first(x: np.ndarray) -> str:
    return "".join(f"{value:>11.4g}" for value in np.ravel(x)[:4])


def _formula(file: str, line: int, formula: str) -> str:
    return f"  {f'{PACKAGE.name}/{file}:{line}':<{NAME - 2}}= {formula}"


def _verdict(slopes: dict[str, tuple[float, float]]) -> str:
    errors = {name: abs(slope - measured) / max(abs(slope), 1e-300) for name, (slope, measured) in slopes.items()}
    worst = max(errors, key=lambda name: errors[name])
    return f"Of {len(errors)} slopes, that of {worst} differs most from the measured one: by {errors[worst]:.1e} of it."
