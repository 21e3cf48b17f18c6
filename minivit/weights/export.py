"""A model of ours as another library's: its tensors through the family's table, read backwards, and the config files
with which the library opens them. What a layout lacks is folded into what it has, where that changes no result."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save

from ..atomic import write_atomically, write_json
from ..checkpoint import save_model
from ..config import ViTConfig
from ..embedding import fixed_positions
from ..errors import ConfigError
from ..model import vit_forward
from ..params import Params
from ..preprocess import Preprocessing
from ..rng import GRADIENT_CHECK, generator
from .structure import full_name
from .table import Family, blocks_of, outward, third

TARGETS = ("timm", "huggingface", "minivit")


class Layout(NamedTuple):
    """A model in another library's terms.

    values: our parameters, folded to what the layout has. files: the config files, by name. notes: what to know.
    """

    family: Family
    prefix: str
    config: ViTConfig
    values: dict[str, np.ndarray]
    files: dict[str, Any]
    notes: tuple[str, ...] = ()


def convert(
    params: Params,
    config: ViTConfig,
    preprocessing: Preprocessing | None,
    out: str | Path,
    to: str,
    licence: str | None = None,
) -> tuple[str, ...]:
    """Write a model into the new folder `out` as a library lays it out, and return what there is to know about it.

    to: one of TARGETS. timm.create_model("local-dir:OUT", pretrained=True) and, for a model with a head,
    transformers.AutoModelForImageClassification.from_pretrained(OUT) compute the same. licence: of the weights, if it
    is known. Raises ConfigError for a model that the library has no architecture for, FileExistsError if there is
    something in `out` already, OSError if it cannot be written.
    """
    from .huggingface_out import to_huggingface
    from .timm_out import to_timm

    if to not in TARGETS:
        raise ConfigError(f"--to must be one of {', '.join(TARGETS)}, not {to!r}")
    params, folder = params.to("cpu"), Path(out)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise FileExistsError(f"{folder} is there already, and not empty: choose another folder")
    if to == "minivit":
        folder.mkdir(parents=True, exist_ok=True)
        save_model(folder / "model.safetensors", params, config, preprocessing)
        return ()
    layout = (to_timm if to == "timm" else to_huggingface)(params, config, preprocessing, licence)
    tensors = export_tensors(layout)
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in layout.files.items():
        write_json(folder / name, values)
    write_atomically(folder / "model.safetensors", save(tensors, {"format": "pt"}))
    return layout.notes


def export_tensors(layout: Layout) -> dict[str, np.ndarray]:
    """The tensors of a layout, by name, contiguous."""
    tensors = {}
    for row in blocks_of(layout.family.rows, layout.config.depth):
        if row.ours in layout.values:
            value = outward(third(layout.values[row.ours], row.part), row.form, layout.config)
            tensors[full_name(layout.prefix, row.theirs)] = np.ascontiguousarray(value)
    return tensors


def learned(params: Params, config: ViTConfig) -> dict[str, np.ndarray]:
    """The parameters, with a table of positions (1, T, D) also where they are fixed, in a dictionary of their own."""
    values = dict(params)
    if config.positions in ("sincos1d", "sincos2d"):
        values["pos_embed"] = fixed_positions(np, config, params.flat.dtype)
    return values


def fold_patch_bias(values: dict[str, np.ndarray], config: ViTConfig) -> None:
    """Leave the bias of the patch embedding out: it is added to the positions of the patches."""
    bias, rows = values.pop("patch_embed.proj.bias"), int(config.has_class_token)
    if bias.any() or "pos_embed" not in values:
        table = values.get("pos_embed", np.zeros((1, rows + config.patches, config.dim), bias.dtype)).copy()
        table[:, rows:] += bias
        values["pos_embed"] = table


def fold_class_position(values: dict[str, np.ndarray]) -> None:
    """Leave the class token's position out: it is added to the class token."""
    table = values["pos_embed"]
    if table[:, 0].any():
        values["cls_token"] = values["cls_token"] + table[:, :1]
    values["pos_embed"] = table[:, 1:]


def effect_of_eps(params: Params, config: ViTConfig, eps: float) -> str | None:
    """What another epsilon changes, measured on two random images; None if it is the same."""
    if eps == config.norm_eps:
        return None
    images = generator(0, GRADIENT_CHECK).standard_normal((2, *config.image_shape)).astype(params.flat.dtype)
    other = ViTConfig.from_dict({**config.to_dict(), "norm_eps": eps})
    before, after = (vit_forward(params, images, one, keep_cache=False)[0] for one in (config, other))
    return (
        f"LayerNorm's epsilon is {config.norm_eps:g} in this model and {eps:g} there: on two random images, outputs of "
        f"up to {np.abs(before).max():.3g} differ by {np.abs(before - after).max():.1g}"
    )


def lost_pictures(library: str, config: ViTConfig, preprocessing: Preprocessing | None) -> str | None:
    """What the library will do to pictures that this model's preprocessing does not; None if it does the same. Both
    libraries crop and squash; timm also has a border, of the mean colour, on a frame that is not larger."""
    _, height, width = config.image_shape
    instead = f"{library} will resize every picture to {height} x {width} pixels (height x width)"
    if preprocessing is None:
        return f"nothing tells how pictures are made for this model: {instead}, bicubic"
    rule = preprocessing.rule
    if rule == "digit":
        return f"the rule digit, which finds a digit in a picture and centres it, is not known there: {instead}"
    if rule == "border" and library != "timm":
        return f"the rule border is not known there: {instead}"
    if rule == "border":
        mean = tuple(round(255 * value) for value in config.pixel_mean or ())
        if preprocessing.border is None or set(mean) != set(preprocessing.border):
            return f"the border {preprocessing.border or preprocessing.ground} will be of the mean colour, {mean}"
    return None


def refuse(library: str, reason: str) -> None:
    """Raise ConfigError: the library has no architecture for this model."""
    raise ConfigError(f"{library} has no architecture with {reason}: choose another --to, or change the model")
