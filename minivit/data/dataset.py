"""Data sets: images and labels to train on, images and labels to test with, from four IDX files in a folder."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .idx import find_idx, read_idx
from .mnist import CHECKSUMS, fetch_mnist, find_mnist
from .split import Split

NAMES = ("mnist5k", "mnist")
BUNDLED = Path(__file__).parent / "mnist5k"
PARTS = {"train": ("train",), "test": ("t10k", "test")}  # what files call them
FILE = re.compile(r"(.*?)(?:train|t10k|test)-(?:images|labels)[-.]idx\d-\w+(?:\.gz)?")
CHANNELS = (1, 3, 4)  # of which one is an image's last axis if its channels come last


class Dataset(NamedTuple):
    """A named data set; labels run from 0 to classes - 1. class_names: the labels in its files, as text, where they are
    others than these."""

    name: str
    train: Split
    test: Split
    classes: int
    class_names: tuple[str, ...] | None = None


class _Files(NamedTuple):
    """Where a data set's files are, what their names begin with, and the SHA-256 of each unpacked, by its name."""

    folder: Path
    prefix: str = ""
    checksums: Mapping[str, str] | None = None


def load(data: str) -> Dataset:
    """The data set called `data`:

    "mnist5k"   5,000 of MNIST's training digits, in this package: 400 of each class to train on, 100 to test with
    "mnist"     all of it, 60,000 and 10,000: from $MINIVIT_DATA or the cache, else downloaded (see `fetch_mnist`);
                what is not MNIST to the byte is refused
    a folder    of IDX files (see `load_split`); write "./mnist" for a folder that has one of the names above

    The classes are the labels that occur in the training files, in order; EMNIST's letters, for example, are 1 to 26.
    Raises DataError for a name that is none of these, and for files that are missing, damaged or do not fit each other.
    """
    files = _find(data)
    train, test = (_read_split(files, part) for part in PARTS)
    if train.images.shape[1:] != test.images.shape[1:]:
        raise DataError(
            f"the images in {files.folder} differ: {_size(train)} (channels x height x width) to train on,"
            f" {_size(test)} to test with; expected one size"
        )
    values = np.unique(train.labels)
    unknown = np.setdiff1d(test.labels, values)
    if unknown.size:
        raise DataError(
            f"a label to test with in {files.folder} is {unknown[0]}, expected {_listed(values.tolist())}, the labels"
            " to train on; check that the files belong together"
        )
    names = None if np.array_equal(values, np.arange(len(values))) else tuple(map(str, values))
    train, test = (split._replace(labels=np.searchsorted(values, split.labels)) for split in (train, test))
    name = data if data in NAMES else Path(full_name(data)).name
    return Dataset(name, train, test, len(values), names)


def load_split(data: str, part: str) -> Split:
    """One part, "train" or "test", of the data set called `data` (see `load`), with the labels that its file holds
    (see `class_numbers`). The files of the other part need not be there.

    The folder holds the files that MNIST, Fashion-MNIST and others come in, each plain or gzipped:

        train-images-idx3-ubyte   train-labels-idx1-ubyte   t10k-images-idx3-ubyte   t10k-labels-idx1-ubyte

    They are also found with "test" for "t10k", with the same beginning before each name (emnist-letters-train-...), in
    torchvision's folder `raw`, and as unpackers leave them (see `find_idx`). Where a folder holds several data sets,
    `data` is the folder, a slash, and the beginning. Names that begin with emnist are EMNIST's, which are stored
    transposed: their images are turned upright.
    Images have axes (n, Sh, Sw), read as one channel, or (n, C, Sh, Sw), then usually called ...-images-idx4-ubyte;
    labels (n,). Any size will do, and any number of classes.
    Raises DataError if a file is missing, damaged or does not fit the other.
    """
    return _read_split(_find(data), part)


def full_name(data: str) -> str:
    """`data` as it can be written down and means the same from any folder: a name, or a whole path."""
    return data if data in NAMES else str(Path(os.path.expanduser(data)).resolve())


def class_numbers(labels: npt.NDArray[np.int64], names: Sequence[str]) -> npt.NDArray[np.int64]:
    """The labels of a file as class numbers of a model with these class names: names that are all numbers are labels,
    others are counted from 0. Raises DataError for a label that is none of the classes."""
    known = names if all(name.isdecimal() for name in names) else [str(k) for k in range(len(names))]
    number = {name: k for k, name in enumerate(known)}
    values, places = np.unique(labels, return_inverse=True)
    unknown = [str(value) for value in values if str(value) not in number]
    if unknown:
        raise DataError(
            f"the data hold the label {unknown[0]}, which is no class of this model: expected {_listed(known)};"
            " choose other data or another model"
        )
    return np.array([number[str(value)] for value in values], np.int64)[places]


def _find(data: str) -> _Files:
    if data == "mnist5k":
        return _Files(BUNDLED)
    if data == "mnist":
        return _Files(find_mnist() or fetch_mnist(), checksums=CHECKSUMS)
    path = Path(full_name(data))
    folder, wanted = (path, None) if data and path.is_dir() else (path.parent, f"{path.name}-")
    places = (folder, folder / "raw", *sorted(folder.glob("*/raw")))
    found = [_Files(place, prefix) for place in places for prefix in _prefixes(place)]
    found = [files for files in found if wanted in (None, files.prefix)]
    if len(found) > 1 and found[0] != _Files(path):  # what has no beginning comes first
        names = ", ".join(str(files.folder / files.prefix.rstrip("-_.")) for files in found)
        raise DataError(f"several data sets in {folder}: choose one of {names}")
    if not found and wanted is not None:
        raise DataError(f'no data called "{data}": expected mnist5k, mnist or a folder of IDX files; check the name')
    return found[0] if found else _Files(folder)


def _prefixes(folder: Path) -> list[str]:
    """What the names of data sets in a folder begin with, each once; nothing, usually."""
    names = os.listdir(folder) if folder.is_dir() else []
    return sorted({match[1] for match in map(FILE.fullmatch, names) if match})


def _read_split(files: _Files, part: str) -> Split:
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


def _read(files: _Files, part: str, kind: str, axes: Sequence[int]) -> tuple[Path, np.ndarray]:
    """The path and the array of the file that holds the images or the labels of a part."""
    names = [f"{files.prefix}{called}-{kind}-idx{count}-ubyte" for called in PARTS[part] for count in axes]
    for name in names:
        path = find_idx(files.folder, name)
        if path is not None:
            return path, read_idx(path, files.checksums[name] if files.checksums else None)
    there = sorted(os.listdir(files.folder))
    more = f" and {len(there) - 5} more" if len(there) > 5 else ""
    raise DataError(
        f"no file {names[0]} in {files.folder}, plain or .gz; expected the four IDX files of a data set"
        " (train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte),"
        f" found {', '.join(there[:5]) or 'nothing'}{more}"
    )


def _size(split: Split) -> str:
    return " x ".join(map(str, split.images.shape[1:]))


def _listed(names: Sequence[object]) -> str:
    some = names if len(names) <= 12 else [*names[:3], "...", names[-1]]
    return ", ".join(map(str, some))
