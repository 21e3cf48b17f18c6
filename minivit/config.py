"""ViTConfig: every hyperparameter of a model, validated once and never changed."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from .counted import counted
from .ops.normal_cdf import FORMS
from .ops.pool import POOLS
from .ops.resize import DIALECTS
from .settings import check, check_choice, check_count, check_types, option, read_settings

NORMS = ("tokens", "pool")
MOST_BLOCKS = 10_000  # whose parameters are named one by one, before anything tells whether they fit into memory
POSITIONS = ("learned", "sincos1d", "sincos2d", "none")


@dataclass(frozen=True)
class ViTConfig:
    """A Vision Transformer's hyperparameters. Raises ConfigError, naming the field, for values that make no model.

    image_size is a side S or a pair (Sh, Sw), in pixels. pixel_mean and pixel_std hold one value per channel, for
    pixels in [0, 1]; None means 0 and 1, and training fills them in from its training split. class_names holds a name
    for each class; None means that the classes are called by their numbers. classes None: no head, and the model's
    output is what a head would read. pool "mean" averages all tokens, class token and registers included; "patches"
    leaves these out, as timm's average pooling does. resize is the dialect (`ops.interpolation_matrix`) in which
    learned positions are interpolated for another image size, and in which they were if they have been. embedding: the
    head's output is an embedding, as CLIP's is, and no logits; `classes` is its width.
    """

    image_size: int | tuple[int, int] = option(28, "image side in pixels, or height and width", from_data=True)
    patch_size: int = option(
        7, "side of a patch in pixels; must divide the image's height and width", none="by the size of the images"
    )
    channels: int = option(1, "channels of an image: 1 for grey, 3 for colour", from_data=True)
    classes: int | None = option(10, "number of classes", from_data=True)
    class_names: tuple[str, ...] | None = option(None, "a name for each class", from_data=True)
    dim: int = option(64, "width D of a token")
    depth: int = option(4, "number of encoder blocks L")
    heads: int = option(4, "attention heads H; must divide dim")
    mlp_dim: int = option(128, "hidden width F of a block's MLP")
    pool: str = option(
        "cls",
        "what the head reads: the class token, the mean of all tokens, that of the patches, or two of them",
        POOLS,
    )
    class_token: bool | None = option(None, "a class token in front of the patches; auto: where pool reads it")
    registers: int = option(0, "learned tokens behind the class token, without positions, which nobody reads")
    positions: str = option("learned", "position embedding added to the tokens", POSITIONS)
    resize: str = option(
        "bicubic-antialias", "how learned positions are interpolated for another image size", DIALECTS, from_data=True
    )
    norm: str = option("tokens", "the last LayerNorm: of the tokens before the pooling, or of what it gives", NORMS)
    pre_norm: bool = option(False, "a LayerNorm of the tokens in front of the first block")
    layer_scale: float | None = option(
        None, "initial value of LayerScale, a learned factor for each feature of a residual branch", none="off"
    )
    gelu: str = option("erf", "GELU exactly, by the tanh formula, or x times the logistic function of 1.702 x", FORMS)
    norm_eps: float = option(1e-6, "added to the variance in every LayerNorm")
    qkv_bias: bool = option(True, "add a bias to queries, keys and values")
    embedding: bool = option(False, "the head gives an embedding, no logits", from_data=True)
    head_hidden: int | None = option(None, "hidden width of an MLP head; off: a linear head", none="off")
    dropout: float = option(0.0, "dropout on the embeddings and on the residual branches")
    patch_dropout: float = option(0.0, "share of the patches of every image that training leaves out")
    attention_dropout: float = option(0.0, "dropout on the attention weights")
    drop_path: float = option(
        0.0, "stochastic depth: probability of skipping the last block's branches, linearly less in earlier blocks"
    )
    pixel_mean: tuple[float, ...] | None = option(None, "mean of each channel, of pixels in [0, 1]", from_data=True)
    pixel_std: tuple[float, ...] | None = option(
        None, "standard deviation of each channel, of pixels in [0, 1]", from_data=True
    )

    def __post_init__(self) -> None:
        check_types(self)
        size = self.image_size if isinstance(self.image_size, tuple) else (self.image_size,)
        object.__setattr__(self, "image_size", size if len(set(size)) > 1 else size[0])
        for name in ("patch_size", "channels", "dim", "depth", "heads", "mlp_dim"):
            check_count(name, getattr(self, name))
        check(self.depth <= MOST_BLOCKS, f"depth must be at most {MOST_BLOCKS}, not {self.depth}")
        check_count("registers", self.registers, least=0)
        for side in size:
            check_count("image_size", side)
            check(
                side % self.patch_size == 0,
                f"patch_size {self.patch_size} does not divide image_size {self.image_size}: "
                "choose a patch size that divides the height and the width, or resize the images",
            )
        for name in ("classes", "head_hidden"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        check(self.classes is not None or self.head_hidden is None, "head_hidden: a model without classes has no head")
        check(
            self.class_token is not False or not self.reads_class_token,
            f"pool {self.pool!r} reads the class token, so class_token cannot be False",
        )
        check(
            self.dim % self.heads == 0,
            f"heads {self.heads} must divide dim {self.dim}, so that all have the same width: change one of them",
        )
        check_choice("pool", self.pool, POOLS)
        check_choice("norm", self.norm, NORMS)
        check_choice("positions", self.positions, POSITIONS)
        check_choice("resize", self.resize, DIALECTS)
        check_choice("gelu", self.gelu, FORMS)
        check(not self.embedding or self.classes is not None, "embedding: a model without classes has no head")
        if self.positions == "sincos1d":
            check(self.dim % 2 == 0, f"positions 'sincos1d' needs an even dim, not {self.dim}")
        if self.positions == "sincos2d":
            check(self.dim % 4 == 0, f"positions 'sincos2d' needs a dim that 4 divides, not {self.dim}")
        check(self.norm_eps > 0, f"norm_eps must be positive, not {self.norm_eps}")
        for name in ("dropout", "patch_dropout", "attention_dropout", "drop_path"):
            value = getattr(self, name)
            check(0 <= value < 1, f"{name} is a probability and must lie in [0, 1), not {value}")
        for name, default in (("pixel_mean", 0.0), ("pixel_std", 1.0)):
            value = getattr(self, name)
            value = (default,) * self.channels if value is None else value
            check(
                len(value) == self.channels, f"{name} needs one value for each of {counted(self.channels, 'channel')}"
            )
            object.__setattr__(self, name, value)
        assert self.pixel_std is not None
        check(all(std > 0 for std in self.pixel_std), f"pixel_std must be positive, not {self.pixel_std}")
        if self.class_names is not None:
            classes = counted(self.classes or 0, "class", "classes")
            check(
                len(self.class_names) == len(set(self.class_names)) == self.classes,
                f"class_names needs a different name for each of {classes}, not {self.class_names!r}",
            )

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
    def reads_class_token(self) -> bool:
        """Whether the head reads the class token."""
        return self.pool in ("cls", "cls+patches")

    @property
    def predicts(self) -> bool:
        """Whether there is a head, and its output is the logits of classes."""
        return self.classes is not None and not self.embedding

    def check_predicts(self) -> None:
        """Raise ConfigError unless the head's output is the logits of classes."""
        head = "no head" if self.classes is None else "a head that gives an embedding"
        check(
            self.predicts,
            f"the model has {head}, so it predicts no classes; minivit embed, or ViT.embed, gives its features",
        )

    @property
    def has_class_token(self) -> bool:
        """Whether there is a class token: as class_token says, or else where the head reads it."""
        return self.reads_class_token if self.class_token is None else self.class_token

    @property
    def prefix(self) -> int:
        """How many tokens stand in front of the patches: the class token, if there is one, and the registers."""
        return self.has_class_token + self.registers

    @property
    def tokens(self) -> int:
        """T: the prefix and the patches."""
        return self.prefix + self.patches

    @property
    def patches_kept(self) -> int:
        """The number of patches that training with patch dropout sees: to the nearest, and at least one."""
        return max(1, round(self.patches * (1 - self.patch_dropout)))

    @property
    def features(self) -> int:
        """How many features the head reads: D, or 2D where the class token's and the patches' mean are side by side."""
        return (2 if self.pool == "cls+patches" else 1) * self.dim

    def class_name(self, k: int) -> str:
        """What class k is called: its name, or its number where there are no names. Raises ConfigError for a class
        that the model does not have."""
        check(0 <= k < (self.classes or 0), f"there is no class {k}: they are 0..{(self.classes or 0) - 1}")
        return str(k) if self.class_names is None else self.class_names[k]

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ViTConfig":
        """The inverse of `to_dict`. Raises ConfigError, in one line, for what it does not know, or could not mean."""
        return read_settings(cls, values)
