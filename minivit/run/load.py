"""Reading a run back from its folder, and whether it has seen the images it is asked about."""

from pathlib import Path
from typing import Any, NamedTuple

from ..checkpoint import written_by_minivit
from ..data import Split, load, split_validation
from ..data.mnist import find_mnist
from ..errors import CheckpointError, DataError
from ..vit import ViT
from ..weights import find_weights
from .folder import is_run, read_result, read_settings, resume_hint

PRETRAINED = Path(__file__).parents[1] / "pretrained"


class Run(NamedTuple):
    """A run read back from its folder."""

    folder: Path
    model: ViT
    settings: dict[str, Any]  # config.json
    result: dict[str, Any] | None  # result.json; None if training has not ended


def load_run(path: str | Path, device: str = "cpu", **answers: Any) -> Run:
    """Read a run from its folder, from the path of its model.safetensors, or, for the word "pretrained", the run that
    comes with minivit; or the model of another library from its file or folder, which has no settings and no result.

    answers: what `ViT.load` takes by name, image_size for example. Raises CheckpointError, in one line, if there is no
    model or a file is damaged; ConfigError for what has to be said beside another library's file.
    """
    found = PRETRAINED if path == "pretrained" else Path(path)
    folder = found.parent if found.is_file() else found
    if not found.exists():
        raise CheckpointError(f"{path}: there is no trained model here; train one with minivit train")
    if found.is_dir() and not (folder / "model.safetensors").exists() and is_run(folder):
        raise CheckpointError(f"{path}: there is no trained model here; {resume_hint(folder)}")
    model_file = find_weights(found)
    model = ViT.load(model_file, device=device, **answers)
    if not written_by_minivit(model_file):
        return Run(folder, model, {}, None)
    return Run(folder, model, read_settings(folder) or {}, read_result(folder))


def of_minivit(path: str | Path) -> bool:
    """Whether what `load_run` takes is a run or a model of minivit's, and not another library's; True also for what
    does not exist, so that `load_run` says so."""
    found = PRETRAINED if path == "pretrained" else Path(path)
    if not found.exists() or (found.is_dir() and is_run(found)):
        return True
    return written_by_minivit(find_weights(found))


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
