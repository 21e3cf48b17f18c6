"""Data sets: images and labels to train on, images and labels to test with, whatever files they are in."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..preprocess import Preprocessing
from .cifar import ARCHIVES, find_cifar
from .folders import is_image_folder
from .idx_files import FOLDERS, find_idx_files, has_idx_files, listing, prefixes, read_idx_split
from .npz import read_npz
from .pictures import load_pictures
from .reading import Reading
from .resized import resized_line, resized_splits
from .split import Split, split_validation

NAMES = ("mnist5k", "mnist")


class Dataset(NamedTuple):
    """A named data set; labels run from 0 to classes - 1.

    class_names: the names of the classes or, where their files hold other labels than these, the labels as text.
    held: which images to train on are held out for validation where no number of them is asked for, (n,); None:
    `split_validation` chooses. preprocessing: how the images were made of picture files, or resized; None where they
    are as their files hold them.
    notes: lines that a person should see.
    """

    name: str
    train: Split
    test: Split
    classes: int
    class_names: tuple[str, ...] | None = None
    held: npt.NDArray[np.bool_] | None = None
    preprocessing: Preprocessing | None = None
    notes: tuple[str, ...] = ()

    def split(self, validation: int | None = None) -> tuple[Split, Split]:
        """The images to learn from, and those held out of them for validation: `validation` many, None: a tenth or, in
        data that come with some, these."""
        return _split(self.train, self.held, validation)


class Loaded(NamedTuple):
    """The parts of a data set as its files hold them; those that were not asked for are None. label_names: what its
    labels are called, label 0 first; None: by their numbers. The rest is as in `Dataset`."""

    train: Split | None
    test: Split | None
    label_names: tuple[str, ...] | None = None
    held: npt.NDArray[np.bool_] | None = None
    preprocessing: Preprocessing | None = None
    notes: tuple[str, ...] = ()

    def part(self, part: str, validation: int | None) -> Split:
        """The part "train", "valid" or "test"."""
        if part == "test":
            assert self.test is not None
            return self.test
        assert self.train is not None
        return _split(self.train, self.held, validation)[part == "valid"]


def load(data: str, reading: Reading = Reading()) -> Dataset:
    """The data set called `data`:

    "mnist5k"   5,000 of MNIST's training digits, in this package: 400 of each class to train on, 100 to test with
    "mnist"     all of it, 60,000 and 10,000: from $MINIVIT_DATA or the cache, else downloaded (see `fetch_mnist`);
                what is not MNIST to the byte is refused
    a folder    of pictures, in a folder for each class (see `pictures.load_pictures`), of IDX files (see `load_split`),
                or of CIFAR's binary files; write "./mnist" for a folder that has one of the names above
    a file      CIFAR's archive (see `cifar`), or an .npz file of Keras or MedMNIST (see `npz`)

    reading: how pictures are read; images in arrays of another size than it says are resized in the same way
    (`resized.resized_splits`). The classes are the labels that occur in the training files, in order; EMNIST's
    letters, for example, are 1 to 26.
    Raises DataError for a name that is none of these, and for files that are missing, damaged or do not fit each other.
    """
    loaded = load_parts(data, None, reading)
    train, test = loaded.train, loaded.test
    assert train is not None and test is not None
    if train.images.shape[1:] != test.images.shape[1:]:
        raise DataError(
            f"the images in {full_name(data)} differ: {_size(train)} (channels x height x width) to train on,"
            f" {_size(test)} to test with; expected one size"
        )
    values = np.unique(train.labels)
    unknown = np.setdiff1d(test.labels, values)
    if unknown.size:
        raise DataError(
            f"a label to test with in {full_name(data)} is {unknown[0]}, expected {_listed(values.tolist())}, the"
            " labels to train on; check that the files belong together"
        )
    names = tuple(str(v) if loaded.label_names is None else loaded.label_names[v] for v in values.tolist())
    train, test = (split._replace(labels=np.searchsorted(values, split.labels)) for split in (train, test))
    class_names = None if names == tuple(map(str, range(len(values)))) else names
    return Dataset(short_name(data), train, test, len(values), class_names, *loaded[3:])


def load_split(data: str, part: str) -> Split:
    """One part, "train" or "test", of the data set called `data` (see `load`), with the labels that its file holds
    (see `class_numbers`). The files of the other part need not be there.

    A folder of IDX files holds those that MNIST, Fashion-MNIST and others come in, each plain or gzipped:

        train-images-idx3-ubyte   train-labels-idx1-ubyte   t10k-images-idx3-ubyte   t10k-labels-idx1-ubyte

    They are also found with "test" for "t10k", with the same beginning before each name (emnist-letters-train-...), in
    torchvision's folder `raw`, and as unpackers leave them (see `find_idx`). Where a folder holds several data sets,
    `data` is the folder, a slash, and the beginning. Names that begin with emnist are EMNIST's, which are stored
    transposed: their images are turned upright.
    Images have axes (n, Sh, Sw), read as one channel, or (n, C, Sh, Sw), then usually called ...-images-idx4-ubyte;
    labels (n,). Any size will do, and any number of classes.
    Raises DataError if a file is missing, damaged or does not fit the other.
    """
    loaded = load_parts(data, part)
    split = loaded.test if part == "test" else loaded.train
    assert split is not None
    return split


def load_parts(data: str, part: str | None = None, reading: Reading = Reading()) -> Loaded:
    """The parts of the data set called `data` (see `load`): "train", "test", or both for None."""
    path = Path(full_name(data))
    asked = ("train", "test") if part is None else (part,)
    if data and data not in NAMES:
        if path.suffix.lower() == ".npz":
            found = read_npz(path, part)
            return _fitted(_with_validation(found.get("train"), found.get("val"), found.get("test")), reading)
        cifar = None if has_idx_files(path) else find_cifar(path, part)
        if cifar is not None:
            train, test = (cifar.split(name) if name in asked else None for name in ("train", "test"))
            return _fitted(Loaded(train, test, cifar.class_names(), notes=(cifar.origin(),)), reading)
        if path.is_dir() and not has_idx_files(path) and is_image_folder(path):
            return Loaded(*load_pictures(path, reading))
        if path.is_dir() and not has_idx_files(path):
            raise DataError(f"{path} holds no data set: expected {FOLDERS}, found {listing(path)}")
    files = find_idx_files(data)
    train, test = (read_idx_split(files, name) if name in asked else None for name in ("train", "test"))
    return _fitted(Loaded(train, test), reading)


def holds_arrays(data: str) -> bool:
    """Whether `data` is a data set in IDX files, CIFAR's or an .npz file, and not pictures in files of their own."""
    path = Path(full_name(data))
    if data in NAMES or not data:
        return bool(data)
    if path.is_file():
        return path.name.lower().endswith((".npz", *ARCHIVES))
    if has_idx_files(path) or find_cifar(path, "test") is not None:  # cifar-100-binary/coarse is no folder, too
        return True
    return not path.exists() and f"{path.name}-" in prefixes(path.parent)  # data/emnist-letters


