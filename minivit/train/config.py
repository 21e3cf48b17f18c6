"""TrainConfig: every setting of a training, validated once and never changed."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from ..config import check, check_count, option
from .augment import STRONGEST

IMAGES_SEEN, MOST_EPOCHS = 330_000, 500  # by a training whose number of epochs is not given
MOST_COPIES = 1000  # augmented copies of a test image; each costs as much as the image itself


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained. Raises ConfigError, naming the field, for values that cannot work.

    Fields whose metadata say `machine` belong to the machine that computes: they do not change the result.
    """

    epochs: int | None = option(None, f"passes over the training images (default: enough to see {IMAGES_SEEN})")
    batch_size: int = option(64, "images in a step; any number, since memory is bounded by a shard of the batch")
    learning_rate: float = option(1.5e-3, "peak learning rate, reached after the warm-up")
    warmup_fraction: float = option(0.1, "fraction of the steps used for linear warm-up")
    weight_decay: float = option(0.05, "decay of the weight matrices; nothing else decays")
    label_smoothing: float = option(0.1, "fraction of the target probability spread over all classes")
    clip_norm: float = option(1.0, "gradients longer than this are scaled down to it")
    beta1: float = option(0.9, "decay of AdamW's mean of the gradient")
    beta2: float = option(0.99, "decay of AdamW's mean of the squared gradient")
    ema: float = option(0.0, "EMA decay of the weights; above 0 the averaged weights are saved as the model")
    augment: float = option(1.0, "strength of the random rotation, scaling, shear and translation; 0 disables them")
    tta: int = option(0, "test-time augmentation: average over each test image and this many augmented copies of it")
    validation: int | None = option(None, "training images held out for validation (default: a tenth, at most 5,000)")
    save_every: int | None = option(
        None, "steps between two saves of the training state (default: an epoch)", machine=True
    )
    log_every: int | None = option(None, "steps between two lines of metrics.jsonl (default: an epoch)")
    seed: int = option(0, "seed of the initial weights, the shuffling, the augmentation and the dropouts")
    threads: int | None = option(None, "threads that compute (default: the cores available)", machine=True)
    keep_memory: bool = option(
        True, "keep freed memory in the process, which makes a step much faster on Linux", machine=True
    )

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "threads", "save_every", "log_every"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            check(0 < value < math.inf, f"{name} must be positive, not {value}")
            check(value <= 1e30, f"{name} {value} is too much for float32: choose at most 1e30")
        for name in ("weight_decay", "augment", "seed", "validation", "tta"):
            value = getattr(self, name)
            check(value is None or 0 <= value < math.inf, f"{name} must be at least 0, not {value}")
        check(self.augment <= STRONGEST, f"augment must be at most {STRONGEST}, not {self.augment}")
        check(self.tta <= MOST_COPIES, f"tta must be at most {MOST_COPIES}, not {self.tta}")
        for name in ("warmup_fraction", "label_smoothing", "beta1", "beta2", "ema"):
            check(0 <= getattr(self, name) < 1, f"{name} must lie in [0, 1), not {getattr(self, name)}")

    def epochs_for(self, images: int) -> int:
        """The number of epochs on so many training images."""
        return self.epochs or max(1, min(MOST_EPOCHS, round(IMAGES_SEEN / images)))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainConfig":
        """The inverse of `to_dict`. Raises ConfigError for a field that does not exist."""
        unknown = set(values) - {f.name for f in dataclasses.fields(cls)}
        check(not unknown, f"unknown training settings {sorted(unknown)}: the file is of another version of minivit")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return dataclasses.asdict(self)
