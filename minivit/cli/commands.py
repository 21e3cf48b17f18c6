"""What each command does: call the part of minivit that does the work, and print what it returns."""

import argparse
import dataclasses
import glob
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import insight, weights
from ..config import ViTConfig
from ..data import Split, fetch_mnist, full_name, sample
from ..errors import ConfigError, DataError
from ..gradcheck import plot_curve, run_model
from ..gradcheck import run as run_checks
from ..learn.explain import explain as derivations
from ..learn.walk import walk as walk_through
from ..machine import keep_freed_memory
from ..parallel import WorkerPool
from ..plotting import check_picture_path
from ..preprocess import Preprocessing, ground_of, read_picture
from ..run import Run, evaluation_split, load_run, of_minivit, overlap, resume_run, start_run
from ..run.folder import shell_name
from ..run.overfit import overfit
from ..run.pictures import draw_pictures, save_confusion
from ..train import RECIPES, Recipe, TrainConfig, probabilities
from ..train.evaluate import evaluate as measure
from ..weights.onnx import export_onnx
from .output import complain, escaped
from .tables import class_table, confusion_table, result_line, tta_line

DEFAULT_DATA = "mnist5k"


def train(arguments: argparse.Namespace) -> None:
    settings = _settings(ViTConfig, arguments), _settings(TrainConfig, arguments)
    recipe = RECIPES[arguments.recipe] if arguments.recipe else Recipe("the defaults")
    model_settings, train_settings = {**recipe.model, **settings[0]}, {**recipe.train, **settings[1]}
    data = DEFAULT_DATA if arguments.data is None else arguments.data  # an empty name is a mistake
    device = arguments.device or "cpu"
    if arguments.resume is not None:
        _refuse_beside(arguments, "--resume", ("out", "overwrite", "init", "pixels", "overfit_batch"))
        run = resume_run(
            arguments.resume, arguments.device, data=arguments.data, model_settings=model_settings,
            train_settings=train_settings, say=_say, bar=True,
        )  # fmt: skip
    elif arguments.overfit_batch:
        _refuse_beside(arguments, "--overfit-batch", ("out", "overwrite", "init", "pixels"))
        return overfit(data, model_settings, train_settings, device, say=_say)
    else:
        config = TrainConfig(**train_settings)
        out, overwrite, init = arguments.out, arguments.overwrite, arguments.init
        pixels = arguments.pixels
        run = start_run(data, out, model_settings, config, device, overwrite, init, pixels=pixels, say=_say, bar=True)
    note = draw_pictures(run.folder)
    print(f"\nthe run is in {run.folder}{f' ({note})' if note else ''}; next:")
    name = shell_name(run.folder)
    print(f"  minivit eval {name}                per class, and the confusion matrix")
    print(f"  minivit predict {name} digit.png   a photo or drawing of your own")
    print(f"  minivit info {name}                what the model is made of")
    assert run.result is not None
    if run.result.get("tta"):
        print(tta_line(run.result))
    print(result_line(run.result))


def evaluate(arguments: argparse.Namespace) -> None:
    run = _load(arguments)
    if arguments.out is not None:
        check_picture_path(arguments.out)
    own = run.settings.get("data", DEFAULT_DATA)
    name = own if arguments.data is None else arguments.data
    split = evaluation_split(run, name, arguments.split)
    names = [run.model.config.class_name(k) for k in range(run.model.config.classes or 0)]
    _warn_of_other_ground(run, sample(split.images))
    if arguments.split != "train" or full_name(name) != own:
        _warn_of_overlap(run, split)
    keep_freed_memory()
    tta, kind, mirror = _tta(run, arguments)
    result = measure(run.model, split, WorkerPool(arguments.threads), tta, kind, mirror)
    print(class_table(result, names), confusion_table(result, names), sep="\n\n", end="\n\n")
    print(
        f"{escaped(name)} {arguments.split}: accuracy {100 * result.accuracy:.2f} % ({result.correct} of "
        f"{result.total}), loss {result.loss:.4f}"
        + (f", averaged over each image and {tta} augmented copies" if tta else "")
    )
    if arguments.out is not None:
        save_confusion(result.confusion, Path(arguments.out), names)
        print(f"the confusion matrix is drawn in {escaped(arguments.out)}")


def predict(arguments: argparse.Namespace) -> int:
    run = _load(arguments)
    config = run.model.config
    preprocessing = run.model.preprocessing or Preprocessing.default(config)
    paths, pictures, status = [], [], 0
    for path in _expanded(arguments.images):
        try:
            pictures.append(read_picture(path, config.channels, preprocessing))
            paths.append(escaped(path))
        except DataError as error:  # the others are predicted all the same
            complain(error)
            status = 2
    if not pictures:
        return status
    shares = probabilities(run.model, np.stack(pictures), WorkerPool(arguments.threads), *_tta(run, arguments))
    for path, row in zip(paths, shares):
        best = sorted(range(len(row)), key=lambda k: -row[k])[: 3 if config.class_names is None else 5]
        guesses = [f"{config.class_name(k)} ({100 * row[k]:.1f} %)" for k in best]
        print(f"{path}: {guesses[0]}, then {' and '.join(guesses[1:])}" if len(best) > 1 else f"{path}: {guesses[0]}")
    return status


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
    print(f"{'preprocessing':<18}{run.model.preprocessing or 'not told'}")
    if run.result:
        print(f"\ntrained on {run.result['data']}, seed {run.result['seed']}: {result_line(run.result)}")