def full_name(data: str) -> str:
    """`data` as it can be written down and means the same from any folder: a name, or a whole path."""
    return data if data in (*NAMES, "") else str(Path(os.path.expanduser(data)).resolve())


def short_name(data: str) -> str:
    """What the data set called `data` is called in the name of a run."""
    name = Path(full_name(data)).name
    suffix = next((suffix for suffix in (".npz", *ARCHIVES) if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)] or name


def class_numbers(
    labels: npt.NDArray[np.int64], names: Sequence[str], label_names: Sequence[str] | None = None
) -> npt.NDArray[np.int64]:
    """The labels of a file as class numbers of a model with these class names. label_names: what the labels are called;
    None: by their numbers, and then names that are all numbers are labels, others are counted from 0. Raises DataError
    for a label that is none of the classes."""
    numbers = label_names is None and not all(name.isdecimal() for name in names)
    known = [str(k) for k in range(len(names))] if numbers else names
    number = {name: k for k, name in enumerate(known)}
    values, places = np.unique(labels, return_inverse=True)
    called = [str(value) if label_names is None else label_names[value] for value in values.tolist()]
    unknown = [name for name in called if name not in number]
    if unknown:
        raise DataError(
            f"the data hold the label {unknown[0]}, which is no class of this model: expected {_listed(known)};"
            " choose other data or another model"
        )
    return np.array([number[name] for name in called], np.int64)[places]


def _with_validation(train: Split | None, valid: Split | None, test: Split | None) -> Loaded:
    """The parts of data that come with a part for validation."""
    if train is None or valid is None:
        return Loaded(train, test)
    images = np.concatenate([np.asarray(train.images), np.asarray(valid.images)])
    whole = Split(images, np.concatenate([train.labels, valid.labels]))
    return Loaded(whole, test, held=np.arange(len(images)) >= len(train.labels))


def _fitted(found: Loaded, reading: Reading) -> Loaded:
    """A data set in arrays, its images resized if `reading` says so, and a line on that."""
    (train, test), made = resized_splits([found.train, found.test], reading)
    lines = [resized_line(split.images) for split in (train, test) if split is not None]
    notes = dict.fromkeys((*found.notes, *filter(None, lines)))
    return found._replace(train=train, test=test, preprocessing=made, notes=tuple(notes))


def _split(train: Split, held: npt.NDArray[np.bool_] | None, validation: int | None) -> tuple[Split, Split]:
    if validation is None and held is not None:
        return train.take(np.flatnonzero(~held)), train.take(np.flatnonzero(held))
    return split_validation(train, validation)


def _size(split: Split) -> str:
    return " x ".join(map(str, split.images.shape[1:]))


def _listed(names: Sequence[object]) -> str:
    some = names if len(names) <= 12 else [*names[:3], "...", names[-1]]
    return ", ".join(map(str, some))
