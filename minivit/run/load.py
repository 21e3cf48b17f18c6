"""Reading a run back from its folder."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..data import Reading, Split, class_numbers, load_parts
from ..errors import CheckpointError, ConfigError
from ..preprocess import check_pixels
from ..vit import ViT
from ..weights import find_weights, written_by_minivit
from .folder import resume_hint
from .mistakes import Mistake
from .records import is_result_of, is_run, read_result, read_settings

PRETRAINED = Path(__file__).parents[1] / "pretrained"


class Run(NamedTuple):
    """A run read back from its folder."""

    folder: Path
    model: ViT
    settings: dict[str, Any]  # config.json
    result: dict[str, Any] | None  # result.json; None if training has not ended, or if it is of another model
    mistakes: Sequence[Mistake] = ()  # of the test; none unless the run has just ended


def load_run(path: str | Path, device: str = "cpu", **answers: Any) -> Run:
    """Read a run from its folder, from the path of its model.safetensors, or, for the word "pretrained", the run that
    comes with minivit; or the model of another library from its file or folder, which has no settings and no result.

    answers: what `ViT.load` takes by name, image_size for example. Raises CheckpointError, in one line, if there is no
    model or a file is damaged; ConfigError for what has to be said beside another library's file.
    """
    if not of_minivit(path):
        found = find_weights(path)
        return Run(found.parent, ViT.load(found, device=device, **answers), {}, None)
    found = PRETRAINED if path == "pretrained" else Path(path)
    if not os.path.lexists(found):
        raise CheckpointError(f"{path}: no such file or folder; minivit train makes a model, and pretrained is one")
    folder = found.parent if found.is_file() else found
    model_file = found if found.is_file() else folder / "model.safetensors"
    if not os.path.lexists(model_file):
        advice = resume_hint(folder) if (folder / "config.json").exists() else "train one with minivit train"
        raise CheckpointError(f"{path}: there is no trained model here; {advice}")
    model = ViT.load(model_file, device=device, **answers)
    settings, result = read_settings(folder) or {}, read_result(folder)
    if result is not None and not is_result_of(result, settings, model_file):
        result = None
    return Run(folder, model, settings, result)


def of_minivit(path: str | Path) -> bool:
    """Whether what `load_run` takes is a run or a model of minivit's, and not another library's; True also for what
    does not exist, and for a run without a model, so that `load_run` says so."""
    found = PRETRAINED if path == "pretrained" else Path(path)
    if not os.path.lexists(found) or (found.is_dir() and is_run(found)):
        return True
    return written_by_minivit(found)


def evaluation_split(run: Run, data: str, part: str) -> Split:
    """What to evaluate a run on: the part "test", "valid" or "train" of a data set, with the labels as the model's
    class numbers. Only the files of that part are read; "valid" and "train" are split as the run's own images were.

    Raises DataError, in one line, for data that cannot be read or do not fit the model, ConfigError if the run held no
    images out for validation.
    """
    config = run.model.config
    loaded = load_parts(data, "test" if part == "test" else "train", reading_of(run))
    split = loaded.part(part, run.settings.get("train", {}).get("validation"))
    if not len(split.labels):
        raise ConfigError(f"{run.folder} held no images out for validation: choose another --split")
    check_pixels(split.images, config)
    names = [config.class_name(k) for k in range(config.classes or 0)]
    return split._replace(labels=class_numbers(split.labels, names, loaded.label_names))


def reading_of(run: Run, bar: bool = False) -> Reading:
    """How the run's model reads pictures."""
    return reading_for(run.model, None, run.settings.get("skip_unreadable", False), bar)


def reading_for(
    model: ViT | None, image_size: int | tuple[int, int] | None, skip_unreadable: bool, bar: bool
) -> Reading:
    """How pictures are read for a model; for None, which is still to be made, in this size."""
    if model is None:
        return Reading(None, None, image_size, skip_unreadable, bar)
    channels, height, width = model.config.image_shape
    return Reading(model.preprocessing, channels, (height, width), skip_unreadable, bar)
