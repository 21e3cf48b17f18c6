"""Models and training states as safetensors files, written atomically, each with a checksum over all it holds.

Nothing is pickled: loading a file runs no code from it.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from .atomic import check_format, open_regular, write_atomically
from .config import ViTConfig
from .errors import CheckpointError
from .params import Params
from .preprocess import Preprocessing
from .shapes import parameter_shapes

FORMAT = 1  # of a model's content; a file without a number is of format 0, and is read
KEY = "minivit"  # a single metadata entry: safetensors writes several in random order
LARGEST_HEADER = 100_000_000  # bytes, as safetensors has it
COPIED = 1 << 30  # bytes: a file up to this size is read before it is parsed, and may then change
DTYPES = ("float32", "float64")


def write_tensors(path: str | Path, tensors: Mapping[str, np.ndarray], content: dict[str, Any]) -> None:
    """Write `tensor_bytes` to a file, atomically."""
    write_atomically(path, tensor_bytes(tensors, content))


def tensor_bytes(tensors: Mapping[str, np.ndarray], content: dict[str, Any]) -> bytes:
    """Host arrays and JSON values as one safetensors file, with a SHA-256 over both, since safetensors itself would not
    notice a flipped byte. The same input gives the same bytes."""
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    return save(arrays, {KEY: _sealed(arrays, content)})


def read_tensors(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What `write_tensors` wrote. Raises CheckpointError, in one line, for any other file, and for a damaged one."""
    try:
        with open_regular(path) as file:
            metadata, size = _read_metadata(path, file)
            if size <= COPIED:  # what is in memory stays, even if somebody writes over the file meanwhile
                file.seek(0)
                arrays = load(file.read())
            else:
                with safe_open(str(path), framework="numpy") as mapped:
                    arrays = {name: mapped.get_tensor(name) for name in mapped.keys()}
        content = json.loads(metadata[KEY])
        del content["sha256"]
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({_line(error)})") from None
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path}: a safetensors file, but not one that minivit wrote") from None
    if metadata[KEY] != _sealed(arrays, content):
        raise CheckpointError(f"{path}: damaged, its contents do not match their checksum; use another copy")
    return arrays, content


def is_ours(path: str | Path) -> bool:
    """Whether a safetensors file was written by minivit, and not by somebody else. Raises CheckpointError if it is none
    or damaged, FileNotFoundError if there is no file."""
    with open_regular(path) as file:
        return KEY in _read_metadata(path, file)[0]


def _read_metadata(path: str | Path, file: BinaryIO) -> tuple[dict[str, str], int]:
    """The metadata of a safetensors file and its size, before anything else of it is read."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(size - 8, LARGEST_HEADER):
        raise CheckpointError(f"{path}: not a whole safetensors file ({size} bytes)")
    try:
        header = json.loads(file.read(length))
        metadata = header.pop("__metadata__", {})
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        whole = isinstance(metadata, dict) and size == 8 + length + end
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise CheckpointError(f"{path}: not a whole safetensors file (its header does not fit its {size} bytes)")
    return metadata, size


def save_model(path: str | Path, params: Params, config: ViTConfig, preprocessing: Preprocessing | None = None) -> None:
    """Write parameters, config and preprocessing to a safetensors file, atomically. The same model gives the same
    bytes."""
    write_atomically(path, model_bytes(params, config, preprocessing))


def model_bytes(params: Params, config: ViTConfig, preprocessing: Preprocessing | None = None) -> bytes:
    """What `save_model` writes."""
    made = None if preprocessing is None else preprocessing.to_dict()
    content = {"format": FORMAT, "config": config.to_dict(), "preprocessing": made}
    return tensor_bytes(params.to("cpu"), content)


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
    if preprocessing is not None and preprocessing.size != config.image_shape[1:]:  # before a picture takes this size
        raise CheckpointError(
            f"{path}: its preprocessing makes pictures of {preprocessing.size} pixels, its config reads "
            f"{config.image_shape[1:]} (height, width); use another copy"
        )
    shapes = parameter_shapes(config) if config.depth <= len(tensors) else {}
    if {name: array.shape for name, array in tensors.items()} != shapes:
        wrong = sorted(n for n in {*tensors, *shapes} if n not in tensors or tensors[n].shape != shapes.get(n))
        raise CheckpointError(f"{path}: its tensors are not those of its config: see {', '.join(wrong[:3])}")
    dtypes = sorted({str(array.dtype) for array in tensors.values()})
    if len(dtypes) > 1 or dtypes[0] not in DTYPES:
        raise CheckpointError(
            f"{path}: its tensors are {' and '.join(dtypes)}, expected all of them to be {' or '.join(DTYPES)}"
        )
    params = Params.zeros(shapes, dtypes[0])
    for name, value in tensors.items():
        params[name] = value
    return params, config, preprocessing


def _sealed(arrays: Mapping[str, np.ndarray], content: dict[str, Any]) -> str:
    """The content as JSON, always the same text for the same content, with the SHA-256 of it and the arrays."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(arrays[name])
    return json.dumps({**content, "sha256": digest.hexdigest()}, sort_keys=True)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
