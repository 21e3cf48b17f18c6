"""The tape: one image through a model and back, with every tensor, its gradient, and the lines that compute both.

The passes are the model's own (`copies.py` says how they are watched), in float64, of one image, without dropout; so
the logits, the loss and the gradients are those of `vit_forward` and `vit_backward`.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..config import ViTConfig
from ..errors import ConfigError
from ..model import ViTCache
from ..params import Params
from ..preprocess import check_images, to_inputs
from ..rng import FINITE_DIFFERENCE, generator
from .copies import Bug
from .description import description
from .graph import graph
from .passes import Passes, Recorded

STEP, ENTRY_STEP = 3e-6, 3e-5  # of the finite differences, relative to the size of the tensor or the entry
SMALLEST = 0.1  # what is smaller is moved as far as this would be
AGREE = 1e-6  # relative
ROUNDING = 1e-9  # of a finite difference
AT_ONCE = 8  # tensors that are moved in one batch


class Step(NamedTuple):
    """A tensor of the tape. Activations and the image come without the batch axis: scores are (H, T, T)."""

    name: str  # "blocks.2.attn.scores"; parameters are called as in the model
    kind: str  # "input", "activation", "parameter" or "loss"
    value: np.ndarray  # float64
    grad: np.ndarray  # of the loss, of the value's shape
    formula: str  # of the value, without its name and "="; of a parameter: the line that uses it, with both
    grad_formula: str  # of the gradient; in formulas dx is the gradient of x
    inputs: tuple[str, ...]  # the tensors that it is computed from
    op: str  # the derivation: `minivit explain OP`; of a parameter: that of the operation that uses it
    file: str  # of the line that computes it or, for a parameter, uses it; below the package: "ops/attention.py"
    line: int
    grad_file: str  # of the line that computes its gradient
    grad_line: int
    block: int | None  # the number of its block


class Tape:
    """What `record` returns.

    steps: every tensor by its name, in the order of the forward pass, each parameter just before it is used; params and
    grads: the parameters and their gradients, in float64; cache: that of the model's forward pass, of a batch of one;
    config, label, bug: as given.
    """

    def __init__(self, passes: Passes) -> None:
        recorded = passes.record()
        self._passes = passes._replace(label=recorded.label)
        self.config, self.params, self.label, self.bug = passes.config, passes.params, recorded.label, passes.bug
        self.cache: ViTCache = recorded.cache
        self.grads: Params = recorded.grads
        self.steps: Mapping[str, Step] = _steps(passes.config, recorded)

    @property
    def loss(self) -> float:
        """The loss: the cross-entropy of the label; of a model without classes, minus feature number `label`."""
        return float(self.steps["loss"].value)

    @property
    def logits(self) -> np.ndarray:
        """The model's output (K,): the logits, or what a head would read."""
        return self.steps[self.steps["loss"].inputs[0]].value

    def finite_difference(self, name: str, entry: Any) -> float:
        """The slope of the loss with one entry of a tensor, an index such as (0, 3, 1): (loss(+h) - loss(-h))/2h, from
        two forward passes in which nothing else is moved. Raises KeyError for a name and IndexError for an entry that
        does not exist."""
        value = self.steps[name].value
        direction = np.zeros(value.shape)
        direction[entry] = 1
        if direction.sum() != 1:
            raise IndexError(f"{name} has shape {value.shape}, of which {entry} is not one entry")
        h = ENTRY_STEP * max(abs(float(value[entry])), _rms(value), SMALLEST)
        return self._differences({name: (direction, h)})[name]

    def slope(self, name: str) -> tuple[float, float]:
        """The slope of the loss as a whole tensor is moved in one direction: what its gradient says, and what two
        forward passes measure.

        The direction is that of the gradient plus a random one: along the gradient alone, one that is right in some
        entries and 0 in the others would pass. Raises KeyError for a name that does not exist.
        """
        return self.slopes([name])[name]

    def slopes(self, names: Iterable[str]) -> dict[str, tuple[float, float]]:
        """Those of several tensors; the passes of up to AT_ONCE tensors that are no parameters run as one batch."""
        found = {}
        directions: dict[str, tuple[np.ndarray, float]] = {}
        for name in names:
            value, grad = self.steps[name].value, self.steps[name].grad
            random = generator(0, FINITE_DIFFERENCE).standard_normal(value.shape)
            random *= math.copysign(1 / norm(random), float((random * grad).sum()))
            direction = grad / (norm(grad) or 1.0) + random
            direction /= norm(direction)
            directions[name] = direction, STEP * max(norm(value), SMALLEST)
            found[name] = float((grad * direction).sum())
        measured = self._differences(directions)
        return {name: (slope, measured[name]) for name, slope in found.items()}

    def disagreements(self) -> list[str]:
        """The tensors whose gradient is not the slope that forward passes measure, in the order of the backward pass.
        Without a bug there are none; with one, the first is what the operation with the bug reads."""
        return [
            name
            for name, (slope, measured) in self.slopes(list(self.steps)[::-1]).items()
            if not abs(slope - measured) <= AGREE * max(abs(slope), abs(measured)) + ROUNDING
        ]

    def with_params(self, params: Params) -> "Tape":
        """The tape of the same image, label and bug with other parameters, in float64, which must not change after."""
        return Tape(self._passes._replace(params=params))

    def _differences(self, directions: Mapping[str, tuple[np.ndarray, float]]) -> dict[str, float]:
        """(loss(+h) - loss(-h))/2h of every tensor, moved by h along its direction."""
        found = {}
        for name in directions.keys() & self.params.keys():
            direction, h = directions[name]
            params, up_and_down = self.params.copy(), []
            for s in (h, -h):
                params[name] = self.params[name] + s * direction
                up_and_down.append(self._passes.loss_with(params))
            found[name] = (up_and_down[0] - up_and_down[1]) / (2 * h)
        others = [name for name in directions if name not in self.params]
        for start in range(0, len(others), AT_ONCE):
            moves = []
            for name in others[start : start + AT_ONCE]:
                direction, h = directions[name]
                moves += [(name, h * direction), (name, -h * direction)]
            losses = self._passes.losses_at(moves)
            for name, up, down in zip(others[start:], losses[::2], losses[1::2]):
                found[name] = (up - down) / (2 * directions[name][1])
        return found


