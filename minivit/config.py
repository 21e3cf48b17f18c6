"""ViTConfig and TrainConfig: every number that fixes a model and its training, validated once and never changed."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any

from .data.augment import STRONGEST
from .ops.gelu import FORMS

POOLS = ("cls", "mean")
IMAGES_SEEN, MOST_EPOCHS = 330_000, 500  # by a training whose number of epochs is not given
MOST_VIEWS = 1000  # of a test image; each costs as much as the image itself
POSITIONS = ("learned", "sincos1d", "sincos2d", "none")


def option(default: Any, help: str, choices: tuple[str, ...] | None = None) -> Any:
    """A dataclass field that also says what its command-line flag says."""
    return field(default=default, metadata={"help": help, "choices": choices})


@dataclass(frozen=True)
class ViTConfig:
    """A Vision Transformer's hyperparameters. Raises ValueError or TypeError, naming the field, for values that make
    no model.

    image_size is a side S or a pair (Sh, Sw), in pixels. pixel_mean and pixel_std hold one number per channel, for
    pixels in [0, 1]; None means 0 and 1, and training fills them in from its training split.
    """

    image_size: int | tuple[int, int] = option(28, "image side in pixels, or height and width")
    patch_size: int = option(7, "side of a patch in pixels; must divide the image's height and width")
    channels: int = option(1, "channels of an image: 1 for grey, 3 for colour")
    classes: int = option(10, "number of classes")
    dim: int = option(64, "width D of a token")
    depth: int = option(4, "number of encoder blocks L")
    heads: int = option(4, "attention heads H; must divide dim")
    mlp_dim: int = option(128, "hidden width F of a block's MLP")
    pool: str = option("cls", "what the head reads: the class token, or the mean of all tokens", POOLS)
    positions: str = option("learned", "how a token knows its place", POSITIONS)
    gelu: str = option("erf", "GELU exactly, or by the tanh formula", FORMS)
    norm_eps: float = option(1e-6, "added to the variance in every LayerNorm")
    qkv_bias: bool = option(True, "give queries, keys and values a bias")
    head_hidden: int | None = option(None, "hidden width of an MLP head; without it the head is linear")
    dropout: float = option(0.0, "dropout on the embeddings and on the residual branches")
    attention_dropout: float = option(0.0, "dropout on the attention weights")
    drop_path: float = option(0.0, "stochastic depth: chance of skipping the last block's branches, less before")
    pixel_mean: tuple[float, ...] | None = option(None, "mean of each channel, of pixels in [0, 1]")
    pixel_std: tuple[float, ...] | None = option(None, "standard deviation of each channel, of pixels in [0, 1]")

    def __post_init__(self) -> None:
        size = self.image_size if isinstance(self.image_size, (tuple, list)) else (self.image_size,)
        _check(len(size) in (1, 2), f"image_size must be a side or (height, width), not {self.image_size!r}")
        object.__setattr__(self, "image_size", tuple(size) if len(set(size)) > 1 else size[0])
        for name in ("patch_size", "channels", "classes", "dim", "depth", "heads", "mlp_dim"):
            _check_count(name, getattr(self, name))
        for side in size:
            _check_count("image_size", side)
            _check(
                side % self.patch_size == 0,
                f"patch_size {self.patch_size} does not divide image_size {self.image_size}: "
                "choose a patch size that divides the height and the width, or resize the images",
            )
        if self.head_hidden is not None:
            _check_count("head_hidden", self.head_hidden)
        _check(self.dim % self.heads == 0, f"heads {self.heads} must divide dim {self.dim}")
        for name, choices in (("pool", POOLS), ("positions", POSITIONS), ("gelu", FORMS)):
            value = getattr(self, name)
            _check(value in choices, f"{name} must be one of {', '.join(choices)}, not {value!r}")
        if self.positions == "sincos1d":
            _check(self.dim % 2 == 0, f"positions 'sincos1d' needs an even dim, not {self.dim}")
        if self.positions == "sincos2d":
            _check(self.dim % 4 == 0, f"positions 'sincos2d' needs a dim that 4 divides, not {self.dim}")
        _check(self.norm_eps > 0, f"norm_eps must be positive, not {self.norm_eps}")
        for name in ("dropout", "attention_dropout", "drop_path"):
            value = getattr(self, name)
            _check(0 <= value < 1, f"{name} is a probability and must lie in [0, 1), not {value}")
        for name, default in (("pixel_mean", 0.0), ("pixel_std", 1.0)):
            value = getattr(self, name)
            value = (default,) * self.channels if value is None else tuple(float(v) for v in value)
            _check(len(value) == self.channels, f"{name} needs one number for each of {self.channels} channels")
            object.__setattr__(self, name, value)
        _check(all(std > 0 for std in self.pixel_std or ()), f"pixel_std must be positive, not {self.pixel_std}")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, Sh, Sw)."""
        height, width = self.image_size if isinstance(self.image_size, tuple) else (self.image_size,) * 2
        return self.channels, height, width

    @property
    def grid(self) -> tuple[int, int]:
        """Patches down and across: (Sh/P, Sw/P)."""
        _, height, width = self.image_shape
        return height // self.patch_size, width // self.patch_size

    @property
    def patches(self) -> int:
        """N."""
        return self.grid[0] * self.grid[1]

    @property
    def tokens(self) -> int:
        """T: the patches, and the class token if there is one."""
        return self.patches + (self.pool == "cls")

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ViTConfig":
        """The inverse of `to_dict`. Raises ValueError for a field that does not exist."""
        unknown = set(values) - {f.name for f in dataclasses.fields(cls)}
        _check(not unknown, f"unknown model settings {sorted(unknown)}: the file is of another version of minivit")
        return cls(**values)


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained. Raises ValueError or TypeError, naming the field, for values that cannot work."""

    epochs: int | None = option(None, f"passes over the training images (default: enough to see {IMAGES_SEEN})")
    batch_size: int = option(64, "images in a step; any number, since gradients accumulate over shards of the batch")
    learning_rate: float = option(1.5e-3, "peak learning rate, reached after the warm-up")
    warmup: float = option(0.1, "part of the steps over which the learning rate rises from zero")
    weight_decay: float = option(0.05, "decay of the weight matrices; nothing else decays")
    label_smoothing: float = option(0.1, "part of the target probability spread over all classes")
    clip_norm: float = option(1.0, "gradients longer than this are scaled down to it")
    beta1: float = option(0.9, "AdamW's memory of the gradient")
    beta2: float = option(0.99, "AdamW's memory of the squared gradient")
    ema: float = option(0.0, "memory of the mean of the weights that is saved as the model; 0: the last weights")
    augment: float = option(1.0, "strength of the random rotation, scale, slant and shift; 0 turns them off")
    views: int = option(0, "also classify so many randomly moved copies of every test image, and average; 0: off")
    validation: int | None = option(None, "training images held out; without it, a tenth, at most 5,000")
    save_every: int | None = option(None, "steps between two saves of the training state; without it, an epoch")
    log_every: int | None = option(None, "steps between two lines of metrics.jsonl; without it, an epoch")
    seed: int = option(0, "of the initial weights, the shuffling, the augmentation and the dropouts")
    threads: int | None = option(None, "threads that compute; without it, the cores available")
    keep_memory: bool = option(True, "keep freed memory in the process, which makes a step much faster on Linux")

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "threads", "save_every", "log_every"):
            if getattr(self, name) is not None:
                _check_count(name, getattr(self, name))
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            _check(0 < value < math.inf, f"{name} must be positive, not {value}")
            _check(value <= 1e30, f"{name} {value} is too much for float32: choose at most 1e30")
        for name in ("weight_decay", "augment", "seed", "validation", "views"):
            value = getattr(self, name)
            _check(value is None or 0 <= value < math.inf, f"{name} must be at least 0, not {value}")
        _check(self.augment <= STRONGEST, f"augment must be at most {STRONGEST}, not {self.augment}")
        _check(self.views <= MOST_VIEWS, f"views must be at most {MOST_VIEWS}, not {self.views}")
        for name in ("warmup", "label_smoothing", "beta1", "beta2", "ema"):
            _check(0 <= getattr(self, name) < 1, f"{name} must lie in [0, 1), not {getattr(self, name)}")

    def epochs_for(self, images: int) -> int:
        """The number of epochs on so many training images."""
        return self.epochs or max(1, min(MOST_EPOCHS, round(IMAGES_SEEN / images)))

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return dataclasses.asdict(self)


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    _check(value >= 1, f"{name} must be at least 1, not {value}")
