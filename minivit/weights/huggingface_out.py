"""A model of ours in the layout of Hugging Face's transformers, with config.json and preprocessor_config.json."""

from typing import Any

import numpy as np

from ..config import ViTConfig
from ..params import Params
from ..preprocess import Preprocessing
from .export import Layout, fold_patch_bias, learned, lost_pictures, refuse
from .huggingface import CLIP, DINOV2, DINOV2_WITH_REGISTERS, VIT
from .huggingface_config import RESAMPLING

ACTIVATIONS = {"erf": "gelu", "tanh": "gelu_pytorch_tanh", "quick": "quick_gelu"}
LIBRARY = "transformers"


def to_huggingface(
    params: Params, config: ViTConfig, preprocessing: Preprocessing | None, licence: str | None
) -> Layout:
    """The model in the layout of transformers' ViT, Dinov2, Dinov2WithRegisters or CLIP, whichever has its structure.
    Raises ConfigError, naming what none of them has."""
    for given, reason in (
        (config.head_hidden is not None, "an MLP for a head (head_hidden)"),
        (not config.has_class_token, "no class token"),
        (config.norm == "pool", "norm 'pool'"),
        (config.pool == "mean", "pool 'mean'"),
    ):
        if given:
            refuse(LIBRARY, reason)
    values = learned(params, config)
    if "pos_embed" not in values:
        values["pos_embed"] = np.zeros((1, 1 + config.patches, config.dim), params.flat.dtype)
    if config.pre_norm:
        layout = _clip(values, config)
    elif config.layer_scale is not None or config.registers or config.pool != "cls":
        layout = _dinov2(values, config)
    else:
        layout = _vit(values, config)
    made = layout.files["config.json"]
    if config.classes is not None and not config.embedding:
        names = config.class_names or tuple(f"LABEL_{k}" for k in range(config.classes))
        made["id2label"] = {str(k): name for k, name in enumerate(names)}
        made["label2id"] = {name: k for k, name in enumerate(names)}
    layout.files["preprocessor_config.json"] = _processor_json(config, preprocessing)
    note = lost_pictures(LIBRARY, config, preprocessing)
    return layout._replace(notes=(*layout.notes, note)) if note else layout


def _vit(values: dict[str, np.ndarray], config: ViTConfig) -> Layout:
    head = config.classes is not None
    made = _config_json("vit", "ViTForImageClassification" if head else "ViTModel", config)
    made.update({"intermediate_size": config.mlp_dim, "qkv_bias": config.qkv_bias})
    return Layout(VIT, "vit." if head else "", config, values, {"config.json": made})


def _dinov2(values: dict[str, np.ndarray], config: ViTConfig) -> Layout:
    """Dinov2's classifier reads the class token and the patches' mean: where ours reads one of them, the other half of
    its matrix is zero."""
    if config.mlp_dim % config.dim:
        refuse(LIBRARY, f"LayerScale or registers and an mlp_dim, {config.mlp_dim}, that is no multiple of dim")
    if len(set(config.grid)) > 1:
        refuse(LIBRARY, "LayerScale or registers and images that are not square")
    head, name = config.classes is not None, "Dinov2WithRegisters" if config.registers else "Dinov2"
    if not head and config.pool == "patches":
        refuse(LIBRARY, "pool 'patches' and no head")
    made = _config_json(
        "dinov2_with_registers" if config.registers else "dinov2",
        name + ("ForImageClassification" if head else "Model"),
        config,
    )
    scale = 1.0 if config.layer_scale is None else config.layer_scale
    made.update({"mlp_ratio": config.mlp_dim // config.dim, "qkv_bias": config.qkv_bias, "layerscale_value": scale})
    made.update({"use_swiglu_ffn": False, "use_mask_token": False})
    if config.registers:
        made["num_register_tokens"] = config.registers
    if config.layer_scale is None:
        ones = np.ones(config.dim, values["norm.weight"].dtype)
        values.update({f"blocks.{i}.ls{j}.gamma": ones for i in range(config.depth) for j in (1, 2)})
    if head and config.pool != "cls+patches":
        zeros = np.zeros_like(values["head.weight"])
        halves = [values["head.weight"], zeros] if config.pool == "cls" else [zeros, values["head.weight"]]
        values["head.weight"] = np.concatenate(halves)
    family = DINOV2_WITH_REGISTERS if config.registers else DINOV2
    return Layout(family, family.prefixes[0] if head else "", config, values, {"config.json": made})


def _clip(values: dict[str, np.ndarray], config: ViTConfig) -> Layout:
    for given, reason in (
        (config.layer_scale is not None or config.registers > 0, "pre_norm and LayerScale or registers"),
        (config.pool != "cls", f"pre_norm and pool {config.pool!r}"),
        (not config.qkv_bias, "pre_norm and no qkv_bias"),
        (len(set(config.grid)) > 1, "pre_norm and images that are not square"),
        (config.classes is not None and not config.embedding, "pre_norm and a head of classes on the class token"),
        (
            config.embedding and bool(values["head.bias"].any()),
            "pre_norm and a bias in the head, as training makes it,",
        ),
    ):
        if given:
            refuse(LIBRARY, reason)
    fold_patch_bias(values, config)
    kind = "CLIPVisionModelWithProjection" if config.embedding else "CLIPVisionModel"
    made = _config_json("clip_vision_model", kind, config)
    made.update({"intermediate_size": config.mlp_dim, "projection_dim": config.classes or config.dim})
    return Layout(CLIP, "vision_model.", config, values, {"config.json": made})


def _config_json(model_type: str, architecture: str, config: ViTConfig) -> dict[str, Any]:
    C, Sh, Sw = config.image_shape
    return {
        "architectures": [architecture],
        "model_type": model_type,
        "hidden_size": config.dim,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "hidden_act": ACTIVATIONS[config.gelu],
        "layer_norm_eps": config.norm_eps,
        "image_size": Sh if Sh == Sw else [Sh, Sw],
        "patch_size": config.patch_size,
        "num_channels": C,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }


def _processor_json(config: ViTConfig, preprocessing: Preprocessing | None) -> dict[str, Any]:
    _, Sh, Sw = config.image_shape
    made = Preprocessing(size=(Sh, Sw)) if preprocessing is None else preprocessing
    edge = made.short_edge or min(Sh, Sw)
    size: dict[str, int] = {"height": Sh, "width": Sw}
    frame = {name: side * edge // min(Sh, Sw) for name, side in size.items()}  # the middle of which is taken
    crops = made.rule == "crop" or (made.rule == "squash" and frame != size)
    whole = frame if made.rule == "squash" else size
    return {
        "image_processor_type": "BitImageProcessor" if crops else "ViTImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": edge} if made.rule == "crop" else whole,
        "resample": next(number for number, name in RESAMPLING.items() if name == made.interpolation),
        "do_center_crop": crops,
        **({"crop_size": size} if crops else {}),
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(config.pixel_mean or ()),
        "image_std": list(config.pixel_std or ()),
    }
