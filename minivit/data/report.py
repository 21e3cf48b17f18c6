"""What is in a data set, in words: a dry run before training."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..counted import counted
from .dataset import NAMES, Dataset, full_name, load
from .folders import is_image_folder
from .idx_files import has_idx_files
from .pictures import COPIES_ADVICE, EMPTY_ADVICE, ImageFolder, copies, notes, open_folder
from .reading import Reading
from .split import Split, digests_of


def report(data: str, reading: Reading = Reading()) -> Iterator[str]:
    """The lines on the data set called `data` (see `load`): its classes, how many images of each are learned from, held
    out for validation and for the test, their sizes, and, of a folder of pictures, what cannot be read, copies, and
    what is passed over. Raises DataError where `load` does, but not for pictures that cannot be read: they are listed.
    """
    path = Path(full_name(data))
    if data not in NAMES and path.is_dir() and not has_idx_files(path) and is_image_folder(path):
        yield from _folder(open_folder(path, reading))
        return
    dataset = load(data, reading)
    train, valid = dataset.split()
    channels, height, width = train.images.shape[1:]
    yield f"{dataset.name}: {_counted(dataset, train, valid)}; {counted(channels, 'channel')}, {height} x {width}"
    names = dataset.class_names or [str(k) for k in range(dataset.classes)]
    yield from _table(
        names, [np.bincount(split.labels, minlength=len(names)) for split in (train, valid, dataset.test)]
    )
    known = digests_of(dataset.train.images), digests_of(dataset.test.images)
    seen = {digest.tobytes() for digest in known[0]}
    again = sum(digest.tobytes() in seen for digest in known[1])
    yield f"copies: {len(known[0]) - len(seen)} of an image that is there already"
    yield f"copies in both parts: {counted(again, 'image')} to test with"
    yield from dataset.notes


def _counted(dataset: Dataset, train: Split, valid: Split) -> str:
    return (
        f"{counted(dataset.classes, 'class', 'classes')}, {counted(len(train.labels), 'image')} to learn from, "
        f"{len(valid.labels)} for validation, "
        f"{len(dataset.test.labels)} to test with"
    )


def _folder(found: ImageFolder) -> Iterator[str]:
    _, channels, height, width = found.decoded.pixels.shape
    kind = "grey" if channels == 1 else "colour"
    count, unreadable = len(found.labels), found.decoded.unreadable
    yield f"{found.scan.root.name}: {len(found.classes)} classes, {counted(count, 'picture')}"
    learned = found.readable & ~found.test & ~found.held
    masks = (learned, found.held, found.test)
    yield from _table(found.classes, [np.bincount(found.labels[mask], minlength=len(found.classes)) for mask in masks])
    sizes = found.decoded.sizes[found.readable]
    if len(sizes):
        least, most, edge = sizes.min(0), sizes.max(0), int(np.median(sizes.min(1)))
        yield f"sizes: {least[0]} x {least[1]} to {most[0]} x {most[1]} (width x height), median short edge {edge}"
    yield f"read as {kind}, {height} x {width}: {found.decoded.preprocessing}"
    if empty := found.scan.empty:
        yield f"no picture in {counted(len(empty), 'folder of a class', 'folders of classes')}; {EMPTY_ADVICE}"
        yield from (f"  {name}" for name in empty)
    yield f"unreadable: {len(unreadable) or 'none'}"
    yield from (f"  {found.scan.pictures[row].name}: {reason}" for row, reason in unreadable.items())
    within, across = copies(found)
    yield f"copies within a class: {sum(len(rows) - 1 for rows in within) or 'none'}"
    yield from (f"  {_names(found, rows)}" for rows in within)
    yield f"copies across classes: {f'{len(across)}; {COPIES_ADVICE}' if across else 'none'}"
    yield from (f"  {_names(found, rows)}" for rows in across)
    yield from notes(found, short=True)


def _names(found: ImageFolder, rows: list[int]) -> str:
    return " = ".join(found.scan.pictures[row].name for row in rows)


def _table(names: Sequence[str], columns: list[np.ndarray]) -> Iterator[str]:
    width = max(5, *map(len, names))
    yield f"{'class':<{width}}  train  valid   test"
    for name, *counts in zip(names, *columns):
        yield f"{name:<{width}}" + "".join(f"{count:>7}" for count in counts)
    if len(names) > 1:
        yield f"{'total':<{width}}" + "".join(f"{column.sum():>7}" for column in columns)