def convert(arguments: argparse.Namespace) -> None:
    if arguments.out.endswith(".onnx") == (arguments.to is not None):
        raise ConfigError(f"{arguments.out}: a folder needs --to {'|'.join(weights.TARGETS)}, a file .onnx takes none")
    model, licence = _load(arguments).model, None
    if not of_minivit(arguments.run):
        description = weights.describe(arguments.run, weights.Answers(**_answers(arguments)))
        licence = description.licence
        if description.plan.unused:
            print(f"not used and not written: {', '.join(weights.grouped(description.plan.unused))}")
    if arguments.to is None:
        export_onnx(model, arguments.out)
        print(f"written to {escaped(arguments.out)}: {model.params.flat.size:,} values, for ONNX")
        return
    notes = weights.convert(model.params, model.config, model.preprocessing, arguments.out, arguments.to, licence)
    for note in notes:
        print(f"note: {note}")
    print(f"written to {escaped(arguments.out)}: {model.params.flat.size:,} values, for {arguments.to}")


def data(arguments: argparse.Namespace) -> None:
    print(f"MNIST is verified and ready in {fetch_mnist(arguments.mirror)}")


def gradcheck(arguments: argparse.Namespace) -> int:
    if arguments.plot is not None:
        print(plot_curve(arguments.plot))
        return 0
    if arguments.model and arguments.op:
        raise ConfigError("--op chooses among minivit's own operations, --model is checked whole: give one of them")
    if arguments.model:
        results = run_model(load_run(arguments.model, **_answers(arguments)).model, arguments.model, arguments.method)
    else:
        results = run_checks(arguments.op, arguments.method, progress=sys.stderr.isatty())
    print(results.to_json() if arguments.json else results)
    return 0 if results.passed else 1


def explain(arguments: argparse.Namespace) -> None:
    print(derivations(arguments.name))


def walk(arguments: argparse.Namespace) -> None:
    model = load_run(arguments.model, **_answers(arguments)).model if arguments.model else None
    print(walk_through(arguments.index, model, arguments.block))


def attend(arguments: argparse.Namespace) -> None:
    model = _load(arguments).model
    preprocessing = model.preprocessing or Preprocessing.default(model.config)
    picture = read_picture(arguments.image, model.config.channels, preprocessing)
    if arguments.out is not None and os.path.exists(arguments.out) and os.path.samefile(arguments.image, arguments.out):
        raise ConfigError(f"--out {arguments.out} is the picture to look at, and would be lost: choose another name")
    print(insight.attend(model, picture, arguments.out))


def _answers(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was said about another library's file."""
    return {name: getattr(arguments, name) for name in weights.Answers._fields}


def _load(arguments: argparse.Namespace) -> Run:
    return load_run(arguments.run, getattr(arguments, "device", "cpu"), **_answers(arguments))


def _expanded(names: Sequence[str]) -> Iterator[str]:
    """The names, and the files that patterns like *.png match where the shell leaves them as they are, on Windows."""
    for name in names:
        matching = [] if sys.platform != "win32" or os.path.exists(name) else sorted(glob.glob(name))
        yield from matching or [name]


def _tta(run: Run, arguments: argparse.Namespace) -> tuple[int, str, bool]:
    """Over how many augmented copies to average: what the flag says, else what the run was set to; and their kind and
    whether they are mirrored, as in its training or, where there are no settings, as its pictures are made."""
    train = run.settings.get("train", {})
    count = train.get("tta") or 0 if arguments.tta is None else arguments.tta
    made = run.model.preprocessing or Preprocessing.default(run.model.config)
    kind = train.get("augmentation") or ("digits" if made.rule == "digit" else "photos")
    if count and kind == "none":
        complain("trained without augmentation, so there are no augmented copies to average over", "warning")
        count = 0
    return count, kind, bool(train.get("mirror"))


def _warn_of_other_ground(run: Run, images: np.ndarray) -> None:
    """Say so if images are dark on light and the model's were light on dark, or the other way round."""
    trained, ground = run.model.preprocessing, ground_of(images)
    if trained is not None and ground not in (trained.ground, None):
        complain(f"these images have a {ground} ground, the model's a {trained.ground} one", "warning")


def _warn_of_overlap(run: Run, split: Split) -> None:
    """Say so if a run was trained on images of this split, or if that cannot be told."""
    seen = overlap(run, split)
    if seen is None:
        complain("the run's training data are not here to compare with these", "warning")
    elif seen:
        complain(f"{seen} of these {len(split.labels)} images were in the run's training set", "warning")


def _settings(config: type, arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of a config dataclass that were given as flags."""
    return {f.name: getattr(arguments, f.name) for f in dataclasses.fields(config) if hasattr(arguments, f.name)}


def _refuse_beside(arguments: argparse.Namespace, flag: str, names: tuple[str, ...]) -> None:
    """Raise ConfigError, naming them, for flags that would be ignored beside another."""
    found = [f"--{name.replace('_', '-')}" for name in names if getattr(arguments, name) not in (None, False)]
    if found:
        raise ConfigError(f"{flag} has no use for {' and '.join(found)}: leave out one or the other")


def _say(line: str) -> None:
    print(line, flush=True)
