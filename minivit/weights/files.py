"""Files of tensors from elsewhere: safetensors, one file or several, and .npz. Opening one reads its header only; a
tensor is read when it is asked for. Whatever could run code when it is opened is refused."""

import json
import math
import os
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open

from ..atomic import open_regular, read_json
from ..checkpoint import is_ours
from ..errors import CheckpointError, ConfigTypeError
from .npz import Npz
from .tensors import AS_SAFETENSORS, DTYPES, TensorFile, as_float

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "open_clip_model.safetensors")  # in this order
LONGEST_NAME = 300  # characters
PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")  # how such files begin
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt", ".pickle", ".tar")


def find_weights(path: str | Path) -> Path:
    """The file of weights that a path names: itself, or the one in a folder. Raises CheckpointError, in one line, if
    there is none, or more than one."""
    if not isinstance(path, (str, os.PathLike)):
        raise ConfigTypeError(f"a model's path must be the name of a file or a folder, not {path!r}")
    path = Path(path)
    if path.is_file():
        return path
    if not path.is_dir():
        raise CheckpointError(f"{path}: no such file or folder")
    for name in WEIGHTS:
        if (path / name).is_file():
            return path / name
    found = sorted([*path.glob("*.safetensors"), *path.glob("*.npz")])
    if len(found) == 1:
        return found[0]
    if found:
        raise CheckpointError(f"{path}: holds {', '.join(file.name for file in found[:4])}: name one of them")
    pickles = sorted(file.name for file in path.iterdir() if file.suffix in PICKLES)
    if pickles:
        raise CheckpointError(f"{path}: holds only {pickles[0]}, which runs code when it is opened: {AS_SAFETENSORS}")
    raise CheckpointError(f"{path}: holds no weights, expected one of {', '.join(WEIGHTS)}, or a .npz file")


def written_by_minivit(path: str | Path) -> bool:
    """Whether a file of weights, or the one in a folder, is minivit's own; False also for what is damaged. Raises
    CheckpointError if there is none."""
    file = find_weights(path)
    try:
        return is_ours(file)
    except (CheckpointError, OSError):
        return False


def open_weights(path: str | Path) -> TensorFile:
    """Read the header of a file of weights, or of the one in a folder. Raises CheckpointError, in one line, for what
    is damaged, and for what is not opened because it could run code."""
    opened = _opened(find_weights(path))
    for name in opened.tensors:
        if not name.isprintable() or len(name) > LONGEST_NAME:
            raise CheckpointError(f"{opened.path}: a tensor is called {reprlib.repr(name)}, expected a name")
    return opened


def _opened(file: Path) -> TensorFile:
    with open_regular(file) as stream:
        start = stream.read(8)
    if file.name.endswith(".index.json"):
        return _Safetensors(file, dict(_shards(file)))
    if start.startswith(b"PK"):
        return Npz(file)
    refusal = _refusal(file, start)
    if refusal:
        raise CheckpointError(f"{file}: {refusal}")
    return _Safetensors(file, {name: (file, tensor) for name, tensor in _header(file).items()})


class _Tensor(NamedTuple):
    dtype: str
    shape: tuple[int, ...]
    start: int  # of its bytes in the file


class _Safetensors(TensorFile):
    def __init__(self, path: Path, places: dict[str, tuple[Path, _Tensor]]) -> None:
        self.path, self.places = path, places
        self.tensors = {name: (tensor.dtype, tensor.shape) for name, (_, tensor) in places.items()}

    def read(self, name: str) -> np.ndarray:
        self.check_dtype(name)
        file, tensor = self.places[name]
        try:
            flat = np.fromfile(file, DTYPES[tensor.dtype], math.prod(tensor.shape), offset=tensor.start)
            values = flat.reshape(tensor.shape)
        except (ValueError, OSError) as error:
            raise CheckpointError(f"{file}: {name} cannot be read ({error})") from None
        return as_float(values, tensor.dtype)


def _header(path: Path) -> dict[str, _Tensor]:
    try:
        with safe_open(str(path), framework="numpy"):  # checks the header, and that it describes the whole file
            pass
        with open(path, "rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length))
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error})") from None
    header.pop("__metadata__", None)
    return {
        name: _Tensor(entry["dtype"], tuple(entry["shape"]), 8 + length + entry["data_offsets"][0])
        for name, entry in header.items()
    }


def _shards(index: Path) -> Iterator[tuple[str, tuple[Path, _Tensor]]]:
    """Where each tensor is that an index lists."""
    content = read_json(index)
    listed = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(listed, dict) or not all(isinstance(name, str) for name in listed.values()):
        raise CheckpointError(f"{index}: holds no weight_map from tensors to files")
    headers = {}
    for name in sorted(set(listed.values())):
        if Path(name).name != name or not (index.parent / name).is_file():
            raise CheckpointError(f"{index}: there is no file {reprlib.repr(name)} beside it")
        headers[name] = _header(index.parent / name)
    for tensor, name in listed.items():
        if tensor not in headers[name]:
            raise CheckpointError(f"{index}: {name} does not hold {reprlib.repr(tensor)}")
        yield tensor, (index.parent / name, headers[name][tensor])


def _refusal(path: Path, start: bytes) -> str | None:
    """Why a file is not opened, judged by how it begins; None for what may be a safetensors file."""
    if start.startswith(b"GGUF"):
        return "a GGUF file, whose weights are quantised for other programs: take the model's safetensors file"
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05") or path.suffix in PICKLES:
        return f"a pickle, which runs code when it is opened: {AS_SAFETENSORS}"
    if start.startswith(b"\x89HDF"):
        return "an HDF5 file, as Keras writes them: take the model's safetensors file"
    if start.startswith(PICTURES):
        return "a picture: name the model first, and then the pictures"
    if path.suffix == ".onnx":
        return "an ONNX file, which minivit writes and does not read: name the model that it was made of"
    if start.startswith(b"\x93NUMPY"):
        return "a single array: expected a safetensors file, or an .npz file of a whole model"
    return None
