"""The settings of a model, from what its tensors, the files beside it, its library's code and its user say; and what is
left to be asked."""

from pathlib import Path
from typing import Any, NamedTuple

from ..atomic import read_json
from ..config import ViTConfig
from ..errors import CheckpointError, ConfigError
from .huggingface_config import read_huggingface, read_open_clip, read_processor
from .structure import Found
from .timm_config import read_timm
from .told import PIXELS, Told, channels_of

ASKED = {
    "norm_eps": "--norm-eps (LayerNorm's epsilon, 1e-6 or 1e-5 or 1e-12)",
    "gelu": "--gelu (erf, tanh or quick)",
    "heads": "--heads (attention heads, one for 64 features in most models)",
    "pixels": f"--pixels (the normalisation: {', '.join(PIXELS)})",
}


class Answers(NamedTuple):
    """What the user says about a model, where the files do not, or where they are wrong; None: as the files say.

    image_size: to which the positions are resized; resize: how. gelu, norm_eps, heads: as in ViTConfig. pixels: the
    normalisation, a key of PIXELS.
    """

    image_size: int | tuple[int, int] | None = None
    resize: str | None = None
    gelu: str | None = None
    norm_eps: float | None = None
    heads: int | None = None
    pixels: str | None = None


NOTHING = Answers()


def told_beside(file: Path) -> Told:
    """What the files beside the weights tell."""
    config, processor, open_clip = (
        file.with_name(name) for name in ("config.json", "preprocessor_config.json", "open_clip_config.json")
    )
    told = Told()
    if open_clip.is_file() and (file.name.startswith("open_clip") or not config.is_file()):
        return read_open_clip(_settings(open_clip), open_clip)
    if config.is_file():
        values = _settings(config)
        if "architecture" in values:
            told = read_timm(values, config)
        elif "model_type" in values:
            told = read_huggingface(values, config)
    if processor.is_file():
        told = read_processor(_settings(processor), told)
    return told


def _settings(path: Path) -> dict[str, Any]:
    values = read_json(path)
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: expected settings by name")
    return values


def settled(found: Found, told: Told, structure: dict[str, Any], answers: Answers) -> tuple[dict[str, Any], list[str]]:
    """ViTConfig's fields, and what has to be asked: what the user says counts before the files, and these before what
    the library's code fixes."""
    family, width = found.family, structure["dim"]
    values: dict[str, Any] = {"resize": family.resize, **family.settings, **told.settings, **structure}
    if told.settings.get("layer_scale") and structure["layer_scale"]:
        values["layer_scale"] = told.settings["layer_scale"]
    head_width = values.pop("head_width", family.head_width)
    if "heads" not in values:
        query = found.sizes("blocks.0.attn.qkv.weight") or {}
        heads = query.get("h") or family.heads.get(width)
        if heads is None and head_width and width % head_width == 0:
            heads = width // head_width
        values["heads"] = heads
    values["pool"] = _pool(values, found)
    pixels = answers.pixels or (None if "pixel_mean" in values else family.pixels)
    if pixels is not None:
        if pixels not in PIXELS:
            raise ConfigError(f"pixels must be one of {', '.join(PIXELS)}, not {pixels!r}")
        values["pixel_mean"], values["pixel_std"] = PIXELS[pixels]
    for name in ("gelu", "norm_eps", "heads"):
        if getattr(answers, name) is not None:
            values[name] = getattr(answers, name)
    questions = [name for name in ("norm_eps", "gelu", "heads") if values.get(name) is None]
    if "pixel_mean" in values:
        for name in ("pixel_mean", "pixel_std"):
            values[name] = channels_of(values[name], structure["channels"])
    else:
        questions.append("pixels")
    names = values.get("class_names")
    if names is not None and (len(names) != structure["classes"] or structure["embedding"]):
        del values["class_names"]
    return {name: value for name, value in values.items() if value is not None or name in structure}, questions


def contradictions(told: Told, answers: Answers, channels: int) -> tuple[str, ...]:
    """A line for everything that the user says otherwise than the files beside the weights do."""
    given = {name: getattr(answers, name) for name in ("gelu", "norm_eps", "heads")}
    if answers.pixels in PIXELS:
        given.update(zip(("pixel_mean", "pixel_std"), (channels_of(v, channels) for v in PIXELS[answers.pixels])))
    files = {name: told.settings[name] for name in given if told.settings.get(name) is not None}
    files.update({n: channels_of(files[n], channels) for n in ("pixel_mean", "pixel_std") if n in files})
    return tuple(
        f"{name} is {value} in the files beside it: {given[name]}, as asked for, is used"
        for name, value in files.items()
        if given[name] is not None and given[name] != value
    )


def _pool(values: dict[str, Any], found: Found) -> str:
    """What the head reads, where the tensors leave no choice, or the config of the library's default."""
    pool, prefix = values.get("pool"), values["class_token"] + values["registers"]
    if pool == "cls+patches":
        head = found.sizes("head.weight")
        pool = "cls" if head is None else pool
    if not values["class_token"] and pool in (None, "cls", "cls+patches"):
        pool = "patches"
    if pool is None:
        pool = "patches" if values["norm"] == "pool" else "cls"
    return "mean" if pool == "patches" and not prefix else str(pool)


def config_of(path: Path, values: dict[str, Any]) -> ViTConfig:
    """The config of these fields. Raises CheckpointError if they make no model."""
    try:
        return ViTConfig(**values)
    except ConfigError as error:
        raise CheckpointError(f"{path}: makes no model of minivit's: {error}") from None
