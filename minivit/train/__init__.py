"""From gradients to a trained model, in memory: one step, the loop over a data set, evaluation, recipes."""

from .augment import random_affine
from .batches import Prefetcher, steps_per_epoch
from .config import TrainConfig
from .evaluate import Evaluation, probabilities
from .loop import Metrics, RunningSums, fit
from .nonfinite import first_not_finite
from .recipes import DEFAULT, RECIPES, Recipe, recipe_called
from .trainer import NotFinite, StepResult, Trainer, TrainingError

__all__ = [
    "DEFAULT",
    "RECIPES",
    "Evaluation",
    "Metrics",
    "NotFinite",
    "Prefetcher",
    "Recipe",
    "RunningSums",
    "StepResult",
    "TrainConfig",
    "Trainer",
    "TrainingError",
    "first_not_finite",
    "fit",
    "probabilities",
    "random_affine",
    "recipe_called",
    "steps_per_epoch",
]
