"""timm's config.json: what an architecture's name and the arguments beside it tell about a model.

A file of timm's holds what its user changed; the rest is fixed by the architecture's name. The rules below give, for
every architecture of timm whose structure minivit has, the width of a head, the form of GELU and LayerNorm's epsilon.
"""

import math
import re
import reprlib
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..preprocess import Preprocessing
from ..preprocess.pictures import INTERPOLATIONS
from .refused import ARGUMENTS, refused_architecture
from .told import Told, channels_of, expect, names_of, number, pixels_of, section, size_of, text, whole

ARCHITECTURE = r"(vit|deit3?|flexivit|eva_large|beit3|test_vit)\d?_"  # those that the rules are about
HEAD_WIDTHS = (
    (r"^test_vit", 32),
    (r"_giantopt_", 96),
    (r"_giant_.*(dinov2|tipsv2|radio)", 64),
    (r"_giant_", 88),
    (r"_gigantic_", 104),
    (r"_huge_", 80),
    (r"_so400m_", 72),
    (r"^vit_base_patch16_gap_224$", 48),
    (r"", 64),
)
EPSILONS = ((r"_clip_|^beit3_", 1e-5), (r"", 1e-6))
GELUS = (
    (r"_clip_quickgelu_", "quick"),
    (r"_giantopt_.*_siglip_|_so400m_patch16_siglip_|_base_patch32_siglip_|_large_patch16_siglip_(gap_)?512$", "tanh"),
    (r"", "erf"),
)
CROP_MODES = {"center": "crop", "squash": "squash", "border": "border"}
ACTIVATIONS = {"gelu": "erf", "gelu_tanh": "tanh", "quick_gelu": "quick"}
# Weights that were trained with QuickGELU but are published under the name of an architecture that has the exact GELU,
# and the width of their output. With another output they were trained further, and nobody can tell in which form.
QUICK = {
    "vit_base_patch32_clip_224.laion400m_e32": 512,
    "vit_large_patch14_clip_224.dfn2b": 768,
    "vit_huge_patch14_clip_224.dfn5b": 1024,
    "vit_huge_patch14_clip_378.dfn5b": 1024,
    "vit_huge_patch14_clip_224.metaclip2_worldwide": 1024,
    "vit_base_patch32_clip_224.metaclip_2pt5b": 512,
    "vit_base_patch16_clip_224.metaclip_2pt5b": 512,
    "vit_large_patch14_clip_224.metaclip_2pt5b": 768,
    "vit_huge_patch14_clip_224.metaclip_2pt5b": 1024,
    "vit_gigantic_patch14_clip_224.metaclip_2pt5b": 1280,
    "vit_base_patch32_clip_224.metaclip_400m": 512,
    "vit_base_patch16_clip_224.metaclip_400m": 512,
    "vit_large_patch14_clip_224.metaclip_400m": 768,
    "vit_base_patch32_clip_224.openai": 512,
    "vit_base_patch16_clip_224.openai": 512,
    "vit_large_patch14_clip_224.openai": 768,
    "vit_large_patch14_clip_336.openai": 768,
}


