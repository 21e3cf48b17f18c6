"""The two passes of one image through the copied model, watched."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ..backend import Array
from ..config import ViTConfig
from ..model import ViTCache
from ..params import Params
from .copies import Bug, copies, watched_by
from .graph import Node, Site
from .operations import feature_loss

Move = tuple[str, np.ndarray]  # of a tensor: its name, and what is added to it
Moved = dict[str, list[tuple[int, np.ndarray]]]  # by tensor: rows of the batch, and what is added there


class Recorded(NamedTuple):
    """What the passes computed, by the tensors' names; without the batch axis, but for the parameters."""

    values: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]  # of the loss
    cache: ViTCache
    grads: Params
    label: int


class Passes(NamedTuple):
    """One image through a model: what the passes start from."""

    nodes: list[Node]
    images: np.ndarray  # (1, C, Sh, Sw), normalised
    label: int | None  # None: the class that the model predicts
    params: Params
    config: ViTConfig
    bug: Bug | None

    def record(self) -> Recorded:
        """Both passes, with every tensor kept."""
        nodes, model = self.nodes, copies(self.bug).model
        forward = _Recorder((node.value, node.name) for node in nodes)
        backward = _Recorder((node.gradient, node.name) for node in reversed(nodes))
        with watched_by(forward):
            output, cache = model.vit_forward(self.params, self.images, self.config, all_tokens=True)
        label = int(output[0].argmax()) if self.label is None else self.label
        loss, doutput = self._loss(output, label)
        with watched_by(backward):
            grads, dimages = model.vit_backward(doutput, cache)
        gradients = {nodes[-1].name: doutput[0], **backward.seen, "image": dimages[0], "loss": np.ones(()), **grads}
        for node, reader in zip(nodes[-2::-1], nodes[:0:-1]):
            if node.gradient is None:  # fixed positions: no line of the backward pass is theirs
                gradients[node.name] = gradients[reader.name]
        values = {"image": self.images[0], **forward.seen, "loss": np.asarray(loss), **self.params}
        return Recorded(values, gradients, cache, grads, label)

    def loss_with(self, params: Params) -> float:
        """The loss with other parameters."""
        return self._losses(params, self.images, {})[0]

    def losses_at(self, moves: Sequence[Move]) -> list[float]:
        """The losses of forward passes in each of which one tensor that is no parameter is moved, and all that is
        computed from it: the passes of one batch, in which every move has an image of its own."""
        images = np.repeat(self.images, len(moves), axis=0)
        moved: Moved = {}
        for row, (name, shift) in enumerate(moves):
            moved.setdefault(name, []).append((row, shift))
        for row, shift in moved.get("image", ()):
            images[row] += shift
        losses = self._losses(self.params, images, moved)
        return [loss + float(shift) if name == "loss" else loss for loss, (name, shift) in zip(losses, moves)]

    def _losses(self, params: Params, images: np.ndarray, moved: Moved) -> list[float]:
        """The loss of every image in a batch."""
        assert self.label is not None
        with watched_by(_Mover(((node.value, node.name) for node in self.nodes), moved)):
            output, _ = copies(self.bug).model.vit_forward(
                params, images, self.config, keep_cache=False, all_tokens=True
            )
        return [float(self._loss(row[None], self.label)[0]) for row in output]

    def _loss(self, output: Array, label: int) -> tuple[float, Array]:
        """The loss of the output (1, K), and its gradient."""
        if not self.config.predicts:
            return feature_loss(output, label)
        module = copies(self.bug).loss
        loss, cache = module.cross_entropy_forward(output, np.array([label]))
        return loss, module.cross_entropy_backward(1.0, cache)


class _Recorder:
    """Keeps a copy of every tensor. A line that runs several times, as those of a block do, gives the tensors of its
    site in their order."""

    def __init__(self, expected: Iterable[tuple[Site | None, str]]) -> None:
        self.expected: dict[Site | None, list[str]] = {}
        for site, name in expected:
            self.expected.setdefault(site, []).insert(0, name)
        self.seen: dict[str, np.ndarray] = {}

    def __call__(self, site: Site, tensor: Array) -> Array:
        names = self.expected.get(site)
        return self.met(names.pop(), tensor) if names else tensor

    def met(self, name: str, tensor: Array) -> Array:
        self.seen[name] = tensor[0].copy()
        return tensor


class _Mover(_Recorder):
    """Moves tensors, each in some rows of the batch."""

    def __init__(self, expected: Iterable[tuple[Site | None, str]], moved: Moved) -> None:
        super().__init__(expected)
        self.moved = moved

    def met(self, name: str, tensor: Array) -> Array:
        if name in self.moved:
            tensor = tensor.copy()
            for row, shift in self.moved[name]:
                tensor[row] += shift
        return tensor
