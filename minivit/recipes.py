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


FINE = {"patch_size": 4, "depth": 6}  # 7 x 7 patches of an MNIST digit, 206 thousand parameters
STEADY = {"batch_size": 128, "learning_rate": 2e-3}

RECIPES = {
    "quick": Recipe("a good model in a minute", {}, {**STEADY, "epochs": 7, "augment": 0.7}),
    "standard": Recipe("a very good one in ten minutes", FINE, {**STEADY, "epochs": 21, "augment": 0.9}),
    "best": Recipe("as good as an hour can make it", FINE, {**STEADY, "epochs": 100, "augment": 1.0, "ema": 0.999}),
    "long": Recipe(
        "an extension of best for three hours",
        {**FINE, "dim": 96, "mlp_dim": 192, "drop_path": 0.1},
        {**STEADY, "epochs": 150, "augment": 1.0, "ema": 0.999},
    ),
}
