"""Google's .npz files: arrays in a zip archive."""

import math
import re
import reprlib
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CheckpointError
from .tensors import AS_SAFETENSORS, TensorFile, as_float

LARGEST_EXPANSION = 20  # of a compressed file; weights are noise, and compress to nine tenths
STACK, MOST_LAYERS = "Transformer/encoderblock/", 1000


class Npz(TensorFile):
    """The arrays of an .npz file. big_vision may stack those of all blocks in one array, which is taken apart here; the
    last one that was read is kept, because its layers are read one after the other."""

    def __init__(self, path: Path) -> None:
        self.path, self.tensors, self.last = path, {}, ("", np.empty(0))
        self.layers: dict[str, tuple[str, int]] = {}
        try:
            with zipfile.ZipFile(path) as archive:
                self._read_headers(archive)
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
            raise CheckpointError(f"{path}: not a whole .npz file ({error})") from None

    def _read_headers(self, archive: zipfile.ZipFile) -> None:
        members = archive.infolist()
        names = [member.filename for member in members]
        refusal = _torch_archive(names)
        if refusal:
            raise CheckpointError(f"{self.path}: {refusal}")
        if not names or not all(name.endswith(".npy") for name in names):
            raise CheckpointError(f"{self.path}: a zip archive, but no .npz file of arrays")
        expanded, size = sum(member.file_size for member in members), self.path.stat().st_size
        if expanded > LARGEST_EXPANSION * size:
            raise CheckpointError(f"{self.path}: {size:,} bytes expand to {expanded:,}, as no weights do")
        for member in members:
            with archive.open(member) as stream:
                name = member.filename.removesuffix(".npy")
                try:
                    dtype, shape, start = _npy_header(stream)
                except ValueError as error:
                    raise CheckpointError(f"{self.path}: {reprlib.repr(name)} {error}") from None
                if dtype.itemsize * math.prod(shape) + start != member.file_size:
                    raise CheckpointError(
                        f"{self.path}: {reprlib.repr(name)} is damaged, its length is not that of its shape"
                    )
            code = {"f8": "F64", "f4": "F32", "f2": "F16", "V2": "BF16"}.get(dtype.str[1:], str(dtype))
            if STACK not in name:
                self.tensors[name] = code, shape
            elif not shape or shape[0] > MOST_LAYERS:
                raise CheckpointError(
                    f"{self.path}: {reprlib.repr(name)} has shape {shape}, expected a layer for each block"
                )
            else:
                for i in range(shape[0]):
                    layer = name.replace(STACK, f"{STACK[:-1]}_{i}/")
                    self.tensors[layer], self.layers[layer] = (code, shape[1:]), (name, i)

    def read(self, name: str) -> np.ndarray:
        self.check_dtype(name)
        member, layer = self.layers.get(name, (name, None))
        if self.last[0] != member:
            try:
                with zipfile.ZipFile(self.path) as archive, archive.open(member + ".npy") as stream:
                    values = np.lib.format.read_array(stream, allow_pickle=False)
            except (zipfile.BadZipFile, OSError, ValueError, EOFError, zlib.error) as error:
                raise CheckpointError(f"{self.path}: {member} cannot be read ({error})") from None
            code = self.tensors[name][0]
            self.last = member, as_float(values.view("<u2") if code == "BF16" else values, code)
        return self.last[1] if layer is None else self.last[1][layer]


def _npy_header(stream: Any) -> tuple[np.dtype, tuple[int, ...], int]:
    """The dtype and shape of an array in the .npy format, and where its values begin. Raises ValueError, with the rest
    of a sentence, if it is none."""
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, _, dtype = read(stream)
    except Exception as error:  # NumPy parses the header as Python, and what is none raises nearly anything
        reason = (str(error).splitlines() or [""])[0][:100] or type(error).__name__
        raise ValueError(f"is no array ({reason})") from None
    if dtype.hasobject:
        raise ValueError("holds Python objects, a pickle, which is not opened: expected numbers")
    return dtype, shape, stream.tell()


def _torch_archive(names: list[str]) -> str | None:
    """Why a zip archive of torch is not opened; None if it is none."""
    if any(re.search(r"(^|/)code/", name) for name in names):
        return f"a TorchScript archive, which holds code: {AS_SAFETENSORS}"
    if any(name.endswith(".pkl") for name in names):
        return f"a pickle of PyTorch, which runs code when it is opened: {AS_SAFETENSORS}"
    return None
