"""A model of ours in timm's layout, and the config.json with which timm opens it."""

import math
from typing import Any

from ..config import ViTConfig
from ..params import Params
from ..preprocess import Preprocessing
from .export import Layout, effect_of_eps, fold_class_position, fold_patch_bias, learned, lost_pictures, refuse
from .timm import TIMM
from .timm_config import ACTIVATIONS, CROP_MODES

# An epsilon cannot be written into the file: it comes with an architecture.
ARCHITECTURES = {1e-6: "vit_base_patch16_224", 1e-5: "vit_base_patch16_clip_224"}


def to_timm(params: Params, config: ViTConfig, preprocessing: Preprocessing | None, licence: str | None) -> Layout:
    """The model in timm's layout. Raises ConfigError, naming what timm's VisionTransformer does not have."""
    if config.head_hidden is not None:
        refuse("timm", "an MLP for a head (head_hidden)")
    if config.pool == "cls+patches":
        refuse("timm", "pool 'cls+patches'")
    values = learned(params, config)
    if config.pre_norm:
        fold_patch_bias(values, config)
    without_row = config.registers > 0  # timm's registers have positions, too, unless the whole prefix has none
    if config.has_class_token and "pos_embed" in values:
        unused = config.layer_scale is not None and not values["pos_embed"][:, 0].any()  # DeiT-3's class token has none
        without_row = without_row or unused
        if without_row:
            fold_class_position(values)
    eps = min(ARCHITECTURES, key=lambda eps: abs(math.log(eps / config.norm_eps)))
    notes = effect_of_eps(params, config, eps), lost_pictures("timm", config, preprocessing)
    files = {"config.json": _config_json(config, preprocessing, ARCHITECTURES[eps], without_row, values, licence)}
    return Layout(TIMM, "", config, values, files, tuple(note for note in notes if note))


def _config_json(
    config: ViTConfig,
    preprocessing: Preprocessing | None,
    architecture: str,
    without_row: bool,
    values: dict[str, Any],
    licence: str | None,
) -> dict[str, Any]:
    C, Sh, Sw = config.image_shape
    pool = "token" if config.pool == "cls" else "avg"
    activation = next(name for name, form in ACTIVATIONS.items() if form == config.gelu)
    arguments = {
        "img_size": [Sh, Sw],
        "patch_size": config.patch_size,
        "in_chans": C,
        "num_classes": config.classes or 0,
        "global_pool": pool,
        "embed_dim": config.dim,
        "depth": config.depth,
        "num_heads": config.heads,
        "mlp_ratio": _ratio(config.mlp_dim, config.dim),
        "qkv_bias": config.qkv_bias,
        "init_values": config.layer_scale,
        "class_token": config.has_class_token,
        "pos_embed": "learn" if "pos_embed" in values else "none",
        "no_embed_class": without_row,
        "reg_tokens": config.registers,
        "pre_norm": config.pre_norm,
        "fc_norm": config.norm == "pool",
        "pool_include_prefix": config.pool == "mean" and config.prefix > 0,
        "act_layer": activation,
    }
    published: dict[str, Any] = {
        "custom_load": False,
        "input_size": [C, Sh, Sw],
        "fixed_input_size": True,
        "interpolation": "bicubic",
        "crop_pct": 1.0,
        "crop_mode": "squash",
        "mean": list(config.pixel_mean or ()),
        "std": list(config.pixel_std or ()),
        "num_classes": config.classes or 0,
        "pool_size": None,
        "first_conv": "patch_embed.proj",
        "classifier": "head",
    }
    if preprocessing is not None:
        published["interpolation"] = preprocessing.interpolation
        rules = {rule: mode for mode, rule in CROP_MODES.items()}
        edge = preprocessing.short_edge or min(Sh, Sw)
        published.update(crop_mode=rules.get(preprocessing.rule, "squash"), crop_pct=_share(min(Sh, Sw), edge))
    if licence is not None:
        published["license"] = licence
    made = {"architecture": architecture, "num_classes": config.classes or 0, "num_features": config.dim}
    made.update({"global_pool": pool, "model_args": arguments, "pretrained_cfg": published})
    return made if config.class_names is None else {**made, "label_names": list(config.class_names)}


def _ratio(hidden: int, width: int) -> float:
    """A ratio from which timm computes this hidden width: int(width * ratio)."""
    ratio = hidden / width
    return ratio if int(width * ratio) == hidden else (hidden + 0.5) / width


def _share(side: int, edge: int) -> float:
    """A share from which timm computes this short edge: floor(side / share)."""
    share = side / edge
    return share if math.floor(side / share) == edge else side / (edge + 0.5)
