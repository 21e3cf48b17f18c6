"""A run: a folder that holds everything one training produced.

config.json (written first), metrics.jsonl (a line for each epoch), model.safetensors (the last weights),
result.json (written last), and curves.png where matplotlib is installed.
"""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from . import __version__
from .backend import sync
from .checkpoint import CheckpointError, write_json
from .config import ViTConfig
from .data import DataError, Dataset, Split, load, split_validation
from .data.mnist import find_mnist
from .evaluate import Evaluation, evaluate
from .train import EpochReport, StepResult, TrainConfig, Trainer, fit, pixel_statistics
from .vit import ViT


class Interrupted(Exception):
    """Training was stopped by Ctrl-C; the weights so far are saved. The message says where."""


class Run(NamedTuple):
    """A run read back from its folder."""

    folder: Path
    model: ViT
    settings: dict[str, Any]  # config.json
    result: dict[str, Any] | None  # result.json, None if training did not end


def new_folder(data: str, out: str | None) -> Path:
    """The folder for a new run, made: `out`, or the first free runs/<data>-<n>.

    Raises FileExistsError if `out` holds a run already, OSError if it cannot be made.
    """
    if out is None:
        name, n = Path(data).resolve().name if Path(data).is_dir() else data, 1
        while (Path("runs") / f"{name}-{n}").exists():
            n += 1
        out = f"runs/{name}-{n}"
    folder = Path(out)
    if (folder / "config.json").exists():
        raise FileExistsError(f"{folder} holds a run already: choose another --out, or delete it first")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def train_run(data: str, out: str | None, model_settings: dict[str, Any], config: TrainConfig, device: str) -> Run:
    """Train a model on a data set from start to end: what `minivit train` does. Prints as it goes.

    data: "mnist5k", "mnist" or a folder of IDX files; out: the run's folder; model_settings: ViTConfig's fields, but
    for those the data decide (image size, channels, classes, pixel statistics).
    Raises Interrupted on Ctrl-C, after the weights are saved; TrainingError if the loss is not finite.
    """
    started = time.perf_counter()
    dataset = load(data)
    train, valid = split_validation(dataset.train, config.validation)
    model = ViT(_model_config(dataset, train, model_settings), config.seed, device=device)
    epochs = config.epochs_for(len(train.labels))
    batch_size = min(config.batch_size, len(train.labels))
    steps = epochs * (len(train.labels) // batch_size)
    trainer = Trainer(model, config, steps)

    folder = new_folder(data, out)
    settings = {
        "minivit": __version__,
        "data": str(Path(data).resolve()) if Path(data).is_dir() else data,
        "model": model.config.to_dict(),
        "train": config.to_dict(),
    }
    write_json(folder / "config.json", settings)
    print(f"run {folder}: {model.params.flat.size} parameters, {epochs} epochs of {len(train.labels)} images, "
          f"{len(valid.labels)} for validation, {trainer.workers.threads} threads")  # fmt: skip

    reports: list[EpochReport] = []
    train_start = time.perf_counter()
    with tqdm(total=steps * batch_size, unit=" images", unit_scale=True, disable=None, dynamic_ncols=True) as bar:

        def on_step(images: int, result: StepResult) -> None:
            if bar.update(images):  # true when the bar was drawn: only then is the loss read
                accuracy = reports[-1].valid_accuracy if reports else None
                checked = f" valid {100 * accuracy:.1f} %" if accuracy is not None else ""
                bar.set_postfix_str(f"loss {float(result.loss):.3f}{checked}", refresh=False)

        def on_epoch(report: EpochReport) -> None:
            reports.append(report)
            with open(folder / "metrics.jsonl", "a") as file:
                file.write(json.dumps(report._asdict()) + "\n")
            bar.set_description_str(f"epoch {report.epoch}/{epochs}", refresh=False)
            if bar.disable:
                print(_line(report, epochs), flush=True)

        try:
            fit(trainer, train, valid, epochs, on_step, on_epoch)
        except KeyboardInterrupt:
            sync(model.params.flat)
            model.save(folder / "model.safetensors")
            raise Interrupted(f"stopped at step {trainer.state.step} of {steps}; "
                              f"the weights so far are in {folder / 'model.safetensors'}") from None  # fmt: skip
    train_seconds = time.perf_counter() - train_start

    model.save(folder / "model.safetensors")
    test = evaluate(model, dataset.test, trainer.workers)
    result = _result(data, model, config, test, train_seconds, time.perf_counter() - started)
    write_json(folder / "result.json", result)
    return Run(folder, model, settings, result)


def result_line(result: dict[str, Any]) -> str:
    """The one line that a run ends with."""
    return (
        f"test accuracy {100 * result['test_accuracy']:.2f} % ({result['test_correct']} of {result['test_total']}), "
        f"{result['parameters']} parameters, trained in {result['train_seconds']:.1f} s"
    )


def load_run(path: str | Path, device: str = "cpu") -> Run:
    """Read a run from its folder, or from the path of its model.safetensors.

    Raises CheckpointError, in one line, if there is no trained model or a file of the run is damaged.
    """
    folder = Path(path)
    if folder.is_file():
        folder = folder.parent if folder.name == "model.safetensors" else folder
    model_file = folder / "model.safetensors" if folder.is_dir() else folder
    if folder.is_dir() and not model_file.exists():
        state = "was not trained to its end" if (folder / "config.json").exists() else "holds no run"
        raise CheckpointError(f"{folder}: {state}, there is no model.safetensors in it")
    model = ViT.load(model_file, device)
    settings = _read_json(folder / "config.json") or {"model": model.config.to_dict()}
    return Run(folder, model, settings, _read_json(folder / "result.json"))


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl; empty if there is none."""
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def overlap(run: Run, split: Split) -> int | None:
    """How many images of a split (n, C, Sh, Sw) the run was trained on, compared pixel by pixel; None if the run's
    data are not on this machine any more."""
    name, count = run.settings.get("data"), run.settings.get("train", {}).get("validation")
    if name is None or (name == "mnist" and find_mnist() is None):
        return None
    try:
        train, _ = split_validation(load(name).train, count)
    except DataError:
        return None
    trained = {image.tobytes() for image in train.images}
    return sum(image.tobytes() in trained for image in split.images)


def _model_config(dataset: Dataset, train: Split, model_settings: dict[str, Any]) -> ViTConfig:
    mean, std = pixel_statistics(train.images)
    _, channels, height, width = train.images.shape
    return ViTConfig(
        **model_settings,
        image_size=(height, width),
        channels=channels,
        classes=dataset.classes,
        pixel_mean=mean,
        pixel_std=std,
    )


def _line(report: EpochReport, epochs: int) -> str:
    checked = "" if report.valid_loss is None or report.valid_accuracy is None else (
        f", valid loss {report.valid_loss:.4f} accuracy {100 * report.valid_accuracy:5.2f} %")  # fmt: skip
    left = report.seconds / report.epoch * (epochs - report.epoch)
    return (
        f"epoch {report.epoch}/{epochs}: loss {report.train_loss:.4f} accuracy {100 * report.train_accuracy:5.2f} %"
        f"{checked}, {report.images_per_second:.0f} images/s, {left:.0f} s left"
    )


def _result(
    data: str, model: ViT, config: TrainConfig, test: Evaluation, train_seconds: float, wall_seconds: float
) -> dict[str, Any]:
    return {
        "test_accuracy": test.accuracy,
        "test_correct": test.correct,
        "test_total": test.total,
        "test_loss": test.loss,
        "parameters": int(model.params.flat.size),
        "train_seconds": round(train_seconds, 2),
        "wall_seconds": round(wall_seconds, 2),
        "seed": config.seed,
        "data": data,
    }


def _read_json(path: Path) -> Any:
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path}: not readable as JSON ({error})") from None
