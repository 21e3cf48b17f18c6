"""CIFAR-10 and CIFAR-100 in their binary form: a folder of .bin files, or the archive that it is distributed in.

    CIFAR-10    data_batch_1.bin ... data_batch_5.bin, test_batch.bin, batches.meta.txt
                a record: its label (one byte), then 32 x 32 values each of red, green and blue
    CIFAR-100   train.bin, test.bin, fine_label_names.txt, coarse_label_names.txt
                a record: its coarse label (of 20), its fine label (of 100), then the same

Files with other records than the original's, and more or fewer of them, are read all the same.
Source: "Learning Multiple Layers of Features from Tiny Images", A. Krizhevsky, 2009; https://www.cs.toronto.edu/~kriz/.
"""

import hashlib
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from ..atomic import open_regular
from ..errors import CheckpointError, DataError
from .split import Split

SHAPE = (3, 32, 32)
LARGEST = 1 << 30  # bytes of a file; the original's largest has 153,700,000
LARGEST_NAMES = 1 << 16
ARCHIVES = (".tar", ".tar.gz", ".tgz")
ORIGINALS = {  # the archives, by the SHA-256 or, where that is not known, the MD5 that they are distributed with
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd": "CIFAR-10",
    "03b5dce01913d631647c71ecec9e9cb8": "CIFAR-100",
}


class _Form(NamedTuple):
    """The files of one of the two, and what is in a record in front of the pixels."""

    folder: str  # in the archive
    train: tuple[str, ...]
    test: tuple[str, ...]
    labels: Mapping[str, tuple[int, str, int]]  # kind: (place in a record, file of the names, number of classes)

    @property
    def members(self) -> set[str]:
        return {*self.train, *self.test, *(names for _, names, _ in self.labels.values())}


TEN = _Form(
    "cifar-10-batches-bin",
    tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    ("test_batch.bin",),
    {"fine": (0, "batches.meta.txt", 10)},
)
HUNDRED = _Form(
    "cifar-100-binary",
    ("train.bin",),
    ("test.bin",),
    {"fine": (1, "fine_label_names.txt", 100), "coarse": (0, "coarse_label_names.txt", 20)},
)


class Cifar(NamedTuple):
    """A CIFAR data set that was found: its files by name, and which labels are read."""

    path: Path
    form: _Form
    contents: Mapping[str, bytes]
    kind: str  # "fine" or "coarse"

    def split(self, part: str) -> Split:
        """The images and labels of a part, "train" or "test". Raises DataError, in one line."""
        names = [name for name in getattr(self.form, part) if name in self.contents]
        if not names:
            raise DataError(f"{self.path} holds no {getattr(self.form, part)[0]}: get the whole data set")
        place, _, classes = self.form.labels[self.kind]
        front, pixels = len(self.form.labels), int(np.prod(SHAPE))
        records = []
        for name in names:
            content = self.contents[name]
            if not content or len(content) % (front + pixels):
                raise DataError(
                    f"{self.path}: {name} has {len(content)} bytes, expected records of {front + pixels}; get it again"
                )
            records.append(np.frombuffer(content, np.uint8).reshape(-1, front + pixels))
        whole = np.concatenate(records)
        labels = whole[:, place].astype(np.int64)
        if labels.max() >= classes:
            raise DataError(f"{self.path}: a {self.kind} label is {labels.max()}, expected 0 to {classes - 1}")
        return Split(np.ascontiguousarray(whole[:, front:]).reshape(-1, *SHAPE), labels)

    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes; None where the file with them is missing, or holds others than the classes."""
        _, name, classes = self.form.labels[self.kind]
        words = self.contents.get(name, b"").decode("utf-8", "replace").split()
        return tuple(words) if len(words) == len(set(words)) == classes else None

    def origin(self) -> str:
        """Whether the archive is the original one, in words. Of a folder that cannot be told: only the archives have
        known checksums."""
        if self.path.is_dir():
            return f"whether {self.path.name} is the original CIFAR is not known: only its archive has a known checksum"
        with open_regular(self.path) as file:
            content = file.read()
        for digest in (hashlib.sha256(content), hashlib.md5(content, usedforsecurity=False)):
            if digest.hexdigest() in ORIGINALS:
                return f"{self.path.name} is the original {ORIGINALS[digest.hexdigest()]}, by its checksum"
        return f"{self.path.name} is not the archive that CIFAR is distributed in, by its checksum"


def find_cifar(path: Path, part: str | None = None) -> Cifar | None:
    """The CIFAR data set in a folder or an archive, or None where there is none. `path` may end in /coarse or /fine,
    which labels of CIFAR-100 to read; fine where nothing is said. part: whose files to read, both for None.

    Of an archive, only the members that CIFAR is known to have are looked at, and nothing is written to the disk.
    Raises DataError for an archive that cannot be read.
    """
    kind = "fine"
    if path.name in ("coarse", "fine") and not path.exists():
        path, kind = path.parent, path.name
    if path.is_dir():
        places = [(form, place) for form in (TEN, HUNDRED) for place in (path, path / form.folder)]
        found = [
            (form, place)
            for form, place in places
            if (place / form.train[0]).is_file() or (place / form.test[0]).is_file() and form is TEN
        ]
        if not found:
            return None
        form, folder = found[0]
        contents = {name: _read(folder / name) for name in _members(form, part) if (folder / name).is_file()}
    elif path.name.lower().endswith(ARCHIVES) and path.is_file():
        form, contents = _from_archive(path, part)
    else:
        return None
    if kind not in form.labels:
        raise DataError(f"{path} has one kind of labels: leave out /{kind}")
    return Cifar(path, form, contents, kind)


def _members(form: _Form, part: str | None) -> set[str]:
    return form.members - set({"train": form.test, "test": form.train, None: ()}[part])


def _read(path: Path) -> bytes:
    try:
        with open_regular(path, LARGEST) as file:
            return file.read()
    except (CheckpointError, OSError) as error:
        raise DataError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _from_archive(path: Path, part: str | None) -> tuple[_Form, dict[str, bytes]]:
    contents: dict[str, bytes] = {}
    forms = {form.folder: form for form in (TEN, HUNDRED)}
    form = None
    try:
        with open_regular(path, LARGEST) as file, tarfile.open(fileobj=file, mode="r:*") as archive:
            for member in archive:
                where = PurePosixPath(member.name)
                inside = forms.get(where.parent.name) if len(where.parts) == 2 else None
                if inside is None or where.name not in inside.members or not member.isfile():
                    continue
                form = form or inside
                content = archive.extractfile(member)
                if inside is form and where.name in _members(form, part) and content and member.size <= LARGEST:
                    contents[where.name] = content.read()
    except (CheckpointError, OSError, EOFError, tarfile.TarError, zlib.error) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise DataError(f"cannot read {path}: {reason}; get it again") from None
    if form is None:
        folders = " or ".join(f"{name}/" for name in forms)
        raise DataError(
            f"{path} holds no file of CIFAR's: expected {folders} with .bin files in it; unpack it yourself"
        )
    return form, contents
