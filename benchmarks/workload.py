"""What is measured: the models, the batch and the training settings that every contender is given."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

# Every option is given, so that both sides build the same model whatever their defaults are.
SWITCHES = {
    "pool": "cls",
    "positions": "learned",
    "gelu": "erf",
    "norm_eps": 1e-6,
    "qkv_bias": True,
    "head_hidden": None,
    "class_token": None,
    "registers": 0,
    "layer_scale": None,
    "pre_norm": False,
    "norm": "tokens",
}
MODELS: dict[str, dict[str, Any]] = {
    "small": {
        "image_size": (28, 28), "patch_size": 4, "channels": 1, "classes": 10,
        "dim": 64, "depth": 6, "heads": 4, "mlp_dim": 128, **SWITCHES,
    },
    "default": {  # ViTConfig's defaults
        "image_size": (28, 28), "patch_size": 7, "channels": 1, "classes": 10,
        "dim": 64, "depth": 4, "heads": 4, "mlp_dim": 128, **SWITCHES,
    },
    "tiny": {  # ViT-Tiny/16 at 224 x 224
        "image_size": (224, 224), "patch_size": 16, "channels": 3, "classes": 1000,
        "dim": 192, "depth": 12, "heads": 3, "mlp_dim": 768, **SWITCHES,
    },
    "small16": {  # ViT-S/16 at 224 x 224
        "image_size": (224, 224), "patch_size": 16, "channels": 3, "classes": 1000,
        "dim": 384, "depth": 12, "heads": 6, "mlp_dim": 1536, **SWITCHES,
    },
}  # fmt: skip
BATCHES = {"small": 128, "default": 64, "tiny": 8, "small16": 16}

LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.05
BETAS = (0.9, 0.999)
EPSILON = 1e-8
LABEL_SMOOTHING = 0.1


class Job(NamedTuple):
    """One measurement, as it is passed to a child process."""

    contender: str
    task: str  # "step" or "forward"
    model: dict[str, Any]  # the fields of minivit.ViTConfig
    batch: int
    threads: int
    steps: int  # timed ones

    @property
    def config(self) -> SimpleNamespace:
        """The model's fields as attributes, for contenders that do not import minivit."""
        return SimpleNamespace(**self.model)


def random_batch(model: dict[str, Any], batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (B, C, Sh, Sw) in float32, about normalised, and labels (B,) int64. The same for every contender."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((batch, model["channels"], *model["image_size"]), dtype=np.float32)
    return images, rng.integers(0, model["classes"], batch)
