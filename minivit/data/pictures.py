"""The data set in an image folder: its pictures decoded, its classes, and what is held out of it.

Where the folder is not divided into train/ and test/, a tenth of each class is held out for the test, and where there
is no val/, a tenth for validation, by their content, as `split_validation` does it: those whose SHA-256 is smallest, so
that the same pictures are held out whatever they are called. No class gives its last picture, and copies of a picture
stay on one side.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..counted import counted
from ..errors import DataError
from ..preprocess import Preprocessing
from .cache import Decoded, decode, size_of
from .folders import Scan, scan
from .reading import Reading
from .split import LARGEST_VALIDATION, Pictures, Split, fingerprints, shares

Mask = npt.NDArray[np.bool_]
EMPTY_ADVICE = "put those of its class there, or remove the folder"
COPIES_ADVICE = "remove the copy from the class that it does not belong to, or both"
MOST_SKIPPED = 0.1  # of the pictures, with skip_unreadable


class ImageFolder(NamedTuple):
    """An image folder that has been looked through: N files, in the scan's order."""

    scan: Scan
    decoded: Decoded
    classes: tuple[str, ...]
    labels: npt.NDArray[np.int64]  # (N,)
    readable: Mask  # (N,), as all that follow
    test: Mask
    held: Mask  # for validation

    def split(self, rows: npt.NDArray[np.integer]) -> Split:
        """The pictures in these rows."""
        names = np.array([picture.name for picture in self.scan.pictures])
        return Split(Pictures(self.decoded.pixels, rows, self.decoded.digests, names), self.labels[rows])


def load_pictures(
    root: Path, reading: Reading
) -> tuple[Split, Split, tuple[str, ...], Mask, Preprocessing, tuple[str, ...]]:
    """What `dataset.Loaded` holds of an image folder. Raises DataError, in one line that lists them, for pictures that
    cannot be read, unless reading.skip_unreadable leaves them out and they are at most a tenth; and for a folder that
    is no image folder (see `scan`), or too small."""
    found = open_folder(root, reading)
    check_classes(found)
    check_readable(found, reading.skip_unreadable)
    train, test = (np.flatnonzero(rows) for rows in (found.readable & ~found.test, found.test))
    made = found.decoded.preprocessing
    return found.split(train), found.split(test), found.classes, found.held[train], made, notes(found)


def open_folder(root: Path, reading: Reading) -> ImageFolder:
    """Look through an image folder and decode its pictures; those that cannot be read are left out."""
    scanned = scan(root)
    decoded = decode(root, [picture.name for picture in scanned.pictures], reading)
    classes = tuple(sorted({picture.label for picture in scanned.pictures}))
    number = {name: k for k, name in enumerate(classes)}
    labels = np.array([number[picture.label] for picture in scanned.pictures])
    readable = np.ones(len(labels), bool)
    readable[list(decoded.unreadable)] = False
    part = np.array([picture.part for picture in scanned.pictures])
    test, held = readable & (part == "test"), readable & (part == "valid")
    if not test.any():
        test = _hold_out(decoded.digests, labels, readable & ~held, readable & ~held)
        if not test.any() and not decoded.unreadable:
            raise DataError(
                f"{root}: {counted(len(labels), 'picture is', 'pictures are')} too few to hold some out for the test: "
                "add more of each class, or divide them into train/ and test/"
            )
    if not held.any():
        whole = readable if "" in part else readable & ~test
        held = _hold_out(decoded.digests, labels, whole, readable & ~test, LARGEST_VALIDATION)
    return ImageFolder(scanned, decoded, classes, labels, readable, test, held)


def _hold_out(
    digests: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], whole: Mask, free: Mask, most: int | None = None
) -> Mask:
    """Of the rows that are `free`, a tenth of each class in `whole`, `most` in all; not the last of a class, and not
    one of several copies without the others."""
    count = max(1, int(whole.sum()) // 10)
    counts = shares(np.bincount(labels[whole], minlength=labels.max() + 1), count if most is None else min(count, most))
    chosen, order = np.zeros(len(labels), bool), np.argsort(fingerprints(digests), kind="stable")
    for label, share in enumerate(counts):
        rows = order[free[order] & (labels[order] == label)]
        share = min(int(share), len(rows) - 1)
        while 0 < share and (digests[rows[share]] == digests[rows[share - 1]]).all():
            share -= 1
        chosen[rows[: max(share, 0)]] = True
    return chosen


def check_classes(found: ImageFolder) -> None:
    """Raise DataError, naming them, for folders of classes that hold no picture."""
    if found.scan.empty:
        raise DataError(f"{found.scan.root}: no picture in {_some(found.scan.empty)}; {EMPTY_ADVICE}")


def check_readable(found: ImageFolder, skip: bool) -> None:
    """Raise DataError, listing them, for pictures that cannot be read and may not be skipped."""
    unreadable, count = found.decoded.unreadable, len(found.labels)
    if not unreadable or (skip and MOST_SKIPPED * count >= len(unreadable)):
        return
    listed = "; ".join(f"{found.scan.pictures[row].name} ({reason})" for row, reason in unreadable.items())
    advice = "and more than a tenth may not be skipped" if skip else "repair them, or pass --skip-unreadable"
    where = f"{len(unreadable)} of the {counted(count, 'picture')} in {found.scan.root}"
    raise DataError(f"{where} cannot be read, {advice}: {listed}")


def notes(found: ImageFolder, short: bool = False) -> tuple[str, ...]:
    """Lines that a person should see before training. short: without those on unreadable pictures and copies."""
    folder, lines = found.decoded.folder, list[str]()
    if found.decoded.unreadable and not short:
        unreadable, count = len(found.decoded.unreadable), counted(len(found.labels), "picture")
        lines.append(f"{unreadable} of {count} cannot be read and {'is' if unreadable == 1 else 'are'} left out")
    if found.scan.others:
        foreign = counted(len(found.scan.others), "file is no picture", "files are no pictures")
        lines.append(f"{foreign} of a class: {_some(found.scan.others)}")
    if found.scan.links:
        lines.append(f"links that lead out of the folder are not followed: {_some(found.scan.links)}")
    counts = np.bincount(found.labels[found.readable], minlength=len(found.classes))
    tested = np.bincount(found.labels[found.test], minlength=len(found.classes))
    without = [f"{found.classes[k]} ({counted(counts[k], 'picture')})" for k in np.flatnonzero(tested == 0)]
    if without:
        one = "class" if len(without) == 1 else "classes"
        lines.append(f"there is no test picture of the {one} {_some(without)}: its accuracy is not measured; add some")
    across = [] if short else copies(found)[1]
    if across:
        example = " and ".join(found.scan.pictures[row].name for row in across[0])
        several = counted(len(across), "picture is", "pictures are")
        lines.append(f"{several} in more than one class: {example}{', ...' if across[1:] else ''}; {COPIES_ADVICE}")
    lines.append(f"decoded pictures are kept in {folder} ({size_of(folder) / 1e6:.1f} MB; minivit data --clear)")
    return tuple(lines)


def copies(found: ImageFolder) -> tuple[list[list[int]], list[list[int]]]:
    """Groups of rows that hold the same picture, pixel by pixel: those within a class, those across classes."""
    groups: dict[bytes, list[int]] = {}
    for row in np.flatnonzero(found.readable).tolist():
        groups.setdefault(found.decoded.digests[row].tobytes(), []).append(row)
    several = [rows for rows in groups.values() if len(rows) > 1]
    across = [rows for rows in several if len(set(found.labels[rows].tolist())) > 1]
    return [rows for rows in several if rows not in across], across


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
