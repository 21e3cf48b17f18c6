"""config.json and preprocessor_config.json of Hugging Face's transformers, and open_clip's config."""

import reprlib
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..preprocess import Preprocessing
from ..preprocess.pictures import INTERPOLATIONS
from .timm_config import rules
from .told import Told, expect, names_of, number, pixels_of, section, size_of, text, whole

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
RESIZE_MODES = {"shortest": "crop", "longest": "border", "squash": "squash"}  # open_clip's
RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers


def read_huggingface(values: dict[str, Any], path: Path) -> Told:
    """What a config.json of transformers tells. Raises CheckpointError, in one line, for what minivit does not have."""
    kind = text(values, "model_type")
    if kind == "clip":
        kind, values = "clip_vision_model", section(values, "vision_config")
    expect(path, kind in DEFAULTS, f"model_type {kind!r}, minivit reads {', '.join(DEFAULTS)} and clip")
    filled = {**DEFAULTS[str(kind)], **values}
    expect(path, not filled.get("use_swiglu_ffn"), "a SwiGLU in its MLP (DINOv2 giant), which minivit does not have")
    gelu = text(filled, "hidden_act")
    expect(path, gelu in ACTIVATIONS, f"activation {gelu!r}, minivit has {', '.join(ACTIVATIONS)}")
    settings = {
        "gelu": ACTIVATIONS[str(gelu)],
        "norm_eps": number(filled, "layer_norm_eps"),
        "heads": whole(filled, "num_attention_heads"),
        "class_names": names_of(filled.get("id2label")),
        "layer_scale": number(filled, "layerscale_value"),
    }
    sizes = {"dim": whole(filled, "hidden_size"), "depth": whole(filled, "num_hidden_layers")}
    return Told(
        {name: value for name, value in settings.items() if value is not None},
        size_of(filled.get("image_size")),
        sizes={name: size for name, size in sizes.items() if size is not None},
    )


def read_processor(values: dict[str, Any], told: Told) -> Told:
    """What a preprocessor_config.json adds: the normalisation, and how pictures are made."""
    pixels = pixels_of(values, "image_mean", "image_std")
    if values.get("do_normalize") is False:
        pixels = {"pixel_mean": (0.0,), "pixel_std": (1.0,)}
    factor = 1.0 if values.get("do_rescale") is False else number(values, "rescale_factor") or 1 / 255
    if abs(factor * 255 - 1) > 1e-6:  # ours divides by 255 first
        pixels = {name: tuple(value / (255 * factor) for value in values) for name, values in pixels.items()}
    notes = told.notes
    interpolation = RESAMPLING.get(whole(values, "resample") or (0 if values.get("resample") == 0 else 3))
    if interpolation is None:
        notes += (f"resample {reprlib.repr(values.get('resample'))} is not known: bicubic is used",)
    settings = {**told.settings, **pixels}
    preprocessing = _frame(values, interpolation or "bicubic")
    return told._replace(settings=settings, preprocessing=preprocessing, notes=notes)


def _frame(values: dict[str, Any], interpolation: str) -> Preprocessing | None:
    """How pictures are resized and cropped; None if the values do not say."""
    size, crop = values.get("size"), values.get("crop_size")
    crops = bool(values.get("do_center_crop"))
    edge = whole(size, "shortest_edge") if isinstance(size, dict) else whole(values, "size") if crops else None
    frame = crop if crops else size
    sides = size_of([frame.get("height"), frame.get("width")] if isinstance(frame, dict) else frame)
    if isinstance(frame, dict) and sides is None:
        sides = size_of(frame.get("shortest_edge"))
    if sides is None:
        return None
    pair = sides if isinstance(sides, tuple) else (sides, sides)
    resizes = bool(values.get("do_resize", True))
    shape = size_of([size.get("height"), size.get("width")]) if isinstance(size, dict) and crops and resizes else None
    try:
        if shape is not None:  # to this shape, then the middle
            least = min(shape) if isinstance(shape, tuple) else shape
            return Preprocessing("squash", "light", pair, least, interpolation)
        if edge is not None and resizes:
            return Preprocessing("crop", "light", pair, edge, interpolation)
        return Preprocessing("crop" if crops else "squash", "light", pair, None, interpolation)
    except ConfigError:
        return None


def _colour(value: Any) -> tuple[int, int, int]:
    """A colour, given as one level or as three; black where it is neither."""
    levels = value if isinstance(value, (list, tuple)) else [value] * 3
    known = [level for level in levels if type(level) is int and 0 <= level <= 255]
    return (known[0], known[1], known[2]) if len(known) == len(levels) == 3 else (0, 0, 0)


def read_open_clip(values: dict[str, Any], path: Path) -> Told:
    """What an open_clip_config.json tells. Raises CheckpointError, in one line, for what minivit does not have."""
    model, made = section(values, "model_cfg"), section(values, "preprocess_cfg")
    tower = section(model, "vision_cfg")
    expect(path, bool(tower), "holds no model_cfg with a vision_cfg")
    settings: dict[str, Any]
    if "timm_model_name" in tower:
        settings, pool = rules(str(tower["timm_model_name"]), {}), tower.get("timm_pool")
        if pool in ("token", "avg"):
            settings["pool"] = "cls" if pool == "token" else "patches"
    else:
        for name in ("attentional_pool", "final_ln_after_pool", "no_ln_pre", "input_patchnorm", "block_type"):
            expect(path, not tower.get(name), f"{name}, which minivit does not have")
        pool = tower.get("pool_type", "tok")
        expect(path, pool == "tok", f"pooling {reprlib.repr(pool)} of a CLIP, which minivit does not have")
        tanh = section(tower, "act_kwargs").get("approximate") == "tanh"
        settings = {"gelu": "quick" if model.get("quick_gelu") else "tanh" if tanh else "erf"}
        settings["norm_eps"] = number(section(tower, "norm_kwargs"), "eps")
        settings["head_width"] = whole(tower, "head_width") or 64
    settings.update(pixels_of(made, "mean", "std"))
    size, preprocessing = size_of(tower.get("image_size")), None
    if size is not None:
        sides = size if isinstance(size, tuple) else (size, size)
        rule = RESIZE_MODES.get(text(made, "resize_mode") or "shortest", "crop")
        interpolation = text(made, "interpolation")
        known = interpolation if interpolation in INTERPOLATIONS else "bicubic"
        colour = _colour(made.get("fill_color")) if rule == "border" else None
        preprocessing = Preprocessing(rule, "light", sides, None, known, colour)
    sizes = {"dim": whole(tower, "width"), "depth": whole(tower, "layers")}
    return Told(
        {name: value for name, value in settings.items() if value is not None},
        size,
        preprocessing,
        {name: value for name, value in sizes.items() if value is not None},
    )
