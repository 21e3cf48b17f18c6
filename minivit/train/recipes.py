"""Recipes: named settings, for which README has results.

`minivit train --data mnist --recipe quick` loads one; flags given beside it take precedence. No recipe looks at a data
set's name: the pixel statistics come from its training split, and its pixels decide whether the images are photos. The
strengths of the augmentation of digits were chosen on MNIST. `probe` and `finetune` start from a trained model.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..config import ViTConfig
from ..errors import ConfigError
from .config import TrainConfig


@dataclass(frozen=True)
class Recipe:
    """Settings that differ from the defaults of ViTConfig (model) and TrainConfig (train), and what they are for."""

    about: str
    model: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    photos: dict[str, Any] = field(default_factory=dict)  # in place of those of `train` where the images are photos
    needs_init: bool = False  # it starts from a trained model

    def __str__(self) -> str:
        """What it is for and, in brackets, its settings: those of the model first."""
        parts = [_listed({**self.model, **self.train}), *([f"photos: {_listed(self.photos)}"] if self.photos else [])]
        return f"{self.about} ({'; '.join(parts)})"


def _listed(settings: dict[str, Any]) -> str:
    words = {field.name: field.metadata["none"] for config in (ViTConfig, TrainConfig) for field in fields(config)}
    said = ((name, words[name] if value is None else value) for name, value in settings.items())
    return ", ".join(f"{name.replace('_', '-')} {value}" for name, value in said)


DEFAULT = Recipe(
    "what `minivit train` does without a recipe",
    {"pool": "mean", "heads": 8},
    {"batch_size": 128, "learning_rate": 2e-3, "muon": 2e-3, "augment": "auto", "images_seen": 162_000},
    photos={"images_seen": 330_000},
)

MODEL = {"heads": 8, "patch_dropout": 0.25}
LONG_MODEL = {"pool": "cls+patches", **MODEL}
TRAIN = {"batch_size": 128, "learning_rate": 2e-3, "muon": 1.5e-3, "patch_dropout_until": 0.6, "tta": 8}
LONG_TRAIN = {**TRAIN, "ema": 0.999, "augment": 1.7}  # the model is that of the averaged weights

RECIPES = {
    "quick": Recipe(
        "a good model in three minutes, on two cores",
        {"pool": "mean", **MODEL},
        {**TRAIN, "epochs": 7, "patch_dropout_until": 0.7, "augment": 0.7},
        photos={"augment": "auto"},
    ),
    "standard": Recipe(
        "a very good model in under half an hour, on two cores",
        {**LONG_MODEL, "mlp_dim": 160},
        {**LONG_TRAIN, "epochs": 57},
        photos={"augment": "auto"},
    ),
    "best": Recipe(
        "the best model, in one to two hours, on two cores: 49 patches or more, and no image held out",
        {**LONG_MODEL, "patch_size": None, "heads": 4},  # by the size of the images: 4 for those of MNIST
        {**LONG_TRAIN, "epochs": 80, "augment": 2.0, "tta": 16, "validation": 0},
        photos={"augment": "auto"},
    ),
    # Only the head learns, so its rate may be a hundred times that of a whole model: 1e-3 to 1e-2 are usual.
    "probe": Recipe(
        "with --init: a linear head on the frozen model, whose embeddings are computed once",
        {},
        {
            **{"freeze": "all", "augmentation": "none", "epochs": 100, "batch_size": 64, "learning_rate": 3e-3},
            **{"muon": None, "label_smoothing": 0.0, "patience": 10},
        },
        needs_init=True,
    ),
    # 1e-5 to 5e-5 are usual for a whole ViT, in batches of 32 to 64; 1e-2 destroys what it knows. A layer decay of 0.65
    # to 0.75 is usual for ViT-B, 0.75 to 0.8 for ViT-L.
    "finetune": Recipe(
        "with --init: the whole model at a low rate, lower still in its first layers",
        {},
        {
            **{"epochs": 20, "batch_size": 32, "learning_rate": 5e-5, "muon": None, "layer_decay": 0.75},
            **{"patience": 5, "augment": 1.0},
        },
        needs_init=True,
    ),
}


def recipe_called(name: str | None, has_model: bool = False, settled: bool = False) -> Recipe:
    """The recipe of this name, None: DEFAULT. has_model: whether there is a model to start from, whose architecture is
    given, so that of the recipe's model only patch dropout is left; settled: whether a run to resume, or the check on
    one batch, has its own settings, so that without a name there are none. Raises ConfigError for a recipe that needs
    a model."""
    if name is None:
        if settled:
            return Recipe("the given flags alone")
        return replace(DEFAULT, model={}) if has_model else DEFAULT
    recipe = RECIPES[name]
    if recipe.needs_init and not has_model:
        raise ConfigError(f"--recipe {name} starts from a trained model: say which with --init PATH")
    if has_model:
        return replace(recipe, model={key: value for key, value in recipe.model.items() if key == "patch_dropout"})
    return recipe
