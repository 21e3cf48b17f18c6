"""config.json and preprocessor_config.json of Hugging Face's transformers, and open_clip's config."""

from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..preprocess import Preprocessing
from .timm_config import rules
from .told import Told, expect, names_of, number, numbers, size_of

# What the library's own config classes say where a file says nothing.
DEFAULTS: dict[str, dict[str, Any]] = {
    "vit": {"hidden_act": "gelu", "layer_norm_eps": 1e-12, "num_attention_heads": 12},
    "vit_mae": {"hidden_act": "gelu", "layer_norm_eps": 1e-12, "num_attention_heads": 12},
    "dinov2": {"hidden_act": "gelu", "layer_norm_eps": 1e-6, "num_attention_heads": 12},
    "dinov2_with_registers": {"hidden_act": "gelu", "layer_norm_eps": 1e-6, "num_attention_heads": 12},
    "clip_vision_model": {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "num_attention_heads": 12},
}
ACTIVATIONS = {
    "gelu": "erf", "gelu_python": "erf", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh", "gelu_fast": "tanh",
    "quick_gelu": "quick",
}  # fmt: skip
RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers


def read_huggingface(values: dict[str, Any], path: Path) -> Told:
    """What a config.json of transformers tells. Raises CheckpointError, in one line, for what minivit does not have."""
    kind = values.get("model_type")
    if kind == "clip":
        values = {"model_type": "clip_vision_model", **(values.get("vision_config") or {})}
        kind = "clip_vision_model"
    expect(path, kind in DEFAULTS, f"model_type {kind!r}, minivit reads {', '.join(DEFAULTS)} and clip")
    filled = {**DEFAULTS[str(kind)], **values}
    expect(path, not filled.get("use_swiglu_ffn"), "a SwiGLU in its MLP (DINOv2 giant), which minivit does not have")
    gelu = filled["hidden_act"]
    expect(path, gelu in ACTIVATIONS, f"activation {gelu!r}, minivit has {', '.join(ACTIVATIONS)}")
    settings = {
        "gelu": ACTIVATIONS[gelu],
        "norm_eps": number(filled, "layer_norm_eps"),
        "heads": filled["num_attention_heads"] if isinstance(filled["num_attention_heads"], int) else None,
        "class_names": names_of(filled.get("id2label")),
        "layer_scale": number(filled, "layerscale_value"),
    }
    sizes = {"dim": filled.get("hidden_size"), "depth": filled.get("num_hidden_layers")}
    return Told(
        {name: value for name, value in settings.items() if value is not None},
        size_of(filled.get("image_size")),
        sizes={name: size for name, size in sizes.items() if isinstance(size, int)},
    )


def read_processor(values: dict[str, Any], told: Told) -> Told:
    """What a preprocessor_config.json adds: the normalisation, and how pictures are made."""
    mean, std = numbers(values, "image_mean"), numbers(values, "image_std")
    if values.get("do_normalize") is False:
        mean, std = (0.0,), (1.0,)
    notes = list(told.notes)
    factor = number(values, "rescale_factor") or 1 / 255
    if values.get("do_rescale") is False:
        factor = 1.0
    if abs(factor * 255 - 1) > 1e-6 and mean and std:  # ours divides by 255 first
        mean, std = tuple(m / (255 * factor) for m in mean), tuple(s / (255 * factor) for s in std)
    settings = {**told.settings, **({"pixel_mean": mean, "pixel_std": std} if mean and std else {})}
    interpolation = RESAMPLING.get(values.get("resample", 3))
    if interpolation is None:
        notes.append(f"resample {values.get('resample')!r} is not known here: bicubic is used")
    preprocessing = _frame(values, interpolation or "bicubic")
    return told._replace(settings=settings, preprocessing=preprocessing, notes=tuple(notes))


def _frame(values: dict[str, Any], interpolation: str) -> Preprocessing | None:
    """How pictures are resized and cropped; None if the values do not say."""
    size, crop = values.get("size"), values.get("crop_size")
    crops = bool(values.get("do_center_crop"))
    edge = size.get("shortest_edge") if isinstance(size, dict) else size if crops else None
    frame = crop if crops else size
    sides = size_of([frame.get("height"), frame.get("width")] if isinstance(frame, dict) else frame)
    if isinstance(frame, dict) and sides is None:
        sides = size_of(frame.get("shortest_edge"))
    if sides is None:
        return None
    pair = sides if isinstance(sides, tuple) else (sides, sides)
    try:
        if isinstance(edge, int) and values.get("do_resize", True):
            return Preprocessing("crop", "light", pair, edge, interpolation)
        return Preprocessing("crop" if crops else "squash", "light", pair, None, interpolation)
    except ConfigError:
        return None


def read_open_clip(values: dict[str, Any], path: Path) -> Told:
    """What an open_clip_config.json tells. Raises CheckpointError, in one line, for what minivit does not have."""
    model, made = values.get("model_cfg"), values.get("preprocess_cfg") or {}
    tower = model.get("vision_cfg") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(tower, dict):
        expect(path, False, "holds no model_cfg with a vision_cfg")
        raise AssertionError
    settings: dict[str, Any]
    if "timm_model_name" in tower:
        settings = rules(str(tower["timm_model_name"]), {})
        pool = tower.get("timm_pool")
        if pool in ("token", "avg"):
            settings["pool"] = "cls" if pool == "token" else "patches"
    else:
        for name in ("attentional_pool", "final_ln_after_pool", "no_ln_pre", "input_patchnorm", "block_type"):
            expect(path, not tower.get(name), f"{name}, which minivit does not have")
        pool = tower.get("pool_type", "tok")
        expect(path, pool == "tok", f"pooling {pool!r} of a CLIP, which minivit does not have")
        tanh = (tower.get("act_kwargs") or {}).get("approximate") == "tanh"
        settings = {"gelu": "quick" if model.get("quick_gelu") else "tanh" if tanh else "erf"}
        settings["norm_eps"] = number(tower.get("norm_kwargs") or {}, "eps")
        settings["head_width"] = tower.get("head_width", 64)
    settings.update({"pixel_mean": numbers(made, "mean"), "pixel_std": numbers(made, "std")})
    size = size_of(tower.get("image_size"))
    preprocessing = None
    if size is not None:
        form = made.get("interpolation", "bicubic")
        sides = size if isinstance(size, tuple) else (size, size)
        squash = made.get("resize_mode", "shortest") == "squash"
        try:
            preprocessing = Preprocessing("squash" if squash else "crop", "light", sides, None, form)
        except ConfigError:
            preprocessing = None
    sizes = {"dim": tower.get("width"), "depth": tower.get("layers")}
    return Told(
        {name: value for name, value in settings.items() if value is not None},
        size,
        preprocessing,
        {name: value for name, value in sizes.items() if isinstance(value, int)},
    )
