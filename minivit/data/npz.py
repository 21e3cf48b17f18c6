"""Data sets in one .npz file: Keras' mnist.npz and its like, and MedMNIST's.

    Keras      x_train, y_train, x_test, y_test
    MedMNIST   train_images, train_labels, val_images, val_labels, test_images, test_labels

Images are uint8 of axes (n, Sh, Sw) or, channels last, (n, Sh, Sw, C); labels are whole numbers, (n,) or (n, 1).
Nothing in such a file is executed: pickles are refused.
"""

import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..atomic import open_regular
from ..errors import CheckpointError, DataError
from .split import Split

LARGEST = 8 << 30  # bytes of a file, packed or unpacked
KERAS = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}
MEDMNIST = {part: (f"{part}_images", f"{part}_labels") for part in ("train", "val", "test")}
CHANNELS = (1, 3)


def read_npz(path: Path, part: str | None = None) -> dict[str, Split]:
    """The parts of the data set in an .npz file, by name: "train", "test" and, where there is one, "val". part: only
    "train" (with "val") or "test". Raises DataError, in one line, for files that are damaged or hold something else."""
    try:
        with open_regular(path, LARGEST) as file, zipfile.ZipFile(file) as archive:
            there = {name.removesuffix(".npy") for name in archive.namelist()}
            layout = next((names for names in (KERAS, MEDMNIST) if there >= {*names["train"], *names["test"]}), None)
            if layout is None:
                raise DataError(
                    f"{path} holds {', '.join(sorted(there)[:8]) or 'nothing'}; expected {', '.join(KERAS['train'])}, "
                    f"{', '.join(KERAS['test'])}, or {', '.join(MEDMNIST['train'])}, ... as MedMNIST names them"
                )
            asked = [name for name in layout if part in (None, name) or (part, name) == ("train", "val")]
            return {
                name: _split(path, name, *(_array(archive, path, array) for array in layout[name]))
                for name in asked
                if there >= {*layout[name]}
            }
    except (CheckpointError, OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise DataError(f"cannot read {path}: {reason}; expected an .npz file, get it again") from None


def _array(archive: zipfile.ZipFile, path: Path, name: str) -> np.ndarray:
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > LARGEST:
        raise DataError(f"{path}: {name} unpacks to {info.file_size} bytes, expected at most {LARGEST}")
    try:
        with archive.open(info) as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
            if file.read(1):
                raise ValueError("something stands behind its values")
    except (ValueError, SyntaxError, tokenize.TokenError, MemoryError, RecursionError) as error:
        raise DataError(f"{path}: {name} cannot be read ({' '.join(str(error).split())})") from None
    return array


def _split(path: Path, part: str, images: np.ndarray, labels: np.ndarray) -> Split:
    if images.dtype != np.uint8 or images.size == 0:
        raise DataError(
            f"{path}: the {part} images are {images.dtype} {images.shape}, expected uint8, pixels of 0..255"
        )
    if not (images.ndim == 3 or (images.ndim == 4 and images.shape[3] in CHANNELS)):
        raise DataError(
            f"{path}: the {part} images have axes {images.shape}, expected (n, Sh, Sw) or (n, Sh, Sw, 1 or 3): "
            "pictures, no volumes"
        )
    if labels.shape not in ((len(images),), (len(images), 1)) or labels.dtype.kind not in "iu":
        raise DataError(
            f"{path}: the {part} labels are {labels.dtype} {labels.shape}, expected ({len(images)},) or "
            f"({len(images)}, 1) whole numbers, one class for each image"
        )
    if labels.size and labels.min() < 0:
        raise DataError(f"{path}: a {part} label is {labels.min()}, expected 0 or more")
    images = images[:, np.newaxis] if images.ndim == 3 else np.moveaxis(images, 3, 1)  # -> (n, C, Sh, Sw)
    return Split(np.ascontiguousarray(images), labels.reshape(-1).astype(np.int64))
