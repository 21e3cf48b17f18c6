"""Recipes: named settings, each of which reproduces a result in the README.

`minivit train --data mnist --recipe quick` loads one; flags given beside it take precedence. Nothing in them depends on
MNIST: the pixel statistics come from the training split of the data set in use.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """Settings that differ from the defaults of ViTConfig (model) and TrainConfig (train), and what they are for."""

    about: str
    model: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)


COMMON = {"batch_size": 128, "learning_rate": 2e-3, "tta": 8}
COMMON_EMA = {**COMMON, "ema": 0.999}  # the model is that of the averaged weights

RECIPES = {
    "quick": Recipe("a good model in a minute", {}, {**COMMON, "epochs": 6, "augment": 0.7}),
    "standard": Recipe("a very good model in ten minutes", {}, {**COMMON_EMA, "epochs": 56, "augment": 1.1}),
    "best": Recipe(
        "the best model of half an hour: wider, and trained on every image, with none held out",
        {"dim": 96, "depth": 6, "mlp_dim": 192, "drop_path": 0.1},
        {**COMMON_EMA, "epochs": 60, "augment": 1.2, "tta": 16, "validation": 0},
    ),
}
