"""Another model as the beginning of a run: read it, fit it to the data's images and classes, say what was changed."""

import dataclasses
import os
from pathlib import Path
from typing import Any, NamedTuple

from ..backend import to_device
from ..config import ViTConfig
from ..counted import counted
from ..data import Dataset, sample
from ..errors import ConfigError
from ..initial import initial_params
from ..params import Params
from ..preprocess import Preprocessing, pillow_version
from ..settings import check
from ..shapes import parameter_shapes
from ..vit import ViT
from .load import load_run, of_minivit

ANSWERS = ("gelu", "norm_eps", "heads")  # settings of a model that another library's file may not tell


class Base(NamedTuple):
    """A model to start from."""

    name: str  # what --init was given, as it means the same from any folder
    model: ViT


def base_model(
    init: str,
    device: str,
    not_in: Path,
    model_settings: dict[str, Any],
    image_size: int | tuple[int, int] | None = None,
    pixels: str | None = None,
) -> Base:
    """Read the model to start from, for images of its own size, or of image_size: then its positions are resized.
    model_settings: those that the file of another library does not tell are taken from here. Raises ConfigError if it
    is in the folder not_in, which is to be written to; otherwise as `load_run` does."""
    check(init != "", "--init is empty: name a run, or a model of another library")
    told: dict[str, Any] = {}
    if not of_minivit(init):
        told = {name: model_settings[name] for name in ANSWERS if name in model_settings}
        told["pixels"] = pixels
    run = load_run(init, device, image_size=image_size, **told)
    if run.folder.resolve() == not_in.resolve():
        raise ConfigError(f"--init {init} is in the folder that the new run would replace: choose another --out")
    return Base(init if init == "pretrained" else os.path.abspath(init), run.model)


def initialised_model(
    base: Base, dataset: Dataset, model_settings: dict[str, Any], seed: int, device: str
) -> tuple[ViT, str]:
    """The model of a run that starts from another, and what was made of it, in words.

    Its classes are those of the data. A model of the same ones keeps its head; any other model, also one that has no
    head or one that gives an embedding, gets a new head of zeros, which sees all classes as equally likely and lets no
    gradient into the model before its first step. (The first layer of an MLP head is drawn with the seed.)
    model_settings may change what changes no other shape: the dropouts, for example, and the head's form. Patch dropout
    is off unless they set it: it saved time in the training that the model comes from. The model is in float32.
    Raises ConfigError for images that the model does not read, and for settings that change its shapes.
    """
    name, model = base
    images = dataset.train.images
    if images.shape[1:] != model.config.image_shape:
        raise ConfigError(_other_images(name, model.config, images.shape[1:]))
    settings = {**model.config.to_dict(), "patch_dropout": 0.0, **model_settings}
    of_data = {"classes": dataset.classes, "class_names": dataset.class_names, "embedding": False}
    config = ViTConfig.from_dict({**settings, **of_data})
    old = _class_names(model.config) if model.config.predicts else None
    fits = old == _class_names(config) and config.head_hidden == model.config.head_hidden
    shapes = parameter_shapes(config)
    params = Params.zeros(shapes)
    if not fits and config.head_hidden is not None:
        params["head.fc1.weight"] = initial_params(config, seed)["head.fc1.weight"]
    before = model.params.to("cpu")
    for tensor in shapes:
        if tensor.startswith("head.") and not fits:
            continue
        if tensor not in before or before[tensor].shape != shapes[tensor]:
            raise ConfigError(
                f"the model settings do not fit --init {name}: {tensor} has another shape there; leave them out"
            )
        params[tensor] = before[tensor]
    made = model.preprocessing or dataset.preprocessing or Preprocessing.of_images(sample(images))
    if dataset.preprocessing is not None:  # this Pillow has read or resized them
        made = dataclasses.replace(made, pillow=pillow_version())
    classes = counted(dataset.classes, "class", "classes")
    about = f"starts from {name}" + ("" if fits else f", with a new head of zeros for {classes}")
    return ViT(config, params=Params(shapes, to_device(params.flat, device)), preprocessing=made), about


def _class_names(config: ViTConfig) -> list[str]:
    return [config.class_name(k) for k in range(config.classes or 0)]


def _other_images(name: str, config: ViTConfig, found: tuple[int, ...]) -> str:
    """One line on images (C, Sh, Sw) that the model does not read."""
    line = f"--init {name} reads images of {config.image_shape} (channels, height, width), the data have {found}: "
    _, height, width = found
    if found[0] != config.channels:
        return line + "choose another model, or train without --init"
    if height % config.patch_size or width % config.patch_size:
        return line + f"its patches of {config.patch_size} do not divide them; choose another model"
    return line + f"--image-size {height if height == width else f'{height}x{width}'} resizes its positions"
