"""Forward pass, backward pass and finite differences along the graph.

Forward runs the steps from top to bottom. Backward runs them from bottom to top: each step receives the gradient of its
output and returns those of its inputs; a tensor used by two steps accumulates both. That is all of backpropagation; the
rest is in `minivit.ops`.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..config import ViTConfig
from ..data import load
from ..errors import ConfigError
from ..initial import initial_params
from ..preprocess import normalise
from .graph import Step, graph

TINY = ViTConfig(dim=8, depth=1, heads=2, mlp_dim=16, pixel_mean=(0.1307,), pixel_std=(0.3081,))
STEP = 1e-6  # the step of the finite differences, relative to the tensor's norm


class Walk(NamedTuple):
    """All values of one walk, by the tensors' names."""

    label: int
    steps: list[Step]
    values: dict[str, Any]
    gradients: dict[str, Any]  # of the loss
    slopes: dict[str, float]  # of the loss along each gradient, by finite differences: must be the gradient's norm


def run_walk(index: int) -> Walk:
    """Walk the bundled test digit number `index` through the tiny model, in float64. Raises ConfigError for an index
    out of range."""
    test = load("mnist5k").test
    if not 0 <= index < len(test.labels):
        last = len(test.labels) - 1
        raise ConfigError(f"there is no digit {index}: the bundled test digits are numbered 0 to {last}")
    label = int(test.labels[index])
    images = normalise(test.images[index : index + 1], TINY, "float64")
    steps = graph(label, TINY)
    values, caches = forward(steps, {"images": images, **initial_params(TINY, dtype="float64")})
    gradients = backward(steps, caches)
    slopes = {name: slope(steps, values, name, gradient) for name, gradient in gradients.items() if name != "loss"}
    return Walk(label, steps, values, gradients, slopes)


def forward(steps: list[Step], values: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """Run the steps from top to bottom: the values with the tensor of every step added, and the steps' caches."""
    values, caches = dict(values), []
    for step in steps:
        values[step.name], cache = step.operation.forward(*(values[name] for name in step.inputs))
        caches.append(cache)
    return values, caches


def backward(steps: list[Step], caches: list[Any]) -> dict[str, Any]:
    """Run the steps from bottom to top: the gradient of the last step's output, a scalar, for every tensor."""
    gradients: dict[str, Any] = {steps[-1].name: 1.0}
    for step, cache in zip(reversed(steps), reversed(caches)):
        received = step.operation.backward(gradients[step.name], cache)
        for name, gradient in zip(step.inputs, received if isinstance(received, tuple) else (received,)):
            gradients[name] = gradients[name] + gradient if name in gradients else gradient  # fed two steps: add
    return gradients


def slope(steps: list[Step], values: Mapping[str, Any], name: str, gradient: Any) -> float:
    """The slope of the loss as a tensor moves along its gradient, by a central difference: (loss(+h) - loss(-h))/2h.

    Only forward passes are used: the tensor is moved to either side, and the steps after it are run again.
    """
    after = 1 + next((i for i, step in enumerate(steps) if step.name == name), -1)
    direction = gradient / (norm(gradient) or 1.0)
    h = STEP * (norm(values[name]) or 1.0)
    up, down = (forward(steps[after:], {**values, name: values[name] + s * direction})[0] for s in (h, -h))
    return float(up[steps[-1].name] - down[steps[-1].name]) / (2 * h)


def norm(x: Any) -> float:
    """The Euclidean norm of all entries."""
    return math.sqrt(float(np.square(x).sum()))
