"""A run: one training from start to end, in a folder from which it can be continued, and reading it back."""

import contextlib
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import __version__
from ..backend import device_module
from ..checkpoint import CheckpointError, write_json
from ..config import TrainConfig, ViTConfig
from ..data import DataError, Dataset, Split, full_name, load, split_validation
from ..data.mnist import find_mnist
from ..train.nonfinite import first_not_finite
from ..train.evaluate import evaluate
from .folder import STATE, Interrupted, add_metrics, go_on, holding, new_folder, read_result, read_settings, tidy
from ..preprocess.arrays import config_for
from .display import Display, stop_on_signals
from .state import load_state, save_state
from ..train.trainer import NotFinite, Trainer, TrainingError, fit, steps_per_epoch
from ..vit import ViT

PRETRAINED = Path(__file__).parent / "pretrained"


class Run(NamedTuple):
    """A run read back from its folder."""

    folder: Path
    model: ViT
    settings: dict[str, Any]  # config.json
    result: dict[str, Any] | None  # result.json; None if training has not ended


def start_run(
    data: str,
    out: str | None,
    model_settings: dict[str, Any],
    config: TrainConfig,
    device: str = "cpu",
    overwrite: bool = False,
) -> Run:
    """Train a model on a data set from start to end: what `minivit train` does. Prints as it goes.

    data: "mnist5k", "mnist" or a folder of IDX files; out: the run's folder; model_settings: ViTConfig's fields, but
    for those the data decide (image size, channels, classes, pixel statistics).
    Raises Interrupted after SIGINT or SIGTERM, TrainingError for a loss that is not finite, FileExistsError if `out`
    holds a run already and `overwrite` is false, OSError if it cannot be written.
    """
    device_module(device)  # a GPU that cannot be used is refused before there is a folder
    dataset = load(data)
    train, _ = split_validation(dataset.train, config.validation)
    model_config = config_for(train.images, dataset.classes, model_settings)
    folder = new_folder(data, out, overwrite)
    settings = {
        "minivit": __version__,
        "data": full_name(data),
        "data_sha256": _fingerprint(dataset.train),
        "model": model_config.to_dict(),
        "train": config.to_dict(),
    }
    write_json(folder / "config.json", settings)
    with holding(folder):
        return _train(folder, settings, dataset, device)


