"""The whole model, down to the pixels, under every switch of its config."""

from typing import Any, NamedTuple

import numpy as np

from ..config import POOLS, POSITIONS, ViTConfig
from ..rng import GRADIENT_CHECK, generator
from ..vit import ViT
from .check_model import check_model
from .checker import CAUSES
from .report import Report

BATCH = 5
BASE = dict(image_size=(6, 9), patch_size=3, channels=2, classes=8, dim=12, depth=2, heads=3, mlp_dim=10)
DROPOUTS = dict(dropout=0.3, attention_dropout=0.2, drop_path=0.2)


class Switch(NamedTuple):
    """A model: what of its config differs from BASE, and how its loss is taken."""

    settings: dict[str, Any]
    label_smoothing: float = 0.0
    soft_labels: bool = False  # labels are probabilities

    @property
    def config(self) -> ViTConfig:
        """The model's config."""
        return ViTConfig(**{**BASE, **self.settings})

    def model(self, seed: int = 0, dtype: Any = "float64") -> ViT:
        """The model; every parameter is a little off its initial value, so that no bias is 0 and no scale 1."""
        model = ViT(self.config, seed, dtype)
        model.params.flat += 0.1 * generator(seed, GRADIENT_CHECK, 0, 2).standard_normal(model.params.flat.size)
        return model

    def batch(self, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Images (B, C, Sh, Sw) float64, and labels."""
        rng = generator(seed, GRADIENT_CHECK, 0, 3)
        images = rng.standard_normal((BATCH, *self.config.image_shape))
        if self.soft_labels:
            return images, rng.dirichlet(np.ones(self.config.classes), BATCH)
        return images, rng.integers(0, self.config.classes, BATCH)

    def check(self, name: str, method: str = "differences", seed: int = 0, causes: int = CAUSES) -> Report:
        """The report of `check_model`."""
        return check_model(
            self.model(seed), *self.batch(seed), label_smoothing=self.label_smoothing, method=method, seed=seed,
            name=name, causes=causes,
        )  # fmt: skip


SWITCHES: dict[str, Switch] = {
    **{
        f"model, {positions}, {pool}": Switch(dict(positions=positions, pool=pool))
        for positions in POSITIONS
        for pool in POOLS
    },
    "model, tanh GELU": Switch(dict(gelu="tanh")),
    "model, MLP head": Switch(dict(head_hidden=7)),
    "model, MLP head, tanh GELU, mean": Switch(dict(head_hidden=7, gelu="tanh", pool="mean")),
    "model, quick GELU": Switch(dict(gelu="quick")),
    "model, class token, mean": Switch(dict(class_token=True, pool="mean")),
    "model, registers": Switch(dict(registers=3)),
    "model, registers, no class token, patches": Switch(dict(registers=3, pool="patches", norm="pool")),
    "model, registers, cls+patches": Switch(dict(registers=2, pool="cls+patches")),
    "model, LayerScale": Switch(dict(layer_scale=0.5)),
    "model, LayerScale, every dropout": Switch(dict(DROPOUTS, layer_scale=0.5)),
    "model, norm before the blocks": Switch(dict(pre_norm=True, gelu="quick")),
    "model, norm after the pool": Switch(dict(norm="pool")),
    "model, norm after the pool, cls+patches": Switch(dict(norm="pool", pool="cls+patches", head_hidden=7)),
    "model, no qkv bias": Switch(dict(qkv_bias=False)),
    "model, norm_eps 0.1": Switch(dict(norm_eps=0.1)),
    "model, dropout": Switch(dict(dropout=0.3)),
    "model, attention dropout": Switch(dict(attention_dropout=0.3)),
    "model, stochastic depth": Switch(dict(drop_path=0.2)),
    "model, patch dropout": Switch(dict(patch_dropout=0.5)),
    "model, patch dropout, registers, mean": Switch(dict(DROPOUTS, patch_dropout=0.5, registers=3, pool="mean")),
    "model, every dropout": Switch(DROPOUTS),
    "model, every dropout, mean, MLP head": Switch(dict(DROPOUTS, pool="mean", head_hidden=7), label_smoothing=0.1),
    "model, label smoothing": Switch({}, label_smoothing=0.1),
    "model, labels as probabilities": Switch({}, label_smoothing=0.1, soft_labels=True),
    "model, one channel, tall": Switch(dict(channels=1, image_size=(12, 3))),
    "model, square": Switch(dict(image_size=6, channels=3)),
    "model, one patch": Switch(dict(image_size=3)),
    "model, one token": Switch(dict(image_size=3, pool="mean")),
    "model, one block": Switch(dict(depth=1)),
    "model, four blocks": Switch(dict(depth=4)),
    "model, one head": Switch(dict(heads=1)),
    "model, heads = D": Switch(dict(heads=12)),
}
