"""The models that the page shows: the one that was asked for, and the tiny one, each with what is known of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint import read_tensors
from ..config import ViTConfig
from ..errors import CheckpointError, ConfigError
from ..initial import initial_params
from ..learn.walk import TINY
from ..params import Params
from ..preprocess import Preprocessing
from ..run import load_run
from ..run.folder import STATE
from ..run.records import read_metrics, read_settings
from ..shapes import parameter_shapes

LARGEST = 4_000_000  # floats of a tape, gradients not counted
POINTS = 300  # of a curve


@dataclass(frozen=True)
class Shown:
    """A model as the page shows it. save: which of a training run's saves it is; empty for a finished model. settings:
    the run's, as far as there are any; preprocessing: None for the default one."""

    key: str
    title: str
    params: Params  # float64
    config: ViTConfig
    save: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    preprocessing: Preprocessing | None = None


def tiny() -> Shown:
    """One untrained block, small enough for every number to be read."""
    return Shown("tiny", "tiny", initial_params(TINY, 0, "float64"), TINY)


def shown(path: str) -> Shown:
    """The model of a run, finished or in training, or for the word "pretrained" the one that comes with minivit. Raises
    what `load_run` raises, and ConfigError, naming the size, for a model that the page cannot show."""
    if path != "pretrained" and in_training(Path(path)):
        return last_save(Path(path))
    run = load_run(path)
    key = "pretrained" if path == "pretrained" else "run"
    check_shown(run.model.config, path)
    return Shown(
        key=key,
        title=path if key == "pretrained" else run.folder.name,
        params=run.model.params.astype("float64"),
        config=run.model.config,
        settings=run.settings,
        preprocessing=run.model.preprocessing,
    )


def in_training(folder: Path) -> bool:
    """Whether a folder holds a run that has been saved and has not ended."""
    return (folder / STATE).is_file()


def last_save(folder: Path) -> Shown:
    """The model of a run's last save. Raises CheckpointError if it is damaged."""
    settings = read_settings(folder)
    if settings is None:
        raise CheckpointError(f"{folder}: there is a state without the settings of its run")
    config = ViTConfig.from_dict(settings["model"])
    check_shown(config, str(folder))
    save = str((folder / STATE).stat().st_mtime_ns)
    arrays, _ = read_tensors(folder / STATE)
    vector = arrays.get("ema", arrays.get("params"))
    shapes = parameter_shapes(config)
    if vector is None or vector.shape != (sum(int(np.prod(shape)) for shape in shapes.values()),):
        raise CheckpointError(f"{folder / STATE}: params is missing or does not fit this model")
    made = settings.get("preprocessing")
    preprocessing = None if made is None else Preprocessing.from_dict(made)
    return Shown("run", folder.name, Params(shapes, vector.astype(np.float64)), config, save, settings, preprocessing)


def progress(folder: Path) -> dict[str, Any]:
    """How far a run has come: its last step and what its metrics say, of at most POINTS steps and always of the last:
    [step, loss, accuracy, loss and accuracy on what was held out, each None where there is none]."""
    try:
        metrics = read_metrics(folder)
    except CheckpointError:  # the last line is being written
        metrics = []
    every = -(-len(metrics) // POINTS) or 1
    fields = "step", "loss", "accuracy", "valid_loss", "valid_accuracy"
    curve = [[line.get(name) for name in fields] for line in metrics[::-1][::every][::-1]]
    return {"training": in_training(folder), "step": curve[-1][0] if curve else 0, "curve": curve}


def check_shown(config: ViTConfig, path: str) -> None:
    """Raise ConfigError, in one line, unless the page can show a model of this config."""
    config.check_predicts()
    if config.channels != 1:
        raise ConfigError(f"{path} reads images of {config.channels} channels; the page shows models of one, grey")
    values = tape_size(config)
    if values > LARGEST:
        raise ConfigError(f"{path} is too large for the page: {values:,} values in a pass, at most {LARGEST:,}")


def tape_size(config: ViTConfig) -> int:
    """About how many floats a tape of the model holds."""
    T, D, F, H = config.tokens, config.dim, config.mlp_dim, config.heads
    block = T * (12 * D + 2 * F) + 2 * H * T * T
    return config.depth * block + sum(int(np.prod(shape)) for shape in parameter_shapes(config).values())