def resume_run(path: str, device: str = "cpu") -> Run:
    """Continue a run that was interrupted, from its last save: what `minivit train --resume` does. It ends with the
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
    dataset = load(settings["data"])
    if _fingerprint(dataset.train) != settings["data_sha256"]:
        raise CheckpointError(f"{folder}: the data in {settings['data']} are not those it was started with")
    with holding(folder):
        return _train(folder, settings, dataset, device)


def load_run(path: str | Path, device: str = "cpu") -> Run:
    """Read a run from its folder, from the path of its model.safetensors, or, for the word "pretrained", the run that
    comes with minivit.

    Raises CheckpointError, in one line, if there is no trained model or a file of the run is damaged.
    """
    found = PRETRAINED if path == "pretrained" else Path(path)
    folder = found.parent if found.is_file() else found
    model_file = found if found.is_file() else folder / "model.safetensors"
    if not model_file.exists():
        advice = go_on(folder) if (folder / "config.json").exists() else "train one with minivit train"
        raise CheckpointError(f"{path}: there is no trained model here; {advice}")
    model = ViT.load(model_file, device)
    return Run(folder, model, read_settings(folder) or {}, read_result(folder))


def overlap(run: Run, split: Split) -> int | None:
    """How many images of a split (n, C, Sh, Sw) the run was trained on, compared pixel by pixel; None if the run's
    data are not on this machine."""
    name, config = run.settings.get("data"), run.settings.get("train", {})
    if name is None or (name == "mnist" and find_mnist() is None):
        return None
    try:
        train, _ = split_validation(load(name).train, config.get("validation"))
    except DataError:
        return None
    trained = {image.tobytes() for image in train.images}
    return sum(image.tobytes() in trained for image in split.images)


def result_line(result: dict[str, Any]) -> str:
    """The one line that a run ends with."""
    return (
        f"test accuracy {100 * result['test_accuracy']:.2f} % ({result['test_correct']} of {result['test_total']}), "
        f"{result['parameters']} parameters, trained in {result['train_seconds']:.1f} s"
    )


def views_line(result: dict[str, Any]) -> str:
    """What a run with views says before its result."""
    return (
        f"the test averages over each image and {result['views']} moved copies of it; "
        f"of the images alone {100 * result['plain_accuracy']:.2f} % are right"
    )


def _train(folder: Path, settings: dict[str, Any], dataset: Dataset, device: str) -> Run:
    """Train from the last save, or from the beginning, to the end."""
    started = time.perf_counter()
    config = TrainConfig(**settings["train"])
    train, valid = split_validation(dataset.train, config.validation)
    model = ViT(ViTConfig.from_dict(settings["model"]), config.seed, device=device)
    epochs = config.epochs_for(len(train.labels))
    epoch_steps = steps_per_epoch(config, train)
    trainer = Trainer(model, config, epochs * epoch_steps)
    progress, metrics, seconds = load_state(folder / STATE, settings, trainer)
    tidy(folder, metrics)
    print(
        f"run {folder}: {model.params.flat.size} parameters, {epochs} epochs of {len(train.labels)} images "
        f"({len(valid.labels)} more for validation), {trainer.workers.threads} threads"
        + (f"; going on at step {trainer.state.step} of {trainer.total_steps}" if trainer.state.step else ""),
        flush=True,
    )

    def save() -> None:
        spent = seconds + time.perf_counter() - started
        save_state(folder / STATE, settings, trainer, progress, metrics, spent)

    display = Display(trainer, epochs, len(train.labels))
    with display, stop_on_signals() as stop, _explained(trainer, folder):
        for step, report in fit(trainer, train, valid, epochs, progress):
            display.step(step)
            if report:
                metrics.append(report._asdict())
                add_metrics(folder, metrics[-1])
            stopping = bool(stop)
            if stopping or trainer.state.step % (config.save_every or epoch_steps) == 0:
                save()
            if report:
                display.report(report)
            if stopping:
                reached = f"step {trainer.state.step} of {trainer.total_steps}"
                raise Interrupted(f"stopped after {reached}, everything is saved; {go_on(folder)}")
    trained = time.perf_counter()

    final = trainer.averaged_model()
    final.save(folder / "model.safetensors")
    test = plain = evaluate(final, dataset.test, trainer.workers)
    if config.views:
        test = evaluate(final, dataset.test, trainer.workers, config.views)
    result = {
        "test_accuracy": test.accuracy,
        "test_correct": test.correct,
        "test_total": test.total,
        "test_loss": test.loss,
        "views": config.views,
        "plain_accuracy": plain.accuracy,
        "test_confusion": [" ".join(map(str, row)) for row in test.confusion],  # a line for each true class
        "parameters": int(model.params.flat.size),
        "train_seconds": round(seconds + trained - started, 2),
        "wall_seconds": round(seconds + time.perf_counter() - started, 2),
        "seed": config.seed,
        "data": settings["data"],
    }
    write_json(folder / "result.json", result)
    (folder / STATE).unlink(missing_ok=True)
    return Run(folder, final, settings, result)


@contextlib.contextmanager
def _explained(trainer: Trainer, folder: Path) -> Iterator[None]:
    """Say more about a loss that is not finite: where it came from, and what is left of the run."""
    try:
        yield
    except NotFinite as error:
        place = first_not_finite(trainer, error.images, error.labels)
        raise TrainingError(
            f"{error}: {place}. What was saved in {folder} before is kept; "
            "start again with a lower --learning-rate or a smaller --clip-norm"
        ) from None


def _fingerprint(split: Split) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(split.images))
    digest.update(np.ascontiguousarray(split.labels))
    return digest.hexdigest()
