"""Models and training states as safetensors files, written atomically, each with a checksum over all it holds.

Nothing is pickled: loading a file runs no code from it.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from .atomic import check_format, write_atomically
from .config import ViTConfig
from .errors import CheckpointError
from .params import Params
from .preprocess import Preprocessing
from .shapes import parameter_shapes

FORMAT = 1  # of a model's content; a file without a number is of format 0, and is read
KEY = "minivit"  # a single metadata entry: safetensors writes several in random order


def write_tensors(path: str | Path, tensors: Mapping[str, np.ndarray], content: dict[str, Any]) -> None:
    """Write host arrays and JSON values to one safetensors file, atomically, with a SHA-256 over both, since
    safetensors itself would not notice a flipped byte. The same input gives the same bytes."""
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    write_atomically(path, save(arrays, {KEY: _sealed(arrays, content)}))


def read_tensors(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What `write_tensors` wrote. Raises CheckpointError, in one line, for any other file, and for a damaged one."""
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}
        content = json.loads(metadata[KEY])
        del content["sha256"]
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error})") from None
    except (KeyError, ValueError, TypeError, AttributeError):
        raise CheckpointError(f"{path}: a safetensors file, but not one that minivit wrote") from None
    if metadata[KEY] != _sealed(arrays, content):
        raise CheckpointError(f"{path}: damaged, its contents do not match their checksum; use another copy")
    return arrays, content


def save_model(path: str | Path, params: Params, config: ViTConfig, preprocessing: Preprocessing | None = None) -> None:
    """Write parameters, config and preprocessing to a safetensors file, atomically. The same model gives the same
    bytes."""
    made = None if preprocessing is None else preprocessing.to_dict()
    content = {"format": FORMAT, "config": config.to_dict(), "preprocessing": made}
    write_tensors(path, params.to("cpu"), content)


def load_model(path: str | Path) -> tuple[Params, ViTConfig, Preprocessing | None]:
    """Read what `save_model` wrote: the parameters, on the host and in the dtype they were saved in, the config and the
    preprocessing. A file of format 0 has none: it gets the default one of its config.

    Raises CheckpointError, in one line, for a file that is missing, damaged, not minivit's, or whose tensors are
    not those of its config.
    """
    tensors, content = read_tensors(path)
    check_format(content, FORMAT, path)
    try:
        config = ViTConfig.from_dict(content["config"])
        made = content.get("preprocessing")
        preprocessing = None if made is None else Preprocessing.from_dict(made)
        if content.get("format", 0) == 0:
            preprocessing = Preprocessing.default(config)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: holds no model ({type(error).__name__}: {error})") from None
    shapes = parameter_shapes(config)
    if {name: array.shape for name, array in tensors.items()} != shapes:
        wrong = sorted(n for n in {*tensors, *shapes} if n not in tensors or tensors[n].shape != shapes.get(n))
        raise CheckpointError(f"{path}: its tensors are not those of its config: see {', '.join(wrong[:3])}")
    params = Params.zeros(shapes, tensors["patch_embed.proj.weight"].dtype)
    for name, value in tensors.items():
        params[name] = value
    return params, config, preprocessing


def written_by_minivit(path: str | Path) -> bool:
    """Whether a file is a safetensors file of minivit's; False also for files that are damaged or missing."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            return KEY in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def _sealed(arrays: Mapping[str, np.ndarray], content: dict[str, Any]) -> str:
    """The content as JSON, always the same text for the same content, with the SHA-256 of it and the arrays."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(arrays[name])
    return json.dumps({**content, "sha256": digest.hexdigest()}, sort_keys=True)
