"""Data sets: images and labels to train on, images and labels to test with, from four IDX files in a folder."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import DataError
from .idx import find_idx, read_idx
from .mnist import CHECKSUMS, fetch_mnist, find_mnist
from .split import Split

NAMES = ("mnist5k", "mnist")
BUNDLED = Path(__file__).parent / "mnist5k"


class Dataset(NamedTuple):
    """A named data set; labels run from 0 to classes - 1."""

    name: str
    train: Split
    test: Split
    classes: int


def load(data: str) -> Dataset:
    """The data set called `data`:

    "mnist5k"   5,000 of MNIST's training digits, in this package: 400 of each class to train on, 100 to test with
    "mnist"     all of it, 60,000 and 10,000: from $MINIVIT_DATA or the cache, else downloaded (see `fetch_mnist`);
                what is not MNIST to the byte is refused
    a folder    of IDX files (see `read_folder`); write "./mnist" for a folder that has one of the names above

    Raises DataError for a name that is none of these, and for files that are missing or damaged.
    """
    if data == "mnist5k":
        return read_folder(BUNDLED)
    if data == "mnist":
        return read_folder(find_mnist() or fetch_mnist(), CHECKSUMS)._replace(name="mnist")
    if os.path.isdir(data):
        return read_folder(data)
    raise DataError(f'no data called "{data}": expected mnist5k, mnist or a folder of IDX files; check the name')


def full_name(data: str) -> str:
    """`data` as it can be written down and means the same from any folder: a name, or a folder's whole path."""
    return data if data in NAMES or not os.path.isdir(data) else str(Path(data).resolve())


def read_folder(folder: str | os.PathLike[str], checksums: Mapping[str, str] | None = None) -> Dataset:
    """Read a data set from the four files that MNIST, Fashion-MNIST and others come in, each plain or gzipped:

        train-images-idx3-ubyte   train-labels-idx1-ubyte   t10k-images-idx3-ubyte   t10k-labels-idx1-ubyte

    Images have axes (n, Sh, Sw), read as one channel, or (n, C, Sh, Sw), then usually called ...-images-idx4-ubyte;
    labels (n,). Any size will do, and any number of classes: one more than the largest label to train on.
    checksums: the SHA-256 of every unpacked file, by its name.
    Returns a data set with the folder's name.
    Raises DataError if a file is missing, damaged or does not fit the others.
    """
    folder = Path(folder).resolve()
    train = _read_split(folder, "train", checksums)
    test = _read_split(folder, "t10k", checksums)
    if train.images.shape[1:] != test.images.shape[1:]:
        raise DataError(
            f"the images in {folder} differ: {_size(train)} (channels x height x width) to train on,"
            f" {_size(test)} to test with; expected one size"
        )
    classes = int(train.labels.max()) + 1
    if test.labels.max() >= classes:
        raise DataError(
            f"a label to test with in {folder} is {test.labels.max()}, expected 0 to {classes - 1},"
            " the labels to train on; check that the files belong together"
        )
    return Dataset(folder.name, train, test, classes)


def _read_split(folder: Path, part: str, checksums: Mapping[str, str] | None) -> Split:
    images_path, images = _read(folder, [f"{part}-images-idx3-ubyte", f"{part}-images-idx4-ubyte"], checksums)
    labels_path, labels = _read(folder, [f"{part}-labels-idx1-ubyte"], checksums)
    if images.ndim not in (3, 4) or images.size == 0:
        raise DataError(
            f"{images_path} holds values of axes {images.shape}, expected (n, Sh, Sw) or (n, C, Sh, Sw), none 0"
        )
    if labels.shape != images.shape[:1]:
        raise DataError(
            f"{labels_path} holds labels of axes {labels.shape}, expected ({len(images)},): one label for each image"
            f" of {images_path.name}; check that the two belong together"
        )
    if images.ndim == 3:
        images = images[:, np.newaxis]  # (n, Sh, Sw) -> (n, 1, Sh, Sw)
    return Split(images, labels.astype(np.int64))


def _read(folder: Path, names: list[str], checksums: Mapping[str, str] | None) -> tuple[Path, np.ndarray]:
    """The path and the array of the file in `folder` that has one of the names."""
    path = next(filter(None, (find_idx(folder, name) for name in names)), None)
    if path is None:
        raise DataError(
            f"no file {names[0]} in {folder}, plain or .gz; expected the four IDX files of a data set"
            " (train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte)"
        )
    return path, read_idx(path, checksums[path.name.removesuffix(".gz")] if checksums else None)


def _size(split: Split) -> str:
    return " x ".join(map(str, split.images.shape[1:]))
