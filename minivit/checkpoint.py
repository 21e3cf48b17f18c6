"""Files that are either whole or not there: models as safetensors, settings as JSON, written atomically.

No pickle anywhere: loading a model runs no code of the file's.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from .config import ViTConfig
from .model import parameter_shapes
from .params import Params

KEY = "minivit"  # the one metadata entry; several would come out in another order in every process


class CheckpointError(ValueError):
    """A file that does not hold what it should; the message is one line and names the file."""


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file so that at every moment, also after a crash or on a full disk, `path` holds either what it held
    before or all of `content`. Raises OSError if that cannot be done."""
    path = Path(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: str | Path, values: Any) -> None:
    """Write values as indented JSON, atomically."""
    write_atomically(path, (json.dumps(values, indent=2) + "\n").encode())


def save_model(path: str | Path, params: Params, config: ViTConfig) -> None:
    """Write parameters and config to a safetensors file, atomically. The same model gives the same bytes."""
    host = params.to("cpu")
    metadata = {KEY: json.dumps({"config": config.to_dict()}, sort_keys=True)}
    write_atomically(path, save({name: numpy.ascontiguousarray(value) for name, value in host.items()}, metadata))


def load_model(path: str | Path) -> tuple[Params, ViTConfig]:
    """Read what `save_model` wrote: the parameters, on the host and in the dtype they were saved in, and the config.

    Raises CheckpointError, in one line, for a file that is missing, damaged, not minivit's, or whose tensors are
    not those of its config.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: no such file; a trained model is the model.safetensors that a run writes")
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error}); copy or train it again") from None
    try:
        config = ViTConfig.from_dict(json.loads(metadata[KEY])["config"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: holds no minivit model ({type(error).__name__}: {error})") from None
    shapes = parameter_shapes(config)
    if set(tensors) != set(shapes):
        wrong = sorted(set(tensors) ^ set(shapes))
        raise CheckpointError(f"{path}: its tensors are not those of its config; missing or unknown: {', '.join(wrong)}")
    params = Params.zeros(shapes, tensors["norm.weight"].dtype)
    for name, value in tensors.items():
        if value.shape != shapes[name] or value.dtype != params.flat.dtype:
            raise CheckpointError(f"{path}: {name} is {value.dtype} {value.shape}, expected {shapes[name]}")
        params[name] = value
    return params, config