def read_timm(values: dict[str, Any], path: Path) -> Told:
    """What a config.json of timm's tells. Raises CheckpointError, in one line, for what minivit does not have."""
    name, arguments = text(values, "architecture") or "an architecture without a name", section(values, "model_args")
    published = section(values, "pretrained_cfg") or {key: values[key] for key in values if key != "architecture"}
    refusal = refused_architecture(name)
    expect(path, refusal is None, f"{name} has {refusal}")
    for argument in ARGUMENTS:
        given = arguments.get(argument)
        expect(path, not given, f"{argument} {reprlib.repr(given)} makes a model that minivit does not have")
    settings = {**rules(name, arguments), **pixels_of(published, "mean", "std")}
    if arguments.get("act_layer") is not None:
        given = text(arguments, "act_layer")
        expect(path, given in ACTIVATIONS, f"activation {given!r}, minivit has {', '.join(ACTIVATIONS)}")
        settings["gelu"] = ACTIVATIONS[str(given)]
    tagged = f"{name}.{published.get('tag')}"
    sources = arguments, values, published
    if tagged in QUICK and "act_layer" not in arguments:
        width = next((source["num_classes"] for source in sources if "num_classes" in source), None)
        settings["gelu"] = "quick" if width in (QUICK[tagged], 0) else None
    pool = next((source["global_pool"] for source in sources if "global_pool" in source), None)
    if pool is not None:
        expect(path, pool in ("token", "avg"), f"pooling {reprlib.repr(pool)}, which minivit does not have")
        inclusive = bool(arguments.get("pool_include_prefix"))
        settings["pool"] = "cls" if pool == "token" else "mean" if inclusive else "patches"
    settings["class_names"] = _class_names(values if "label_names" in values else published)
    settings["layer_scale"] = number(arguments, "init_values") or None
    shape = published.get("input_size")
    size = size_of(arguments.get("img_size")) or size_of(shape[1:] if isinstance(shape, list) else None)
    preprocessing, notes = _preprocessing(published, size)
    told = {name: value for name, value in settings.items() if value is not None}
    return Told(told, size, preprocessing, licence=text(published, "license"), notes=notes)


def _class_names(values: dict[str, Any]) -> tuple[str, ...] | None:
    """The names of the classes, with what describes them in place of a name in code, if there is something."""
    labels, shown = values.get("label_names"), section(values, "label_descriptions")
    if isinstance(labels, list):
        labels = [shown.get(label, label) if isinstance(label, str) else label for label in labels]
    return names_of(labels)


def rules(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What an architecture's name tells: "head_width" or "heads", "gelu" and "norm_eps"."""
    settings: dict[str, Any] = {}
    if re.match(ARCHITECTURE, name) or re.fullmatch(r"test_vit\d?|flexivit_\w+", name):
        settings = {"gelu": _first(GELUS, name)}
        if not arguments.get("norm_layer") or arguments["norm_layer"] == "layernorm":
            settings["norm_eps"] = 1e-6 if arguments.get("norm_layer") else _first(EPSILONS, name)
        if "embed_dim" not in arguments:  # else the number of heads is still the architecture's own
            settings["head_width"] = _first(HEAD_WIDTHS, name)
    heads = whole(arguments, "num_heads")
    return settings if heads is None else {**settings, "heads": heads}


def _first(table: tuple[tuple[str, Any], ...], name: str) -> Any:
    return next(value for pattern, value in table if re.search(pattern, name))


def _preprocessing(published: dict[str, Any], size: Any) -> tuple[Preprocessing | None, tuple[str, ...]]:
    """timm's evaluation: pictures are resized to a frame of size / crop_pct, whose middle is taken. crop_mode "center"
    covers that frame, "squash" has its shape, "border" fits into it, on a border of the mean colour."""
    share, mode = number(published, "crop_pct"), text(published, "crop_mode") or "center"
    form = text(published, "interpolation") or "bicubic"
    if size is None or not share or not 0.1 <= share <= 1:
        return None, ()
    sides = size if isinstance(size, tuple) else (size, size)
    notes = []
    if form not in INTERPOLATIONS:
        notes.append(f"interpolation {form!r} is not known: bicubic is used")
        form = "bicubic"
    if mode not in CROP_MODES:
        notes.append(f"crop_mode {mode!r} is not known: the middle of the picture is taken")
    rule = CROP_MODES.get(mode, "crop")
    edge = math.floor(min(sides) / share)
    mean = pixels_of(published, "mean", "std").get("pixel_mean", (0.0,)) if rule == "border" else None
    red, green, blue = (round(255 * value) for value in channels_of(mean or (0.0,), 3))
    border = None if mean is None else (red, green, blue)
    kept = edge if rule == "crop" or share < 1 else None
    try:
        return Preprocessing(rule, "light", sides, kept, form, border), tuple(notes)
    except ConfigError:
        return None, ()