def record(params: Params, config: ViTConfig, image: Any, label: int | None = None, bug: Bug | None = None) -> Tape:
    """Both passes of a model for one image and the loss of one class.

    image: (C, Sh, Sw), uint8, which are normalised, or floats that are already; label: the class whose loss flows back;
    of a model without classes, the number of the output's feature; None: the class that the model predicts (the largest
    feature). bug: the passes run with it.
    Raises DataError or DataTypeError for an image that does not fit, ConfigError for a label out of range.
    """
    params = params.to("cpu").astype("float64")
    images = to_inputs(check_images(np.asarray(image)[None], config), config, np.float64)
    features = config.classes or config.features
    if label is not None and not 0 <= label < features:
        raise ConfigError(f"label must lie in 0..{features - 1}, not {label}")
    return Tape(Passes(graph(config), images, None if label is None else int(label), params, config, bug))


def norm(x: np.ndarray) -> float:
    """The Euclidean norm of all entries."""
    flat = x.ravel()
    return math.sqrt(float(flat @ flat))


def _rms(x: np.ndarray) -> float:
    return norm(x) / math.sqrt(x.size)


def _steps(config: ViTConfig, recorded: Recorded) -> dict[str, Step]:
    """The steps in order: what is known of them beforehand, and what was recorded."""
    steps = {}
    for known in description(config, recorded.label):
        value, grad = recorded.values[known.name].view(), recorded.gradients[known.name].view()
        value.flags.writeable = grad.flags.writeable = False
        steps[known.name] = Step(known.name, known.kind, value, grad, *known[2:])
    return steps
