"""Somebody else's weights as a model of ours: what their tensors and the files beside them tell, what has to be asked,
and the tensors themselves, read one by one."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..checkpoint import load_model
from ..config import ViTConfig
from ..errors import CheckpointError, ConfigError
from ..params import Params
from ..preprocess import Preprocessing
from ..shapes import parameter_shapes
from .files import find_weights, open_weights, written_by_minivit
from .plan import Plan, check_unknown, plan_of
from .positions import resize_model
from .settle import ASKED, NOTHING, Answers, config_of, contradictions, settled, told_beside
from .structure import Found, read_structure, recognise
from .table import inward, third
from .told import Told, check_sizes

LOG = logging.getLogger("minivit.weights")


class Description(NamedTuple):
    """What is known of a file of weights from its header and the files beside it.

    values: fields of ViTConfig; questions: what has to be asked before it can be loaded, keys of ASKED.
    """

    found: Found
    told: Told
    values: dict[str, Any]
    questions: list[str]
    plan: Plan
    licence: str | None


def describe(path: str | Path, answers: Answers = NOTHING) -> Description:
    """What a file or folder of somebody else's weights holds, from its header. Raises CheckpointError, in one line, for
    what minivit cannot read."""
    file = open_weights(path)
    found = recognise(file)
    told = told_beside(file.path)
    structure = read_structure(found, told.image_size or answers.image_size)
    check_sizes(file.path, told, structure)
    values, questions = settled(found, told, structure, answers)
    told = told._replace(notes=(*told.notes, *contradictions(told, answers, structure["channels"])))
    stand_in = {"heads": 1} if "heads" in questions else {}
    config = config_of(file.path, {**values, **stand_in})
    return Description(found, told, values, questions, plan_of(found, config), told.licence or found.family.licence)


def load_weights(
    path: str | Path, dtype: str | None = None, answers: Answers = NOTHING
) -> tuple[Params, ViTConfig, Preprocessing | None]:
    """The parameters, on the host, the config and the preprocessing of a model in a file, or in the one in a folder:
    minivit's own, or that of a library whose layout it knows.

    dtype: "float32" or "float64"; None: as saved for minivit's own files, float32 for others.
    Raises CheckpointError, in one line, for what cannot be read; ConfigError for what has to be said beside it.
    """
    file = find_weights(path)
    if answers.resize is not None and answers.image_size is None:
        raise ConfigError("resize says how positions are resized to another image_size: give that, too")
    if written_by_minivit(file):
        if any(answer is not None for answer in answers[2:]):
            raise ConfigError(
                f"{file}: minivit wrote it and knows its settings: leave out --gelu, --heads and the like"
            )
        params, config, preprocessing = load_model(file)
        params = params if dtype is None else params.astype(dtype)
    else:
        params, config, preprocessing = _load(describe(file, answers), dtype or "float32")
    if answers.image_size is not None:
        params, config = resize_model(params, config, answers.image_size, answers.resize)
        preprocessing = preprocessing and preprocessing.resized(config.image_shape[1:])
    return params, config, preprocessing


def _load(description: Description, dtype: str) -> tuple[Params, ViTConfig, Preprocessing | None]:
    from tqdm import tqdm

    found, told, values, questions, plan, licence = description
    file = found.file
    check_unknown(found, plan)
    if questions:
        asked = ", ".join(ASKED[question] for question in questions)
        raise ConfigError(f"{file.path}: nothing in it or beside it tells what changes the results: give {asked}")
    config = config_of(file.path, values)
    params = Params.zeros(parameter_shapes(config), dtype)
    for row, name, skip in tqdm(plan.matches, "loading", leave=False, disable=None, delay=1, unit="tensor"):
        view = third(params[row.ours], row.part)[:, skip:] if skip else third(params[row.ours], row.part)
        with np.errstate(over="ignore"):
            view[...] = inward(file.read(name), row.form, config)
        if not np.isfinite(view).all():
            raise CheckpointError(f"{file.path}: {name} holds values that are not finite in {dtype}")
    if licence and _restricts(licence):
        LOG.warning("%s: the licence of these weights, %s, forbids some uses: read it first", file.path, licence)
    for note in told.notes:
        LOG.warning("%s: %s", file.path, note)
    if plan.unused:
        LOG.info("%s: not used: %s", file.path, ", ".join(plan.unused))
    return params, config, preprocessing_of(description)


def preprocessing_of(description: Description) -> Preprocessing | None:
    """How pictures are made for a model, as the files beside it or its library say; None if they do not."""
    size = description.values["image_size"]
    height, width = size if isinstance(size, tuple) else (size, size)
    if description.told.preprocessing is not None:
        return description.told.preprocessing.resized((height, width))
    if description.found.family.frame is None:
        return None
    rule, share, interpolation = description.found.family.frame
    edge = round(share * min(height, width)) if rule == "crop" else None
    return Preprocessing(rule, "light", (height, width), edge, interpolation)


def _restricts(licence: str) -> bool:
    """Whether a licence is none of those that allow every use."""
    return not licence.lower().startswith(("apache-2", "mit", "bsd", "cc0", "cc-by-4", "cc-by-sa", "unlicense"))
