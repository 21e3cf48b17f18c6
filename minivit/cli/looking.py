"""The commands that look at a trained model: what it is made of, what it knows, where it looks."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import insight, weights
from ..counted import counted
from ..data import Split, full_name, holds_arrays, resized_line
from ..errors import ConfigError
from ..machine import keep_freed_memory
from ..parallel import WorkerPool
from ..pictures import Features, check_features_path, chunks, classes_of, save_features
from ..plotting import check_picture_path
from ..preprocess import Preprocessing, find_pictures, read_picture
from ..run import Run, evaluation_split, of_minivit
from ..run.doubts import other_kind, overlap
from ..run.knn import embed_dataset, neighbour_evaluation
from ..run.mistakes import confident_mistakes, worst_confusions
from ..run.pictures import save_confusion, save_mistakes
from ..train import Evaluation, probabilities
from ..train.augmentation import NO_COPIES, has_copies
from ..train.evaluate import evaluate as measure
from .given import answers, data_at_hand, data_of, expanded, load
from .output import complain, escaped
from .tables import class_table, confusion_list, confusion_table, prediction_line, result_line

MOST_COLUMNS = 50  # classes, of a confusion matrix in a terminal


def evaluate(arguments: argparse.Namespace) -> None:
    for path in (arguments.out, arguments.mistakes):
        if path is not None:
            check_picture_path(path)
    run = load(arguments)
    if arguments.skip_unreadable:
        run = run._replace(settings={**run.settings, "skip_unreadable": True})
    name = data_of(run) if arguments.data is None else arguments.data
    keep_freed_memory()
    ranks = arguments.ranks
    if arguments.knn is not None:
        return None if ranks.rank else _neighbours(run, name, arguments)
    pool = WorkerPool(arguments.threads if ranks.size == 1 else min(arguments.threads, ranks.threads), ranks)
    run.model.config.check_predicts()
    with data_at_hand(run, arguments.data):
        split = evaluation_split(run, name, arguments.split)
    names = [escaped(run.model.config.class_name(k)) for k in range(run.model.config.classes or 0)]
    _warn(run, split, seen=arguments.split == "train" and full_name(name) == run.settings.get("data"))
    tta = _tta(run, arguments)
    result = measure(run.model, split, pool, *tta)
    _show(split, result, names)
    print(
        f"{escaped(name)} {arguments.split}: accuracy {100 * result.accuracy:.2f} % ({result.correct} of "
        f"{result.total}), loss {result.loss:.4f}"
        + (f", averaged over each image and {counted(tta[0], 'augmented copy', 'augmented copies')}" if tta[0] else "")
    )
    if ranks.rank == 0:
        _draw(split, result, names, arguments)


def _neighbours(run: Run, name: str, arguments: argparse.Namespace) -> None:
    """What `eval --knn` prints: the same, of the classifier by the nearest neighbours among the training images."""
    with data_at_hand(run, arguments.data):
        measured = neighbour_evaluation(run, name, arguments.split, arguments.knn, arguments.threads, progress=True)
    result, names = measured.result, [escaped(name) for name in measured.class_names]
    _show(measured.split, result, names)
    print(
        f"{escaped(name)} {arguments.split}: accuracy {100 * result.accuracy:.2f} % ({result.correct} of "
        f"{result.total}) by the {counted(arguments.knn, 'nearest neighbour')} among "
        f"{counted(measured.references, 'training image')}"
    )
    _draw(measured.split, result, names, arguments)


def _show(split: Split, result: Evaluation, names: Sequence[str]) -> None:
    print(class_table(result, names), end="\n\n")
    if len(names) <= MOST_COLUMNS:
        print(confusion_table(result, names), end="\n\n")
    if worst := worst_confusions(split, result):
        print(confusion_list(worst, names), end="\n\n")


def _draw(split: Split, result: Evaluation, names: Sequence[str], arguments: argparse.Namespace) -> None:
    if arguments.out is not None:
        save_confusion(result.confusion, Path(arguments.out), names)
        print(f"the confusion matrix is drawn in {escaped(arguments.out)}")
    if arguments.mistakes is not None:
        if mistakes := confident_mistakes(split, result):
            save_mistakes(mistakes, Path(arguments.mistakes), names)
        drawn = f"the most confident mistakes are drawn in {escaped(arguments.mistakes)}"
        print(drawn if mistakes else "there are no mistakes to draw")


def predict(arguments: argparse.Namespace) -> int:
    run = load(arguments)
    config, status = run.model.config, 0
    config.check_predicts()
    most, pool = 3 if config.class_names is None else 5, WorkerPool(arguments.threads)
    paths, tta = find_pictures(expanded(arguments.images)), _tta(run, arguments)
    shown = sys.stdout is not None and sys.stdout.isatty()  # the lines themselves are the progress there
    for chunk in chunks(run.model, paths, arguments.threads, progress=not shown):
        for error in chunk.errors:  # the others are predicted all the same
            complain(error)
            status = 2
        if not chunk.paths:
            continue
        for path, row in zip(chunk.paths, probabilities(run.model, chunk.images, pool, *tta)):
            best = {config.class_name(int(k)): float(row[k]) for k in np.argsort(-row, kind="stable")[:most]}
            made = {"picture": path, "class": next(iter(best)), "best": best}
            print(json.dumps(made) if arguments.json else prediction_line(path, best), flush=True)
    return status


def embed(arguments: argparse.Namespace) -> int:
    check_features_path(arguments.out)
    run = load(arguments)
    status, names = 0, list(expanded(arguments.images))
    if len(names) == 1 and holds_arrays(names[0]):
        _save(arguments.out, embed_dataset(run, names[0], arguments.threads, progress=True), "image")
        return 0
    paths = find_pictures(names)
    features, read = list[np.ndarray](), list[str]()
    for chunk in chunks(run.model, paths, arguments.threads, progress=True):
        for error in chunk.errors:
            complain(error)
            status = 2
        if chunk.paths:
            read += chunk.paths
            features.append(run.model.embed(chunk.images, arguments.threads))
    if not features:
        return status
    labels, class_names = classes_of(read, [name for name in names if os.path.isdir(name)])
    _save(arguments.out, Features(np.concatenate(features), labels, np.array(read, np.str_), class_names), "picture")
    return status


def _save(out: str, made: Features, what: str) -> None:
    save_features(out, made)
    count, width = made.features.shape
    classes = f" of {counted(len(made.class_names), 'class', 'classes')}" if len(made.class_names) else ""
    are = "is" if count == 1 else "are"
    print(f"{counted(count, what)}{classes}, {counted(width, 'feature')} each, {are} in {escaped(out)}")


def info(arguments: argparse.Namespace) -> None:
    if not of_minivit(arguments.run):
        print(weights.report(weights.describe(arguments.run, weights.Answers(**answers(arguments)))))
        return
    run = load(arguments)
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


def attend(arguments: argparse.Namespace) -> None:
    model = load(arguments).model
    preprocessing = model.preprocessing or Preprocessing.default(model.config)
    picture = read_picture(arguments.image, model.config.channels, preprocessing)
    if arguments.out is not None and os.path.exists(arguments.out) and os.path.samefile(arguments.image, arguments.out):
        raise ConfigError(f"--out {arguments.out} is the picture to look at, and would be lost: choose another name")
    print(insight.attend(model, picture, arguments.out))


def _tta(run: Run, arguments: argparse.Namespace) -> tuple[int, str, bool, float]:
    """Over how many augmented copies to average: what the flag says, else what the run was set to; and their kind,
    whether they are mirrored, and how strong they are, as in its training or, where there are no settings, as its
    pictures are made."""
    train = run.settings.get("train", {})
    count = train.get("tta") or 0 if arguments.tta is None else arguments.tta
    made = run.model.preprocessing or Preprocessing.default(run.model.config)
    kind = train.get("augmentation") or ("digits" if made.rule == "digit" else "photos")
    mirror, strength = bool(train.get("mirror")), train.get("augment", 1.0) or 0.0
    strength = 1.0 if strength == "auto" else strength  # settings that nobody has trained with
    if count and not has_copies(kind, mirror, strength):
        complain(NO_COPIES, "warning")
        count = 0
    return count, kind, mirror, strength


def _warn(run: Run, split: Split, seen: bool) -> None:
    """Say what makes a measurement doubtful. seen: the model was trained on this split, and everybody knows."""
    if note := resized_line(split.images):
        complain(note, "note")
    for line in other_kind(run.model.preprocessing, split.images):
        complain(line, "warning")
    if seen:
        return
    found = overlap(run, split)
    if found is None:
        complain("the run's training data are not here to compare with these", "warning")
    elif found:
        these, were = counted(len(split.labels), "image"), "was" if found == 1 else "were"
        complain(f"{found} of these {these} {were} in the run's training set", "warning")
