"""The two passes of one image through the copied model, watched."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..backend import Array
from ..config import ViTConfig
from ..model import ViTCache
from ..params import Params
from .copies import Bug, copies, watched_by
from .graph import Node, Site
from .operations import feature_loss


class Recorded(NamedTuple):
    """What the passes computed, by the tensors' names; without the batch axis, but for the parameters."""

    values: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]  # of the loss
    cache: ViTCache
    grads: Params


class Passes(NamedTuple):
    """One image through a model: what the passes start from."""

    nodes: list[Node]
    images: np.ndarray  # (1, C, Sh, Sw), normalised
    label: int
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
        loss, doutput = self._loss(output)
        with watched_by(backward):
            grads, dimages = model.vit_backward(doutput, cache)
        gradients = {nodes[-1].name: doutput[0], **backward.seen, "image": dimages[0], "loss": np.ones(()), **grads}
        for node, reader in zip(nodes[-2::-1], nodes[:0:-1]):
            if node.gradient is None:  # fixed positions: no line of the backward pass is theirs
                gradients[node.name] = gradients[reader.name]
        values = {"image": self.images[0], **forward.seen, "loss": np.asarray(loss), **self.params}
        return Recorded(values, gradients, cache, grads)

    def loss_at(self, name: str, shift: np.ndarray) -> float:
        """The loss of a forward pass in which one tensor is moved, and all that is computed from it."""
        images, params = self.images, self.params
        if name == "image":
            images = images + shift
        elif name in params:
            params = params.copy()
            params[name] += shift
        mover = _Mover(((node.value, node.name) for node in self.nodes), name, shift)
        with watched_by(mover):
            output, _ = copies(self.bug).model.vit_forward(
                params, images, self.config, keep_cache=False, all_tokens=True
            )
        loss, _ = self._loss(output)
        return float(loss + shift if name == "loss" else loss)

    def _loss(self, output: Array) -> tuple[float, Array]:
        """The loss of the output (1, K), and its gradient."""
        if not self.config.predicts:
            return feature_loss(output, self.label)
        module = copies(self.bug).loss
        loss, cache = module.cross_entropy_forward(output, np.array([self.label]))
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
    """Moves one tensor."""

    def __init__(self, expected: Iterable[tuple[Site | None, str]], name: str, shift: np.ndarray) -> None:
        super().__init__(expected)
        self.name, self.shift = name, shift

    def met(self, name: str, tensor: Array) -> Array:
        return tensor + self.shift if name == self.name else tensor
