"""TrainConfig: every setting of a training run, validated when it is made, and immutable."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from ..settings import check, check_choice, check_count, check_types, option, read_settings
from .augment import STRONGEST

KINDS = ("digits", "photos", "none")  # of augmentation
MOST_EPOCHS = 500  # with epochs=None
MOST_COPIES = 1000  # augmented copies of a test image; each costs as much as the image itself


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained. Raises ConfigError, naming the field, for invalid values.

    Fields marked `machine` in their metadata concern the machine that computes; they do not change the result.
    """

    epochs: int | None = option(
        None, f"passes over the training images; auto: as many, at most {MOST_EPOCHS}, as show --images-seen images"
    )
    images_seen: int = option(
        330_000,
        "images shown by an automatic number of epochs, each counted once an epoch; of photos and in recipes 330,000",
    )
    minutes: float | None = option(
        None,
        f"about how long to train on this machine: as many epochs as fit, at most {MOST_EPOCHS}, by the measured step",
        none="off",
    )
    batch_size: int = option(64, "images per step; any number, since a batch is computed in shards of bounded memory")
    learning_rate: float = option(1.5e-3, "peak learning rate, reached after the warm-up")
    warmup_fraction: float = option(0.1, "fraction of the steps used for linear warm-up")
    weight_decay: float = option(0.05, "decay of the weight matrices that AdamW trains; nothing but matrices decays")
    label_smoothing: float = option(0.1, "fraction of the target probability spread over all classes")
    patch_dropout_until: float = option(
        1.0, "share of the steps in which the model's patch dropout is on; all patches after"
    )
    clip_norm: float | None = option(1.0, "largest norm of the gradient; a longer one is scaled down to it", none="off")
    beta1: float = option(0.9, "decay rate of the running mean of the gradient, AdamW's and Muon's")
    beta2: float = option(0.99, "decay rate of AdamW's running mean of the squared gradient")
    muon: float | None = option(
        None,
        "peak learning rate of Muon, for the weight matrices of the blocks; AdamW trains the rest",
        none="off",
    )
    muon_decay: float = option(0.05, "weight decay of the matrices that Muon trains")
    ema: float | None = option(
        None, "EMA decay of the weights, 0.999 for example: the averaged weights are saved as the model", none="off"
    )
    augmentation: str | None = option(
        None,
        "digits: rotation, scaling, shear and translation; photos: crops and, in colour, brightness, contrast, "
        "saturation and hue; auto: decided by the training images, and said",
        KINDS,
    )
    augment: float | str | None = option(
        1.0,
        "strength of that augmentation; auto: the more often an image is seen the stronger, √epochs / 5, of digits at "
        "most 2",
        ("auto",),
        none="off",
    )
    mirror: bool | None = option(None, "mirror half of the images, at random, left to right; auto: photos in colour")
    elastic: float | None = option(None, "strength of elastic distortions, 1 for example", none="off")
    erasing: float | None = option(None, "fraction of the images in which a random rectangle is erased", none="off")
    mixup: float | None = option(None, "mix images with others; their shares are of Beta(MIXUP, MIXUP)", none="off")
    cutmix: float | None = option(None, "paste rectangles of other images; as mixup, Beta(CUTMIX, CUTMIX)", none="off")
    freeze: int | str | None = option(
        None, "train only what is behind the embeddings and this many blocks; all: only the head", ("all",), none="off"
    )
    layer_decay: float | None = option(
        None, "the learning rate of a layer relative to that of the layer behind it, 0.75 for example", none="off"
    )
    patience: int | None = option(
        None,
        "stop after so many epochs without a better validation accuracy or loss; the model is the one of best accuracy",
        none="off",
    )
    tta: int | None = option(
        None, "test-time augmentation: average over each test image and this many augmented copies of it", none="off"
    )
    validation: int | None = option(None, "training images held out for validation; auto: a tenth, at most 5,000")
    save_every: int | None = option(
        None, "steps between saves of the training state; auto: one epoch, of a probe a tenth of the run", machine=True
    )
    log_every: int | None = option(None, "steps between lines of metrics.jsonl; auto: one epoch")
    seed: int = option(0, "seed of the initial weights, the shuffling, the augmentation and the dropouts")
    threads: int | None = option(None, "worker threads; auto: one per available core", machine=True)
    keep_memory: bool = option(
        True, "keep freed memory in the process, which makes a step much faster on Linux", machine=True
    )

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("epochs", "images_seen", "batch_size", "threads", "save_every", "log_every", "patience"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        if self.augmentation is not None:
            check_choice("augmentation", self.augmentation, KINDS)
        for name in ("minutes", "learning_rate", "clip_norm", "muon", "mixup", "cutmix"):
            value = getattr(self, name)
            check(value is None or value > 0, f"{name} must be positive, not {value}")
        check(
            not isinstance(self.augment, str) or self.augment == "auto",
            f"augment must be a strength, or auto, not {self.augment!r}",
        )
        augment = None if isinstance(self.augment, str) else self.augment
        check(augment is None or 0 <= augment <= STRONGEST, f"augment must lie in 0..{STRONGEST}, not {augment}")
        for name in ("weight_decay", "muon_decay", "elastic", "erasing", "seed", "validation", "tta"):
            value = getattr(self, name)
            check(value is None or value >= 0, f"{name} must be at least 0, not {value}")
        for name, most in (("elastic", STRONGEST), ("erasing", 1), ("tta", MOST_COPIES)):
            value = getattr(self, name)
            check(value is None or value <= most, f"{name} must be at most {most}, not {value}")
        for name in ("warmup_fraction", "label_smoothing", "beta1", "beta2", "ema"):
            value = getattr(self, name)
            check(value is None or 0 <= value < 1, f"{name} must lie in [0, 1), not {value}")
        check(
            0 <= self.patch_dropout_until <= 1,
            f"patch_dropout_until must lie in [0, 1], not {self.patch_dropout_until}",
        )
        check(
            not isinstance(self.freeze, str) or self.freeze == "all",
            f"freeze must be a number of blocks, or all, not {self.freeze!r}",
        )
        if isinstance(self.freeze, int):
            check_count("freeze", self.freeze)
        decay = self.layer_decay
        check(decay is None or 0 < decay <= 1, f"layer_decay must lie in (0, 1], not {decay}")

    def epochs_for(self, images: int) -> int:
        """The number of epochs for this number of training images, automatically at most 500."""
        return self.epochs or max(1, min(MOST_EPOCHS, round(self.images_seen / images)))

    @property
    def lower(self) -> str:
        """What to lower, on the command line, after a loss or weights that were not finite."""
        return "a lower --learning-rate" if self.muon is None else "a lower --muon and --learning-rate"

    @property
    def fixed_embeddings(self) -> bool:
        """Whether an image has the same embedding in every epoch: all but the head is frozen, nothing is augmented."""
        return self.freeze == "all" and not self.augments

    @property
    def augments(self) -> bool:
        """Whether the training images are changed at random."""
        strength = None if self.augmentation == "none" else self.augment
        return any((strength, self.mirror, self.elastic, self.erasing, self.mixup, self.cutmix))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainConfig":
        """The inverse of `to_dict`. Raises ConfigError, in one line, for unknown fields and invalid values."""
        return read_settings(cls, values)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return dataclasses.asdict(self)
