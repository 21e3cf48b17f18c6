"""Recipes: every setting of a result that the README reports, under a name.

`minivit train --data mnist --recipe quick` loads one; flags given beside it take precedence. Nothing in them knows
MNIST: the pixel statistics come from the training split of whatever data set they are used on.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """Settings that differ from the defaults of ViTConfig (model) and TrainConfig (train), and what they are for."""

    about: str
    model: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)


STEADY = {"batch_size": 128, "learning_rate": 2e-3, "views": 8}
MEAN = {**STEADY, "ema": 0.999}  # the model is the running mean of the weights

RECIPES = {
    "quick": Recipe("a good model in a minute", {}, {**STEADY, "epochs": 6, "augment": 0.7}),
    "standard": Recipe("a very good one in ten minutes", {}, {**MEAN, "epochs": 56, "augment": 1.1}),
    "best": Recipe(
        "the best of half an hour, wider and on every training image: none is held out",
        {"dim": 96, "depth": 6, "mlp_dim": 192, "drop_path": 0.1},
        {**MEAN, "epochs": 60, "augment": 1.2, "views": 16, "validation": 0},
    ),
    "long": Recipe(
        "best, wider and longer, for three hours",
        {"dim": 128, "depth": 8, "mlp_dim": 256, "drop_path": 0.2},
        {**MEAN, "epochs": 200, "augment": 1.3, "views": 16, "validation": 0},
    ),
}
