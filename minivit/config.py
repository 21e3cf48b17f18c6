"""ViTConfig: every hyperparameter of a model, validated once and never changed."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from .errors import ConfigError, ConfigTypeError
from .ops.normal_cdf import FORMS

POOLS = ("cls", "mean")
POSITIONS = ("learned", "sincos1d", "sincos2d", "none")


def option(
    default: Any, help: str, choices: tuple[str, ...] | None = None, *, from_data: bool = False, machine: bool = False
) -> Any:
    """A dataclass field with what its command-line flag says. from_data: the data decide it, so it has no flag;
    machine: it belongs to the machine that computes and changes no result."""
    return field(
        default=default, metadata={"help": help, "choices": choices, "from_data": from_data, "machine": machine}
    )


@dataclass(frozen=True)
class ViTConfig:
    """A Vision Transformer's hyperparameters. Raises ConfigError, naming the field, for values that make no model.

    image_size is a side S or a pair (Sh, Sw), in pixels. pixel_mean and pixel_std hold one value per channel, for
    pixels in [0, 1]; None means 0 and 1, and training fills them in from its training split. class_names holds a name
    for each class; None means that the classes are called by their numbers.
    """

    image_size: int | tuple[int, int] = option(28, "image side in pixels, or height and width", from_data=True)
    patch_size: int = option(7, "side of a patch in pixels; must divide the image's height and width")
    channels: int = option(1, "channels of an image: 1 for grey, 3 for colour", from_data=True)
    classes: int = option(10, "number of classes", from_data=True)
    class_names: tuple[str, ...] | None = option(None, "a name for each class", from_data=True)
    dim: int = option(64, "width D of a token")
    depth: int = option(4, "number of encoder blocks L")
    heads: int = option(4, "attention heads H; must divide dim")
    mlp_dim: int = option(128, "hidden width F of a block's MLP")
    pool: str = option("cls", "what the head reads: the class token, or the mean of all tokens", POOLS)
    positions: str = option("learned", "position embedding added to the tokens", POSITIONS)
    gelu: str = option("erf", "GELU exactly, or by the tanh formula", FORMS)
    norm_eps: float = option(1e-6, "added to the variance in every LayerNorm")
    qkv_bias: bool = option(True, "add a bias to queries, keys and values")
    head_hidden: int | None = option(None, "hidden width of an MLP head (default: a linear head)")
    dropout: float = option(0.0, "dropout on the embeddings and on the residual branches")
    attention_dropout: float = option(0.0, "dropout on the attention weights")
    drop_path: float = option(
        0.0, "stochastic depth: probability of skipping the last block's branches, linearly less in earlier blocks"
    )
    pixel_mean: tuple[float, ...] | None = option(None, "mean of each channel, of pixels in [0, 1]", from_data=True)
    pixel_std: tuple[float, ...] | None = option(
        None, "standard deviation of each channel, of pixels in [0, 1]", from_data=True
    )

    def __post_init__(self) -> None:
        size = self.image_size if isinstance(self.image_size, (tuple, list)) else (self.image_size,)
        check(len(size) in (1, 2), f"image_size must be a side or (height, width), not {self.image_size!r}")
        object.__setattr__(self, "image_size", tuple(size) if len(set(size)) > 1 else size[0])
        for name in ("patch_size", "channels", "classes", "dim", "depth", "heads", "mlp_dim"):
            check_count(name, getattr(self, name))
        for side in size:
            check_count("image_size", side)
            check(
                side % self.patch_size == 0,
                f"patch_size {self.patch_size} does not divide image_size {self.image_size}: "
                "choose a patch size that divides the height and the width, or resize the images",
            )
        if self.head_hidden is not None:
            check_count("head_hidden", self.head_hidden)
        check(self.dim % self.heads == 0, f"heads {self.heads} must divide dim {self.dim}")
        for name, choices in (("pool", POOLS), ("positions", POSITIONS), ("gelu", FORMS)):
            value = getattr(self, name)
            check(value in choices, f"{name} must be one of {', '.join(choices)}, not {value!r}")
        if self.positions == "sincos1d":
            check(self.dim % 2 == 0, f"positions 'sincos1d' needs an even dim, not {self.dim}")
        if self.positions == "sincos2d":
            check(self.dim % 4 == 0, f"positions 'sincos2d' needs a dim that 4 divides, not {self.dim}")
        check(self.norm_eps > 0, f"norm_eps must be positive, not {self.norm_eps}")
        for name in ("dropout", "attention_dropout", "drop_path"):
            value = getattr(self, name)
            check(0 <= value < 1, f"{name} is a probability and must lie in [0, 1), not {value}")
        for name, default in (("pixel_mean", 0.0), ("pixel_std", 1.0)):
            value = getattr(self, name)
            value = (default,) * self.channels if value is None else tuple(float(v) for v in value)
            check(len(value) == self.channels, f"{name} needs one value for each of {self.channels} channels")
            object.__setattr__(self, name, value)
        assert self.pixel_std is not None
        check(all(std > 0 for std in self.pixel_std), f"pixel_std must be positive, not {self.pixel_std}")
        if self.class_names is not None:
            names = tuple(self.class_names)
            check(all(isinstance(name, str) for name in names), f"class_names must be text, not {self.class_names!r}")
            check(
                len(names) == len(set(names)) == self.classes,
                f"class_names needs a different name for each of {self.classes} classes, not {self.class_names!r}",
            )
            object.__setattr__(self, "class_names", names)

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

    def class_name(self, k: int) -> str:
        """What class k is called: its name, or its number where there are no names."""
        return str(k) if self.class_names is None else self.class_names[k]

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ViTConfig":
        """The inverse of `to_dict`. Raises ConfigError for a field that does not exist."""
        unknown = set(values) - {f.name for f in dataclasses.fields(cls)}
        check(not unknown, f"unknown model settings {sorted(unknown)}: the file is of another version of minivit")
        return cls(**values)


def check(condition: bool, message: str) -> None:
    """Raise ConfigError with this message unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def check_count(name: str, value: Any) -> None:
    """Raise ConfigError or ConfigTypeError, naming the setting, unless its value is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigTypeError(f"{name} must be a whole number, not {value!r}")
    check(value >= 1, f"{name} must be at least 1, not {value}")
