"""Image folders: a folder for each class, in it pictures, at any depth; or such folders in train/, val/ and test/.

    photos/cat/1.jpg  photos/cat/holidays/2.png  photos/dog/3.jpg  ...
    photos/train/cat/1.jpg  photos/val/dog/9.jpg  photos/test/cat/7.jpg  ...

The classes are the names of the folders in plain order, "10" before "2". Pictures are taken in the order of their own
names, and of their classes' where these are equal, so that files numbered as in another form of the data set are in the
same order as there.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import DataError
from ..preprocess import ENDINGS

PARTS = {"train": "train", "val": "valid", "valid": "valid", "validation": "valid", "test": "test"}
FOREIGN = "__MACOSX"  # what macOS puts into archives


class PictureFile(NamedTuple):
    """A picture in an image folder."""

    name: str  # its path from the folder, with slashes
    part: str  # "train", "valid" or "test"; "" where the folder is not divided
    label: str  # the class


class Scan(NamedTuple):
    """What is in an image folder."""

    root: Path
    pictures: tuple[PictureFile, ...]
    others: tuple[str, ...]  # files that are no pictures, or are in no class
    links: tuple[str, ...]  # links that lead out of the folder, or in circles
    empty: tuple[str, ...] = ()  # folders of classes without a picture


def is_image_folder(root: Path) -> bool:
    """Whether there is a picture in it, at any depth."""
    return any(_is_picture(name) and not name.startswith(".") for _, _, names in os.walk(root) for name in names)


def scan(root: Path) -> Scan:
    """The pictures in an image folder. Hidden files and folders and __MACOSX are passed over; links are followed
    within the folder, not out of it. Raises DataError, in one line, for a folder of one class or none, and for a class
    name that is no text."""
    pictures, others, links, empty = list[PictureFile](), list[str](), list[str](), list[str]()
    walk = _Walk(root, links)
    top = list(walk.entries(root))
    folders = [entry for entry in top if entry.is_dir()]
    others += [entry.name for entry in top if not entry.is_dir()]
    lower = {entry.name.lower() for entry in folders}
    divided = "train" in lower and lower <= PARTS.keys()
    for entry in folders:
        part = PARTS[entry.name.lower()] if divided else ""
        inner = list(walk.entries(Path(entry.path))) if divided else [entry]
        others += [f"{entry.name}/{one.name}" for one in inner if not one.is_dir()]
        for folder in (one for one in inner if one.is_dir()):
            found = list(walk.files(folder))
            pictures += [PictureFile(name, part, folder.name) for name in found if _is_picture(name)]
            others += [name for name in found if not _is_picture(name)]
            if not any(map(_is_picture, found)):
                empty.append(walk.name(folder))
    _check_classes(root, pictures, links)
    pictures.sort(key=lambda picture: (picture.name.rsplit("/", 1)[1], picture.label, picture.name))
    return Scan(root, tuple(pictures), tuple(sorted(others)), tuple(sorted(links)), tuple(empty))


class _Walk:
    """A walk through a folder that stays in it. links: where the names of those that lead out of it are put."""

    def __init__(self, root: Path, links: list[str]) -> None:
        self.root, self.inside, self.links = root, os.path.realpath(root), links

    def entries(self, folder: Path, above: frozenset[str] = frozenset()) -> Iterator["os.DirEntry[str]"]:
        """What is in a folder, in plain order. above: the folders that this one is in, which a link may not lead to."""
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            if entry.name.startswith(".") or entry.name == FOREIGN:
                continue
            target = os.path.realpath(entry.path)
            out = os.path.commonpath([target, self.inside]) != self.inside
            if entry.is_symlink() and (out or target == self.inside or target in above):
                self.links.append(self.name(entry))
            else:
                yield entry

    def files(self, folder: "os.DirEntry[str]", above: frozenset[str] = frozenset()) -> Iterator[str]:
        """The files in a folder, at any depth."""
        above |= {os.path.realpath(folder.path)}
        for entry in self.entries(Path(folder.path), above):
            if entry.is_dir():
                yield from self.files(entry, above)
            else:
                yield self.name(entry)

    def name(self, entry: "os.DirEntry[str]") -> str:
        return Path(entry.path).relative_to(self.root).as_posix()


def _is_picture(name: str) -> bool:
    return name.lower().endswith(ENDINGS)


def _check_classes(root: Path, pictures: list[PictureFile], links: list[str]) -> None:
    classes = {picture.label for picture in pictures if picture.part in ("", "train")}
    if len(classes) < 2:
        found = f"one, {', '.join(classes)}" if classes else "none"
        lead = f"; links that lead out of it are not followed: {', '.join(sorted(links))}" if links else ""
        raise DataError(f"{root}: expected a folder with pictures for each of two classes or more, found {found}{lead}")
    unknown = [picture for picture in pictures if picture.label not in classes]
    if unknown:
        name, _, label = unknown[0]
        raise DataError(f"{root}: {name} is of a class that train/ does not have: put pictures of {label} there, too")
    for label in classes:
        try:
            label.encode()
        except UnicodeEncodeError:
            raise DataError(f"{root}: the folder {label!r} has a name that is no UTF-8 text: rename it") from None
