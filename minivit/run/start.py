"""The start of a run: one training from start to end, in a folder from which it can be resumed."""

import dataclasses
import hashlib
import secrets
from typing import Any

import numpy as np

from .. import __version__
from ..backend import device_module
from ..data import Dataset, Pictures, Split, digests_of, full_name, load, parts, sample
from ..errors import ConfigError
from ..preprocess import Preprocessing
from ..ranks import ALONE, Ranks
from ..settings import check
from ..train import TrainConfig
from ..train.augmentation import NO_COPIES, copied_as, decided, has_copies
from ..vit import ViT
from .display import Say, silent
from .doubts import other_kind
from .folder import new_folder
from .load import Run, of_minivit, reading_for
from .pace import within_minutes
from .records import FORMAT
from .settings import config_for
from .together import held_by_first, in_turn
from .training import Images, train_in
from .transfer import base_model, initialised_model


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
    image_size: int | tuple[int, int] | None = None,
    skip_unreadable: bool = False,
    for_photos: dict[str, Any] | None = None,
    say: Say = silent,
    bar: bool = False,
    ranks: Ranks = ALONE,
) -> Run:
    """Train a model on a data set from start to end: what `minivit train` does.

    data: what `data.load` takes; out: the run's folder; model_settings: ViTConfig's fields, but for those that the data
    decide (image size, channels, classes, pixel statistics, and the patch size where none is given). init: a run, or a
    model's file, whose weights to start from instead of random ones; its config is taken over, with a new head where
    the classes are others, and without patch dropout; `model_settings` may change in it what changes no shape (the
    dropouts, for example).
    image_size: a side or (Sh, Sw) to which the images and the positions of `init` are resized.
    skip_unreadable: leave out pictures that cannot be read, at most a tenth. for_photos: TrainConfig's fields that
    replace those of `config` where the images turn out to be photos (`train.augmentation.decided`). pixels: the
    normalisation, where `init` is another library's file that does not tell it. overwrite: replace the run that is in
    `out`, as soon as this one has done a step. say: called with every line that a person should see; bar: draw a
    progress bar on stderr, if that is a terminal. ranks: the processes that train it together, each with a call of its
    own; all but the first are silent and write nothing.
    Raises Interrupted after a signal that asks it to stop, TrainingError for a loss that is not finite, FileExistsError
    if `out` holds a run already and `overwrite` is false, or files that no run wrote, CheckpointError if another
    process trains in it, OSError if it cannot be written, ConfigError if the data or the settings do not fit the model
    of `init`. Until its first step is done, nothing is changed in the folder.
    """
    if ranks.rank:
        say, bar = silent, False
    with held_by_first(ranks, new_folder(data, out, overwrite)) as folder:
        ranks.take_card()
        device_module(device)
        if pixels is not None and (init is None or of_minivit(init)):
            raise ConfigError("--pixels is for a model of another library that tells no normalisation: leave it out")
        base = None if init is None else base_model(init, device, folder.path, model_settings, image_size, pixels)
        reading = reading_for(base and base.model, image_size, skip_unreadable, bar)
        dataset = in_turn(ranks, lambda: load(data, reading))
        for note in dataset.notes:
            say(f"note: {note}")
        images = split_images(dataset, config)
        asked = config
        config, why = decided(asked, images.train.images, for_photos)
        if dataset.class_names is not None:
            model_settings = {**model_settings, "class_names": dataset.class_names}
        about: tuple[str, ...] = ()
        if base is None and config.freeze is not None:
            about = ("note: what is frozen has random weights: --init starts from a trained model",)
        if base is None:
            preprocessing = dataset.preprocessing or Preprocessing.of_images(sample(images.train.images))
            model_config = config_for(images.train.images, dataset.classes, model_settings)
            model = ViT(model_config, config.seed, device=device, preprocessing=preprocessing)
        else:
            model, line = initialised_model(base, dataset, model_settings, config.seed, device)
            doubts = other_kind(model.preprocessing, images.train.images)
            about = (line, *(f"warning: {doubt}" for doubt in doubts))
        if config.freeze is not None and model.config.patch_dropout:
            about = (*about, "note: no patch is left out: patch dropout has no effect where the embedding is frozen")
        if config.minutes is not None:
            check(ranks.size == 1, "minutes are measured by one process: give the ranks a number of --epochs instead")
            epochs, line = within_minutes(config, model, images.train, images.valid)
            asked = dataclasses.replace(asked, epochs=epochs)
            config, why = decided(asked, images.train.images, for_photos)  # an automatic strength follows the epochs
            about = (*about, line)
        if config.tta and not has_copies(*copied_as(config)):
            about = (*about, f"note: {NO_COPIES}")
        settings = {
            "format": FORMAT,
            "minivit": __version__,
            "run": secrets.token_hex(8),
            "data": full_name(data),
            "data_sha256": fingerprint(dataset.train),
            "test_sha256": fingerprint(dataset.test),
            "init": None if base is None else base.name,
            "device": device,
            "model": model.config.to_dict(),
            "preprocessing": model.preprocessing.to_dict() if model.preprocessing else None,
            "train": config.to_dict(),
            **({"skip_unreadable": True} if skip_unreadable else {}),
        }
        return train_in(folder, settings, images, model, config, False, say, bar, (*about, why), ranks)


def split_images(dataset: Dataset, config: TrainConfig) -> Images:
    """The images to train on, those held out of them, and those to test with."""
    return Images(*dataset.split(config.validation), dataset.test)


def fingerprint(split: Split) -> str:
    """The SHA-256 of images and labels; where the digests of the images are known, of these instead of the images."""
    digest = hashlib.sha256()
    known = isinstance(split.images, Pictures) and split.images.digests is not None
    for part in [digests_of(split.images)] if known else parts(split.images):
        digest.update(np.ascontiguousarray(part))
    digest.update(np.ascontiguousarray(split.labels))
    return digest.hexdigest()
