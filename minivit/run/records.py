"""What a run writes down beside its model: settings, result and metrics, read back as if a person had typed them."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from ..atomic import check_format, open_regular, read_json
from ..backend import DEVICES
from ..config import ViTConfig
from ..errors import CheckpointError, ConfigError
from ..preprocess import Preprocessing
from ..settings import check, check_choice, check_type
from ..train import Metrics, TrainConfig

FORMAT = 1  # of config.json, state.safetensors and result.json; a file without a number is of format 0, and is read
SETTINGS = {"data": str, "data_sha256": str, "model": Any, "train": Any}  # what config.json holds, at least
MORE_SETTINGS = {
    "minivit": str,
    "test_sha256": str,
    "init": str | None,
    "device": str,
    "run": str,
    "skip_unreadable": bool,
}
RESULT = {  # what result.json holds, at least
    "test_accuracy": float,
    "test_correct": int,
    "test_total": int,
    "parameters": int,
    "train_seconds": float,
    "seed": int,
    "data": str,
}
MORE_RESULT = {
    "test_loss": float,
    "tta": int | None,
    "plain_accuracy": float,
    "test_confusion": tuple[str, ...],
    "wall_seconds": float,
    "operations": int | None,
    "machine": str,
    "best_epoch": int,
    "run": str,
    "model_sha256": str,
}
MACHINE = frozenset(field.name for field in dataclasses.fields(TrainConfig) if field.metadata["machine"])
LARGEST_METRICS = 256 << 20  # bytes, a million lines


def is_run(folder: Path) -> bool:
    """Whether a folder's config.json is a run's, as other libraries write one, too; True also for a damaged one."""
    try:
        values = read_json(folder / "config.json")
    except CheckpointError:
        return True
    return isinstance(values, dict) and "model" in values and "train" in values


def read_settings(folder: Path) -> dict[str, Any] | None:
    """What config.json holds, in today's format; None if there is none. Raises CheckpointError if it is damaged, of a
    later format, or holds what no run could be set to."""
    path = folder / "config.json"
    settings = _read(path, SETTINGS)
    return None if settings is None else _checked(path, current_settings(settings), check_settings)


def check_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """A run's settings as they are. Raises ConfigError, naming the field, for what no run could be set to."""
    _check_kinds(settings, {**SETTINGS, **MORE_SETTINGS})
    ViTConfig.from_dict(settings["model"])
    TrainConfig.from_dict(settings["train"])
    if settings.get("preprocessing") is not None:
        Preprocessing.from_dict(settings["preprocessing"])
    check_choice("device", settings.get("device", "cpu"), DEVICES)
    return settings


def current_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """A run's settings, of any format so far, with today's names."""
    train = settings["train"]
    if not isinstance(train, dict):
        return settings
    renamed = {"warmup": "warmup_fraction", "views": "tta"}  # format 0
    current = {renamed.get(name, name): value for name, value in train.items()}
    return {**settings, "train": {"augmentation": "digits", "mirror": False, **current}}  # what all runs had before


def read_result(folder: Path) -> dict[str, Any] | None:
    """What result.json holds, in today's format; None if there is none. Raises CheckpointError if it is damaged, of a
    later format, or no result of a test."""
    path = folder / "result.json"
    result = _read(path, RESULT)
    if result is None:
        return None
    if "views" in result:
        result["tta"] = result.pop("views")
    return _checked(path, result, _check_result)


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; empty if there is none. Raises CheckpointError if it is damaged."""
    path = folder / "metrics.jsonl"
    try:
        with open_regular(path, LARGEST_METRICS) as file:
            lines = [json.loads(line) for line in file.read().splitlines()]
    except FileNotFoundError:
        return []
    except (ValueError, RecursionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path}: damaged, a line of it is not JSON ({error})") from None
    return check_metrics(lines, path)


def check_metrics(lines: Any, path: Path) -> list[dict[str, Any]]:
    """Reports as they were written, or CheckpointError, naming the file that they were read from."""

    def checked(lines: Any) -> list[dict[str, Any]]:
        check(isinstance(lines, list), "the reports are no list")
        return [_check_metrics(line) for line in lines]

    return _checked(path, lines, checked)


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The settings that decide its result in which two runs differ, each as (name, in one, in the other); what belongs
    to the machine is not compared."""
    found = [
        (name, one.get(name), other.get(name))
        for name in ("run", "data_sha256", "preprocessing")
        if one.get(name) != other.get(name)
    ]
    for kind, cls in (("model", ViTConfig), ("train", TrainConfig)):
        left, right = (cls.from_dict(settings[kind]).to_dict() for settings in (one, other))
        found += [(n, left[n], right[n]) for n in left if n not in MACHINE and left[n] != right[n]]
    return found


def is_result_of(result: Mapping[str, Any], settings: Mapping[str, Any], model: Path) -> bool:
    """Whether a result is that of the run with these settings, and of this model's file. In a run that has no name, as
    in format 0, a result that does not say whose it is is believed."""
    if "run" in settings and settings["run"] != result.get("run"):
        return False
    if "model_sha256" not in result:
        return True
    with open_regular(model) as file:
        digest = hashlib.sha256()
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest() == result["model_sha256"]


def _read(path: Path, names: Mapping[str, Any]) -> dict[str, Any] | None:
    values = read_json(path)
    if values is None:
        return None
    if not (isinstance(values, dict) and values.keys() >= names.keys()):
        raise CheckpointError(f"{path}: not written by minivit train, expected values of {', '.join(sorted(names))}")
    check_format(values, FORMAT, path)
    return values


def _checked(path: Path, values: Any, check_values: Callable[[Any], Any]) -> Any:
    try:
        return check_values(values)
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _check_kinds(values: dict[str, Any], kinds: Mapping[str, Any]) -> None:
    for name, kind in kinds.items():
        if kind is not Any and name in values:
            check_type(name, values[name], kind)


def _check_result(result: dict[str, Any]) -> dict[str, Any]:
    _check_kinds(result, {**RESULT, **MORE_RESULT})
    _check_signs(
        result,
        ("test_correct", "parameters", "train_seconds", "seed", "test_loss", "tta", "wall_seconds", "operations"),
    )
    check(0 <= result["test_correct"] <= result["test_total"], "more test images are correct than there are")
    for name in ("test_accuracy", "plain_accuracy"):
        check(0 <= result.get(name, 0) <= 1, f"{name} must lie in 0..1, not {result.get(name)}")
    rows = [row.split() for row in result.get("test_confusion", ())]
    square = all(len(row) == len(rows) and all(word.isdecimal() for word in row) for row in rows)
    check(square, "test_confusion is no square of whole numbers")
    return result


def _check_metrics(line: Any) -> dict[str, Any]:
    kinds = get_type_hints(Metrics)
    check(isinstance(line, dict) and line.keys() >= kinds.keys(), f"a report has {', '.join(kinds)}, not {line!r:.80}")
    _check_kinds(line, kinds)
    _check_signs(line, [name for name in kinds if name != "learning_rate"])
    check(line["step"] > 0 and line["epoch"] > 0, "step and epoch of a report count from 1")
    for name in ("accuracy", "valid_accuracy"):
        check(line[name] is None or line[name] <= 1, f"{name} must lie in 0..1, not {line[name]}")
    return line


def _check_signs(values: Mapping[str, Any], names: Any) -> None:
    for name in names:
        check(values.get(name) is None or values[name] >= 0, f"{name} must be at least 0, not {values.get(name)}")
