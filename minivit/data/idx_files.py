"""Data sets in four IDX files, as MNIST, Fashion-MNIST and others come: images and labels to train and to test with."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import DataError
from .idx import find_idx, read_idx
from .mnist import CHECKSUMS, fetch_mnist, find_mnist
from .split import Split

BUNDLED = Path(__file__).parent / "mnist5k"
PARTS = {"train": ("train",), "test": ("t10k", "test")}  # what files call them
FILE = re.compile(r"(.*?)(?:train|t10k|test)-(?:images|labels)[-.]idx\d-\w+(?:\.gz)?")
FOLDERS = "a folder of pictures for each class in it, the four IDX files of a data set, or CIFAR's binary files"
EXPECTED = (
    "mnist5k, mnist, a folder with a folder of pictures for each class, a folder of IDX files, CIFAR's binary files or "
    "their archive, or an .npz file"
)
CHANNELS = (1, 3, 4)  # of which one is an image's last axis if its channels come last


class IdxFiles(NamedTuple):
    """Where a data set's files are, what their names begin with, and the SHA-256 of each unpacked, by its name."""

    folder: Path
    prefix: str = ""
    checksums: Mapping[str, str] | None = None


def find_idx_files(data: str) -> IdxFiles:
    """The files of the data set called `data` (see `dataset.load_split`). Raises DataError where several are there, and
    where nothing is."""
    if data == "mnist5k":
        return IdxFiles(BUNDLED)
    if data == "mnist":
        return IdxFiles(find_mnist() or fetch_mnist(), checksums=CHECKSUMS)
    path = Path(os.path.expanduser(data)).resolve()
    folder, beginning = (path, None) if data and path.is_dir() else (path.parent, f"{path.name}-")
    places = (folder, folder / "raw", *sorted(folder.glob("*/raw")))
    found = [IdxFiles(place, prefix) for place in places for prefix in prefixes(place)]
    found = [files for files in found if beginning in (None, files.prefix)]
    if len(found) > 1 and found[0] != IdxFiles(path):  # what has no beginning comes first
        names = ", ".join(str(files.folder / files.prefix.rstrip("-_.")) for files in found)
        raise DataError(f"several data sets in {folder}: choose one of {names}")
    if not found and beginning is not None:
        raise DataError(f'no data called "{data}": expected {EXPECTED}; check the name')
    return found[0] if found else IdxFiles(folder)


def prefixes(folder: Path) -> list[str]:
    """What the names of data sets in a folder begin with, each once; nothing, usually."""
    names = os.listdir(folder) if folder.is_dir() else []
    return sorted({match[1] for match in map(FILE.fullmatch, names) if match})


def read_idx_split(files: IdxFiles, part: str) -> Split:
    """One part, "train" or "test", with the labels that its file holds. Raises DataError."""
    images_path, images = _read(files, part, "images", (3, 4))
    labels_path, labels = _read(files, part, "labels", (1,))
    if images.ndim not in (3, 4) or images.size == 0:
        raise DataError(
            f"{images_path} holds values of axes {images.shape}, expected (n, Sh, Sw) or (n, C, Sh, Sw), none 0"
        )
    if images.ndim == 4 and images.shape[3] in CHANNELS and images.shape[1] not in CHANNELS:
        raise DataError(
            f"{images_path} holds images of axes {images.shape}, channels last; expected (n, C, Sh, Sw):"
            " write it again with images.transpose(0, 3, 1, 2)"
        )
    if labels.shape != images.shape[:1]:
        raise DataError(
            f"{labels_path} holds labels of axes {labels.shape}, expected ({len(images)},): one label for each image"
            f" of {images_path.name}; check that the two belong together"
        )
    if images.ndim == 3:
        images = images[:, np.newaxis]  # (n, Sh, Sw) -> (n, 1, Sh, Sw)
    if files.prefix.startswith("emnist"):
        images = images.swapaxes(2, 3).copy()
    return Split(images, labels.astype(np.int64))


def _read(files: IdxFiles, part: str, kind: str, axes: Sequence[int]) -> tuple[Path, np.ndarray]:
    """The path and the array of the file that holds the images or the labels of a part."""
    names = [f"{files.prefix}{called}-{kind}-idx{count}-ubyte" for called in PARTS[part] for count in axes]
    for name in names:
        path = find_idx(files.folder, name)
        if path is not None:
            return path, read_idx(path, files.checksums[name] if files.checksums else None)
    raise DataError(
        f"no file {names[0]} in {files.folder}, plain or .gz; expected the four IDX files of a data set"
        " (train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte),"
        f" found {listing(files.folder)}"
    )


def listing(folder: Path) -> str:
    """What is in a folder, in words."""
    there = sorted(os.listdir(folder))
    return (", ".join(there[:5]) or "nothing") + (f" and {len(there) - 5} more" if len(there) > 5 else "")


def has_idx_files(folder: Path) -> bool:
    """Whether a folder holds IDX files, or one of torchvision's folders `raw` in it does."""
    return any(prefixes(place) for place in (folder, folder / "raw", *sorted(folder.glob("*/raw"))))
