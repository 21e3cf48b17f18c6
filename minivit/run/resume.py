"""Resuming a run that was interrupted, from its last save."""

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..atomic import write_json
from ..backend import device_module
from ..config import ViTConfig
from ..data import Dataset, Reading, full_name, load, sample
from ..errors import CheckpointError, ConfigError, DataError, DeviceError
from ..preprocess import Preprocessing
from ..ranks import ALONE, Ranks
from ..train import TrainConfig
from ..train.augmentation import decided
from ..vit import ViT
from .display import Say, silent
from .folder import STATE, shell_name
from .load import Run, load_run
from .lock import HeldFolder, held
from .records import MACHINE, is_result_of, read_result, read_settings
from .start import fingerprint, split_images
from .together import held_by_first, in_turn, of_first
from .training import train_in
from .transfer import base_model, initialised_model

MODEL = "model.safetensors"
DECIDED = ("augmentation", None), ("mirror", None), ("augment", "auto")  # a run has what auto decided as it began


def resume_run(
    path: str | Path,
    device: str | None = None,
    *,
    data: str | None = None,
    model_settings: dict[str, Any] | None = None,
    train_settings: dict[str, Any] | None = None,
    say: Say = silent,
    bar: bool = False,
    ranks: Ranks = ALONE,
) -> Run:
    """Resume a run that was interrupted, from its last save: what `minivit train --resume` does. It ends with the
    same bytes in model.safetensors as if it had never stopped. A run that has ended is only read.

    device: None is the one it has run on so far; data: where the data are now, if they have moved. train_settings: the
    fields of TrainConfig that belong to the machine (threads, save_every, keep_memory) may be others from now on; any
    other setting, and model_settings, may only repeat what the run was started with.
    ranks: as in `start_run`; their number may be another than before. Of a run that has ended only the first reads the
    model.
    Raises CheckpointError if there is no run, or if its state is damaged or of other settings, ConfigError for settings
    that the run was not started with; else as `start_run`.
    """
    if ranks.rank:
        say, bar = silent, False
    with held_by_first(ranks, _held_run(Path(path))) as folder:
        read = functools.partial(_read, folder.path, model_settings or {}, train_settings or {})
        stored, settings, ended, has_state = of_first(ranks, read)
        if ended:
            say(f"run {folder.path} has ended already")
            if ranks.rank:
                return Run(folder.path, ViT(ViTConfig.from_dict(settings["model"])), settings, None)
            return load_run(folder.path, device or "cpu")
        ranks.take_card()
        device = _usable_device(folder.path, settings, device, say)
        dataset, place = in_turn(ranks, functools.partial(_same_data, folder.path, settings, data, bar))
        settings = {**settings, "device": device, "data": place}
        config = TrainConfig.from_dict(settings["train"])
        images = split_images(dataset, config)
        config, _ = decided(config, images.train.images)
        init = settings.get("init")
        if init is not None and not has_state:
            stored_model = ViTConfig.from_dict(settings["model"])
            # The settings of the model hold the normalisation that was used.
            base = base_model(init, device, folder.path, settings["model"], stored_model.image_size, pixels="none")
            model, _ = initialised_model(base, dataset, settings["model"], config.seed, device)
        else:  # what is random here is replaced by the state, or is where the run began
            made, some = settings.get("preprocessing"), sample(images.train.images)
            preprocessing = Preprocessing.from_dict(made) if made else Preprocessing.of_images(some)
            model_config = ViTConfig.from_dict(settings["model"])
            model = ViT(model_config, config.seed, device=device, preprocessing=preprocessing)
        if settings != stored and ranks.rank == 0:
            write_json(folder.path / "config.json", settings)
        return train_in(folder, settings, images, model, config, resume=True, say=say, bar=bar, ranks=ranks)


@contextlib.contextmanager
def _held_run(path: Path) -> Iterator[HeldFolder]:
    if not path.is_dir():
        raise CheckpointError(f"{path}: there is no such folder, so no config.json to resume; start a run with --out")
    with held(path) as folder:
        yield folder


def _read(
    folder: Path, model_settings: dict[str, Any], train_settings: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], bool, bool]:
    """The settings in a run's folder, and those to go on with; whether it has ended, and whether it has a state."""
    stored = read_settings(folder)
    if stored is None:
        raise CheckpointError(f"{folder}: there is no config.json in it, so no run to resume; start one with --out")
    ended = _has_ended(folder, stored)
    settings = _with_settings(folder, stored, model_settings, train_settings, ended)
    return stored, settings, ended, os.path.lexists(folder / STATE)


