"""The start of a run: one training from start to end, in a folder from which it can be resumed."""

import hashlib
import os
import secrets
from typing import Any

import numpy as np

from .. import __version__
from ..backend import device_module, to_device
from ..config import ViTConfig
from ..data import Dataset, Pictures, Split, full_name, load, parts, sample, split_validation
from ..errors import ConfigError
from ..preprocess import Preprocessing
from ..train import TrainConfig
from ..vit import ViT
from .display import Say, silent
from .folder import new_folder
from .load import Run, load_run, of_minivit
from .lock import HeldFolder
from .records import FORMAT
from .settings import config_for
from .training import Images, train_in


def start_run(
    data: str,
    out: str | None,
    model_settings: dict[str, Any],
    config: TrainConfig,
    device: str = "cpu",
    overwrite: bool = False,
    init: str | None = None,
    *,
    pixels: str | None = None,
    say: Say = silent,
    bar: bool = False,
) -> Run:
    """Train a model on a data set from start to end: what `minivit train` does.

    data: "mnist5k", "mnist" or a folder of IDX files; out: the run's folder; model_settings: ViTConfig's fields, but
    for those that the data decide (image size, channels, classes, pixel statistics). init: a run, or a model's file,
    whose weights to start from instead of random ones; its config is taken over, and `model_settings` may change in it
    what changes no shape (the dropouts, for example). pixels: the normalisation, where `init` is another library's file
    that does not tell it. overwrite: replace the run that is in `out`, as soon as this one
    has done a step. say: called with every line that a person should see; bar: draw a progress bar on stderr, if that
    is a terminal.
    Raises Interrupted after a signal that asks it to stop, TrainingError for a loss that is not finite, FileExistsError
    if `out` holds a run already and `overwrite` is false, or files that no run wrote, CheckpointError if another
    process trains in it, OSError if it cannot be written, ConfigError if the data or the settings do not fit the model
    of `init`. Until its first step is done, nothing is changed in the folder.
    """
    with new_folder(data, out, overwrite) as folder:
        device_module(device)
        dataset = load(data)
        images = split_images(dataset, config)
        if dataset.class_names is not None:
            model_settings = {**model_settings, "class_names": dataset.class_names}
        if init is None:
            preprocessing = Preprocessing.of_images(sample(images.train.images))
            model_config = config_for(images.train.images, dataset.classes, model_settings)
            model = ViT(model_config, config.seed, device=device, preprocessing=preprocessing)
        else:
            if init != "pretrained":
                init = os.path.abspath(init)  # it means the same when the run is resumed from elsewhere
            classes = dataset.classes
            model = initialised_model(init, images.train.images, classes, model_settings, device, folder, pixels)
        settings = {
            "format": FORMAT,
            "minivit": __version__,
            "run": secrets.token_hex(8),
            "data": full_name(data),
            "data_sha256": fingerprint(dataset.train),
            "test_sha256": fingerprint(dataset.test),
            "init": init,
            "device": device,
            "model": model.config.to_dict(),
            "preprocessing": model.preprocessing.to_dict() if model.preprocessing else None,
            "train": config.to_dict(),
        }
        return train_in(folder, settings, images, model, config, resume=False, say=say, bar=bar)


def initialised_model(
    init: str,
    images: np.ndarray | Pictures,
    classes: int,
    model_settings: dict[str, Any],
    device: str,
    not_in: HeldFolder,
    pixels: str | None = None,
) -> ViT:
    """The model of a run, or of another library's file, with these settings changed, for images (n, C, Sh, Sw) and a
    number of classes. Raises ConfigError if it does not fit, or is in the folder that is to be written to."""
    told: dict[str, Any] = {}
    if not of_minivit(init):
        told = {name: model_settings[name] for name in ("gelu", "norm_eps", "heads") if name in model_settings}
        told["pixels"] = pixels
    run = load_run(init, device, **told)
    if run.folder.resolve() == not_in.path.resolve():
        raise ConfigError(f"--init {init} is in the folder that the new run would replace: choose another --out")
    model = run.model
    if images.shape[1:] != model.config.image_shape or classes != model.config.classes:
        raise ConfigError(
            f"--init {init} reads images of {model.config.image_shape} (channels, height, width) in "
            f"{model.config.classes} classes, the data have {images.shape[1:]} in {classes}: "
            "choose another model, or train without --init"
        )
    config = ViTConfig.from_dict({**model.config.to_dict(), **model_settings})
    before = model.params
    changed = ViT(config, device=device, preprocessing=model.preprocessing or Preprocessing.of_images(sample(images)))
    if changed.params.shapes != before.shapes:
        differ = sorted({*changed.params.shapes.items()} ^ {*before.shapes.items()})
        raise ConfigError(
            f"the model settings do not fit --init {init}: {differ[0][0]} has another shape there; leave them out"
        )
    changed.params.flat[...] = to_device(before.flat, device)
    return changed


def split_images(dataset: Dataset, config: TrainConfig) -> Images:
    """The images to train on, those held out of them, and those to test with."""
    return Images(*split_validation(dataset.train, config.validation), dataset.test)


def fingerprint(split: Split) -> str:
    """The SHA-256 of images and labels."""
    digest = hashlib.sha256()
    for part in parts(split.images):
        digest.update(np.ascontiguousarray(part))
    digest.update(np.ascontiguousarray(split.labels))
    return digest.hexdigest()
