"""What each command does: call the part of minivit that does the work, and print what it returns."""

import argparse
import dataclasses
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .. import insight, weights
from ..config import ViTConfig
from ..data import fetch_mnist, load, split_validation
from ..errors import ConfigError
from ..gradcheck import plot_curve
from ..gradcheck import run as run_checks
from ..learn.explain import explain as derivations
from ..learn.walk import walk as walk_through
from ..parallel import WorkerPool, keep_freed_memory
from ..preprocess import Preprocessing, check_batch, ground_of, read_picture
from ..run import Run, load_run, of_minivit, overlap, resume_run, start_run
from ..run.folder import PICTURES
from ..run.overfit import overfit
from ..run.pictures import save_confusion, save_pictures
from ..train import RECIPES, Recipe, TrainConfig, probabilities
from ..train.evaluate import evaluate as measure
from .tables import class_table, confusion_table, result_line, tta_line

DEFAULT_DATA = "mnist5k"


def train(arguments: argparse.Namespace) -> None:
    settings = _settings(ViTConfig, arguments), _settings(TrainConfig, arguments)
    recipe = RECIPES[arguments.recipe] if arguments.recipe else Recipe("the defaults")
    model_settings, train_settings = {**recipe.model, **settings[0]}, {**recipe.train, **settings[1]}
    data, out, device = arguments.data or DEFAULT_DATA, arguments.out, arguments.device
    if arguments.resume is not None:
        others = (
            arguments.recipe,
            arguments.data,
            out,
            arguments.overwrite,
            arguments.overfit_batch,
            arguments.init,
            arguments.pixels,
        )
        if any(settings) or any(others):
            raise ConfigError("--resume continues with the settings the run was started with: give no others beside it")
        run = resume_run(arguments.resume, device)
    elif arguments.overfit_batch:
        return overfit(data, model_settings, train_settings, device)
    else:
        config = TrainConfig(**train_settings)
        run = start_run(
            data, out, model_settings, config, device, arguments.overwrite, arguments.init, arguments.pixels
        )
    try:
        drawn = all((run.folder / name).exists() for name in PICTURES) or save_pictures(run.folder)
        note = "" if drawn else " (pip install minivit[viz] also draws its curves and mistakes)"
    except OSError as error:
        note = f" (its pictures cannot be written: {error.strerror})"
    print(f"\nthe run is in {run.folder}{note}; next:")
    name = shlex.quote(str(run.folder))
    print(f"  minivit eval {name}                per class, and the confusion matrix")
    print(f"  minivit predict {name} digit.png   a photo or drawing of your own")
    print(f"  minivit info {name}                what the model is made of")
    assert run.result is not None
    if run.result.get("tta"):
        print(tta_line(run.result))
    print(result_line(run.result))


def evaluate(arguments: argparse.Namespace) -> None:
    run = _load(arguments)
    if arguments.out and not Path(arguments.out).parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {Path(arguments.out).parent} to draw in: make it, or choose another"
        )
    name = arguments.data or run.settings.get("data", DEFAULT_DATA)
    dataset = load(name)
    names = [run.model.config.class_name(k) for k in range(run.model.config.classes or 0)]
    validation = run.settings.get("train", {}).get("validation")
    training, valid = split_validation(dataset.train, validation)
    split = {"test": dataset.test, "valid": valid, "train": training}[arguments.split]
    if not len(split.labels):
        raise ConfigError(f"{arguments.run} held no images out for validation: choose another --split")
    check_batch(split.images, split.labels, run.model.config)
    _warn_of_other_ground(run, split.images)
    seen = overlap(run, split)
    keep_freed_memory()
    tta = _tta(run, arguments)
    result = measure(run.model, split, WorkerPool(arguments.threads), tta)
    print(class_table(result, names), confusion_table(result, names), sep="\n\n", end="\n\n")
    if seen:
        print(f"warning: {seen} of these {result.total} images were in the run's training set", file=sys.stderr)
    if seen is None:
        print("warning: the run's training data are not here to compare with these", file=sys.stderr)
    print(
        f"{name} {arguments.split}: accuracy {100 * result.accuracy:.2f} % ({result.correct} of {result.total}), "
        f"loss {result.loss:.4f}" + (f", averaged over each image and {tta} augmented copies" if tta else "")
    )
    if arguments.out:
        save_confusion(result.confusion, Path(arguments.out), names)
        print(f"the confusion matrix is drawn in {arguments.out}")


