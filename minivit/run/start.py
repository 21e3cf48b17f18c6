"""A run: one training from start to end, in a folder from which it can be resumed."""

import contextlib
import hashlib
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import __version__
from ..atomic import write_json
from ..backend import device_module, to_device
from ..config import ViTConfig
from ..data import Split, full_name, load, split_validation
from ..errors import CheckpointError, ConfigError, TrainingError
from ..parallel import keep_freed_memory
from ..preprocess import Preprocessing
from ..train import NotFinite, TrainConfig, Trainer, first_not_finite, fit, steps_per_epoch
from ..train.evaluate import evaluate
from ..vit import ViT
from .display import Display
from .folder import (
    FORMAT,
    STATE,
    Interrupted,
    add_metrics,
    locked,
    new_folder,
    read_settings,
    resume_hint,
    rewind_to_last_save,
)
from .load import Run, load_run, of_minivit
from .settings import config_for
from .signals import stop_on_signals
from .state import load_state, save_state


class _Parts(NamedTuple):
    """The images of a run."""

    train: Split
    valid: Split
    test: Split


def start_run(
    data: str,
    out: str | None,
    model_settings: dict[str, Any],
    config: TrainConfig,
    device: str = "cpu",
    overwrite: bool = False,
    init: str | None = None,
    pixels: str | None = None,
) -> Run:
    """Train a model on a data set from start to end: what `minivit train` does. Prints as it goes.

    data: "mnist5k", "mnist" or a folder of IDX files; out: the run's folder; model_settings: ViTConfig's fields, but
    for those that the data decide (image size, channels, classes, pixel statistics). init: a run, or a model's file,
    whose weights to start from instead of random ones; its config is taken over, and `model_settings` may change in it
    what changes no shape (the dropouts, for example). pixels: the normalisation, where `init` is another library's file
    that does not tell it.
    Raises Interrupted after SIGINT or SIGTERM, TrainingError for a loss that is not finite, FileExistsError if `out`
    holds a run already and `overwrite` is false, OSError if it cannot be written, ConfigError if the data or the
    settings do not fit the model of `init`.
    """
    device_module(device)  # a GPU that cannot be used is refused before there is a folder
    dataset = load(data)
    train, valid = split_validation(dataset.train, config.validation)
    parts = _Parts(train, valid, dataset.test)
    if init is None:
        preprocessing = Preprocessing.of_images(train.images)
        model_config = config_for(train.images, dataset.classes, model_settings)
        model = ViT(model_config, config.seed, device=device, preprocessing=preprocessing)
    else:
        model = _initialised(init, train.images, dataset.classes, model_settings, device, pixels)
    folder = new_folder(data, out, overwrite)
    settings = {
        "format": FORMAT,
        "minivit": __version__,
        "data": full_name(data),
        "data_sha256": _fingerprint(dataset.train),
        "init": init,
        "model": model.config.to_dict(),
        "preprocessing": model.preprocessing.to_dict() if model.preprocessing else None,
        "train": config.to_dict(),
    }
    write_json(folder / "config.json", settings)
    with locked(folder):
        return _train(folder, settings, parts, model, config)


def resume_run(path: str, device: str = "cpu") -> Run:
    """Resume a run that was interrupted, from its last save: what `minivit train --resume` does. It ends with the
    same bytes in model.safetensors as if it had never stopped. A run that has ended is only read.

    Raises CheckpointError if there is no run, or if its state is damaged or of other settings; else as `start_run`.
    """
    folder = Path(path)
    settings = read_settings(folder)
    if settings is None:
        raise CheckpointError(f"{folder}: there is no config.json in it, so no run to resume; start one with --out")
    if (folder / "result.json").exists() and (folder / "model.safetensors").exists():
        print(f"run {folder} has ended already")
        return load_run(folder, device)
    with locked(folder):
        dataset = load(settings["data"])
        if _fingerprint(dataset.train) != settings["data_sha256"]:
            raise CheckpointError(f"{folder}: the data in {settings['data']} are not those it was started with")
        config = TrainConfig.from_dict(settings["train"])
        parts = _Parts(*split_validation(dataset.train, config.validation), dataset.test)
        init = settings.get("init")
        if init is not None and not (folder / STATE).exists():
            known = "none"  # the settings of the model hold the normalisation that was used
            model = _initialised(init, parts.train.images, dataset.classes, settings["model"], device, known)
        else:  # what is random here is replaced by the state, or is where the run began
            made = settings.get("preprocessing")
            preprocessing = Preprocessing.from_dict(made) if made else Preprocessing.of_images(parts.train.images)
            model_config = ViTConfig.from_dict(settings["model"])
            model = ViT(model_config, config.seed, device=device, preprocessing=preprocessing)
        return _train(folder, settings, parts, model, config)