def _has_ended(folder: Path, settings: dict[str, Any]) -> bool:
    """Whether the run has its result. Raises CheckpointError if what is in its folder is not of this run, or not all
    of it."""
    result, model, state = read_result(folder), folder / MODEL, os.path.lexists(folder / STATE)
    if result is None:
        if model.exists() and not state:
            raise CheckpointError(
                f"{folder}: the run has ended, but its result.json is missing: put it back, or measure the model with "
                f"minivit eval {shell_name(folder)}"
            )
        metrics = folder / "metrics.jsonl"
        if not state and metrics.exists() and metrics.stat().st_size:
            raise CheckpointError(
                f"{folder}: its {STATE} is missing, though it has been trained for some steps: put it back, or train "
                "again with another --out"
            )
        return False
    if settings.get("run") != result.get("run") or ("run" not in settings and state and not model.exists()):
        raise CheckpointError(f"{folder / 'result.json'}: not of this run but of another: move it away, then resume")
    if not model.exists():
        raise CheckpointError(
            f"{folder}: the run has ended, but its {MODEL} is missing: put it back, or train again with another --out"
        )
    if not is_result_of(result, settings, model):
        raise CheckpointError(f"{model}: not the model that result.json was measured with: put that one back")
    return True


def _with_settings(
    folder: Path,
    stored: dict[str, Any],
    model_settings: dict[str, Any],
    train_settings: dict[str, Any],
    ended: bool,
) -> dict[str, Any]:
    """The settings of a run with those of the machine changed. Raises ConfigError for others that differ."""
    machine = {name: value for name, value in train_settings.items() if name in MACHINE}
    decided = {*DECIDED, *([("epochs", None)] if stored["train"].get("minutes") else [])}
    fixed = {
        name: value for name, value in train_settings.items() if name not in MACHINE and (name, value) not in decided
    }
    differ = []
    for before, after in (
        (ViTConfig.from_dict(stored["model"]), ViTConfig.from_dict({**stored["model"], **model_settings})),
        (TrainConfig.from_dict(stored["train"]), TrainConfig.from_dict({**stored["train"], **fixed})),
    ):
        for name in {**model_settings, **fixed}:
            if getattr(before, name, None) != getattr(after, name, None):
                differ.append(f"{name} is {getattr(before, name)!r}, not {getattr(after, name)!r}")
    if differ:
        longer = f"minivit train --init {shell_name(folder)} --out NEW"
        if ended:
            raise ConfigError(
                f"the run in {folder} has ended, and in it {', '.join(differ)}: to train longer, or with other "
                f"settings, start another run from its weights: {longer}"
            )
        raise ConfigError(
            f"--resume continues with the settings the run was started with, and in {folder} {', '.join(differ)}: "
            f"leave out what differs, or start another run; once this one has ended, {longer} starts from its weights"
        )
    return {**stored, "train": TrainConfig.from_dict({**stored["train"], **machine}).to_dict()} if machine else stored


def _usable_device(folder: Path, settings: dict[str, Any], device: str | None, say: Say) -> str:
    """The device that was asked for, or the one that the run has been on. Raises DeviceError if it cannot be used."""
    before = settings.get("device")
    now = device or before or "cpu"
    try:
        device_module(now)
    except DeviceError as error:
        if device is not None:
            raise
        there = f"minivit train --resume {shell_name(folder)} --device cpu"
        raise DeviceError(f"the run was on this device: {error}; {there} goes on without it") from None
    if before is not None and now != before:
        say(f"note: so far the run was on the {before}; on the {now} its numbers are rounded differently")
    return now


def _same_data(folder: Path, settings: dict[str, Any], data: str | None, bar: bool) -> tuple[Dataset, str]:
    """The data of a run, and where they are. Raises CheckpointError for others, DataError if there are none."""
    place = settings["data"] if data is None else full_name(data)
    elsewhere = f"minivit train --resume {shell_name(folder)} --data FOLDER says where they are now"
    try:
        dataset = load(place, _reading(settings, bar))
    except DataError as error:
        raise DataError(f"{error}; {elsewhere}" if data is None else str(error)) from None
    found = {"data_sha256": fingerprint(dataset.train), "test_sha256": fingerprint(dataset.test)}
    shape = ViTConfig.from_dict(settings["model"]).image_shape
    same = all(settings.get(name, digest) == digest for name, digest in found.items())
    if not same or dataset.train.images.shape[1:] != shape:
        raise CheckpointError(f"{folder}: the data in {place} are not those it was started with; {elsewhere}")
    return dataset, place


def _reading(settings: dict[str, Any], bar: bool) -> Reading:
    """How the run's pictures were read when it began."""
    made, channels = settings.get("preprocessing"), ViTConfig.from_dict(settings["model"]).channels
    skip = settings.get("skip_unreadable", False)
    return Reading(Preprocessing.from_dict(made) if made else None, channels, None, skip, bar)