def predict(arguments: argparse.Namespace) -> None:
    run = _load(arguments)
    config = run.model.config
    preprocessing = run.model.preprocessing or Preprocessing.default(config)
    pictures = np.stack([read_picture(path, config.channels, preprocessing) for path in arguments.images])
    shares = probabilities(run.model, pictures, WorkerPool(arguments.threads), _tta(run, arguments))
    for path, row in zip(arguments.images, shares):
        best = sorted(range(len(row)), key=lambda k: -row[k])[:3]
        guesses = [f"{config.class_name(k)} ({100 * row[k]:.1f} %)" for k in best]
        print(f"{path}: {guesses[0]}, then {' and '.join(guesses[1:])}" if len(best) > 1 else f"{path}: {guesses[0]}")


def info(arguments: argparse.Namespace) -> None:
    if not of_minivit(arguments.run):
        print(weights.report(weights.describe(arguments.run, weights.Answers(**_answers(arguments)))))
        return
    run = _load(arguments)
    params = run.model.params
    width = max(map(len, params))
    print(f"{'parameter':<{width}}  {'shape':<14}{'values':>9}")
    for name, value in params.items():
        print(f"{name:<{width}}  {str(value.shape):<14}{value.size:>9,}")
    print(f"{'total':<{width}}  {'':<14}{params.flat.size:>9,}  ({params.flat.nbytes:,} bytes, {params.flat.dtype})\n")
    for name, value in run.model.config.to_dict().items():
        print(f"{name:<18}{value}")
    if run.model.preprocessing is not None:
        made = run.model.preprocessing
        print(f"{'preprocessing':<18}rule {made.rule}, {made.ground} ground, {made.interpolation} interpolation")
    if run.result:
        print(f"\ntrained on {run.result['data']}, seed {run.result['seed']}: {result_line(run.result)}")


def convert(arguments: argparse.Namespace) -> None:
    model, licence = _load(arguments).model, None
    if not of_minivit(arguments.run):
        description = weights.describe(arguments.run, weights.Answers(**_answers(arguments)))
        licence = description.licence
        if description.plan.unused:
            print(f"not used and not written: {', '.join(weights.grouped(description.plan.unused))}")
    notes = weights.convert(model.params, model.config, model.preprocessing, arguments.out, arguments.to, licence)
    for note in notes:
        print(f"note: {note}")
    print(f"written to {arguments.out}: {model.params.flat.size:,} values, for {arguments.to}")


def data(arguments: argparse.Namespace) -> None:
    print(f"MNIST is verified and ready in {fetch_mnist(arguments.mirror)}")


def gradcheck(arguments: argparse.Namespace) -> int:
    if arguments.plot:
        print(plot_curve(arguments.plot))
        return 0
    results = run_checks(arguments.op, arguments.method, progress=sys.stderr.isatty())
    print(results.to_json() if arguments.json else results)
    return 0 if results.passed else 1


def explain(arguments: argparse.Namespace) -> None:
    print(derivations(arguments.name))


def walk(arguments: argparse.Namespace) -> None:
    print(walk_through(arguments.index))


def attend(arguments: argparse.Namespace) -> None:
    model = _load(arguments).model
    preprocessing = model.preprocessing or Preprocessing.default(model.config)
    picture = read_picture(arguments.image, model.config.channels, preprocessing)
    print(insight.attend(model, picture, arguments.out))


def _answers(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was said about another library's file."""
    return {name: getattr(arguments, name) for name in weights.Answers._fields}


def _load(arguments: argparse.Namespace) -> Run:
    return load_run(arguments.run, getattr(arguments, "device", "cpu"), **_answers(arguments))


def _tta(run: Run, arguments: argparse.Namespace) -> int:
    """Over how many augmented copies to average: what the flag says, else what the run was set to."""
    return run.settings.get("train", {}).get("tta") or 0 if arguments.tta is None else arguments.tta


def _warn_of_other_ground(run: Run, images: np.ndarray) -> None:
    """Say so if images are dark on light and the model's were light on dark, or the other way round."""
    trained, ground = run.model.preprocessing, ground_of(images)
    if trained is not None and ground not in (trained.ground, None):
        print(f"warning: these images have a {ground} ground, the model's a {trained.ground} one", file=sys.stderr)


def _settings(config: type, arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of a config dataclass that were given as flags."""
    return {f.name: getattr(arguments, f.name) for f in dataclasses.fields(config) if hasattr(arguments, f.name)}