def _initialised(
    init: str, images: np.ndarray, classes: int, model_settings: dict[str, Any], device: str, pixels: str | None
) -> ViT:
    """The model of a run, or of another library's file, with these settings changed, for images (n, C, Sh, Sw) and a
    number of classes."""
    if of_minivit(init):
        model = load_run(init, device).model
    else:
        told = {name: model_settings[name] for name in ("gelu", "norm_eps", "heads") if name in model_settings}
        model = load_run(init, device, **told, pixels=pixels).model
    if images.shape[1:] != model.config.image_shape or classes != model.config.classes:
        raise ConfigError(
            f"--init {init} reads images of {model.config.image_shape} (channels, height, width) in "
            f"{model.config.classes} classes, the data have {images.shape[1:]} in {classes}: "
            "choose another model, or train without --init"
        )
    config = ViTConfig.from_dict({**model.config.to_dict(), **model_settings})
    before = model.params
    changed = ViT(config, device=device, preprocessing=model.preprocessing or Preprocessing.of_images(images))
    if changed.params.shapes != before.shapes:
        differ = sorted({*changed.params.shapes.items()} ^ {*before.shapes.items()})
        raise ConfigError(
            f"the model settings do not fit --init {init}: {differ[0][0]} has another shape there; leave them out"
        )
    changed.params.flat[...] = to_device(before.flat, device)
    return changed


def _train(folder: Path, settings: dict[str, Any], parts: _Parts, model: ViT, config: TrainConfig) -> Run:
    """Train from the last save, or from the beginning, to the end."""
    started = time.perf_counter()
    if config.keep_memory:
        keep_freed_memory()
    train, valid, test_images = parts
    epochs = config.epochs_for(len(train.labels))
    epoch_steps = steps_per_epoch(config.batch_size, len(train.labels))
    trainer = Trainer(model, config, epochs * epoch_steps)
    sums, metrics, seconds = load_state(folder / STATE, settings, trainer)
    rewind_to_last_save(folder, metrics)
    print(
        f"run {folder}: {model.params.flat.size} parameters, {epochs} epochs of {len(train.labels)} images "
        f"({len(valid.labels)} more for validation), {trainer.pool.threads} threads"
        + (f"; resumed at step {trainer.state.step} of {trainer.total_steps}" if trainer.state.step else ""),
        flush=True,
    )

    def save() -> None:
        spent = seconds + time.perf_counter() - started
        save_state(folder / STATE, settings, trainer, sums, metrics, spent)

    display = Display(trainer, epochs, epoch_steps, len(train.labels))
    steps = fit(trainer, train, valid, epochs, sums)
    try:
        with display, stop_on_signals() as stop, contextlib.closing(steps):
            for result, report in steps:
                display.step(result)
                if report:
                    metrics.append(report._asdict())
                    add_metrics(folder, metrics[-1])
                stopping = stop.is_set()
                if stopping or trainer.state.step % (config.save_every or epoch_steps) == 0:
                    save()
                if report:
                    display.report(report)
                if stopping:
                    reached = f"step {trainer.state.step} of {trainer.total_steps}"
                    raise Interrupted(
                        f"stopped after {reached}, everything is saved; {resume_hint(folder)}", stop.signal
                    )
    except NotFinite as error:
        place = first_not_finite(trainer, error.images, error.labels)
        raise TrainingError(
            f"{error}: {place}. What was saved in {folder} before is kept; "
            "start again with a lower --learning-rate or a smaller --clip-norm"
        ) from None
    trained = time.perf_counter()

    final = trainer.averaged_model()
    final.save(folder / "model.safetensors")
    test = plain = evaluate(final, test_images, trainer.pool)
    if config.tta:
        test = evaluate(final, test_images, trainer.pool, config.tta)
    result_values = {
        "format": FORMAT,
        "test_accuracy": test.accuracy,
        "test_correct": test.correct,
        "test_total": test.total,
        "test_loss": test.loss,
        "tta": config.tta,
        "plain_accuracy": plain.accuracy,
        "test_confusion": [" ".join(map(str, row)) for row in test.confusion],  # a line for each true class
        "parameters": int(model.params.flat.size),
        "train_seconds": round(seconds + trained - started, 2),
        "wall_seconds": round(seconds + time.perf_counter() - started, 2),
        "seed": config.seed,
        "data": settings["data"],
    }
    write_json(folder / "result.json", result_values)
    (folder / STATE).unlink(missing_ok=True)
    return Run(folder, final, settings, result_values)


def _fingerprint(split: Split) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(split.images))
    digest.update(np.ascontiguousarray(split.labels))
    return digest.hexdigest()
