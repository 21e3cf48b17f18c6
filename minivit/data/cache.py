"""Decoded pictures, kept: a data set of picture files is decoded once, into a memory map of uint8 in the user's cache.

    pictures/<data set>-<key>/      key: of the files' names, sizes and times, and of how they are decoded
        pixels.npy       uint8 (N, C, Sh, Sw), a row for every file, zeros where one cannot be read
        digests.npy      uint8 (N, 32), the SHA-256 of every row
        sizes.npy        int32 (N, 2), width and height of every file, upright; 0 where it cannot be read
        about.json       the format, how the pictures were made, and why files cannot be read
    pictures/<data set>-<key>.json  what was chosen for these files, where not everything was said
    pictures/embeddings/            what frozen models made of images: see run/embeddings.py

A folder appears whole or not at all.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..atomic import read_json, write_json
from ..errors import CheckpointError, ConfigError, DataError, MissingPackageError
from ..preprocess import NO_PILLOW, Preprocessing, read_picture
from .mnist import data_folders
from .reading import Reading, choose, measure, on_threads
from .split import digests_of, parts

FORMAT = 1
OVER_A_MEGABYTE = 1e6


class Decoded(NamedTuple):
    """The pictures of N files, in their order."""

    pixels: npt.NDArray[np.uint8]  # (N, C, Sh, Sw), a memory map
    digests: npt.NDArray[np.uint8]  # (N, 32)
    sizes: npt.NDArray[np.int32]  # (N, 2)
    unreadable: dict[int, str]  # the rows of files that cannot be read, and why
    preprocessing: Preprocessing  # how they were made
    folder: Path  # where they are kept


def cache_folder() -> Path:
    """Where decoded pictures are kept: in the first of `data_folders()`."""
    return data_folders()[0] / "pictures"


def clear_cache() -> int:
    """Remove all decoded pictures and embeddings; how many bytes they took. Raises DataError if that cannot be done."""
    folder = cache_folder()
    size = size_of(folder)
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise DataError(f"cannot remove {folder}: {error.strerror or error}") from None
    return size


def size_of(folder: Path) -> int:
    """The bytes of all files in a folder; 0 where there is none."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def decode(root: Path, names: Sequence[str], reading: Reading) -> Decoded:
    """The pictures in these files of a folder, decoded as `reading` says, and what it does not say is chosen: from the
    cache, if they are in it, else they are decoded on threads and put there. The channels are those that were asked
    for, else 3 if any picture has colour.

    Raises DataError if the cache cannot be written; MissingPackageError without pillow.
    """
    try:
        import PIL
    except ImportError:
        raise MissingPackageError(NO_PILLOW) from None
    paths = [root / name for name in names]
    key = [FORMAT, PIL.__version__, str(root), [[name, *_size_and_time(path)] for name, path in zip(names, paths)]]
    made, channels, sizes = reading.preprocessing, reading.channels, None
    asked = _path(root, [*key, reading.image_size if made is None else _rule(made), channels])
    choice = asked.with_name(f"{asked.name}.json")
    if made is None or channels is None:
        made, channels = _chosen_before(choice) or (made, channels)
    if made is None:
        sizes = measure(paths, reading.bar)
        made = replace(choose(paths, sizes, reading), pillow=PIL.__version__)
    if channels is not None and (found := _read(_path(root, [*key, _rule(made), channels]), made)) is not None:
        return found
    try:
        with _growing(cache_folder()) as folder:
            channels = _fill(folder, paths, made, channels, sizes, reading.bar)
            place = _path(root, [*key, _rule(made), channels])
            shutil.rmtree(place, ignore_errors=True)  # which is damaged
            with contextlib.suppress(OSError):  # another process was faster
                os.rename(folder, place)
        write_json(choice, {"preprocessing": made.to_dict(), "channels": channels})
    except OSError as error:
        raise DataError(
            f"cannot keep decoded pictures in {cache_folder()}: {error.strerror or error}; make room there, or set "
            "MINIVIT_DATA to a folder that can be written"
        ) from None
    found = _read(place, made)
    if found is None:
        raise DataError(f"{place} was removed while it was written: try again")
    return found


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
        return stat.st_size, stat.st_mtime_ns
    except OSError:  # a link to nowhere
        return -1, 0


def _fill(
    folder: Path,
    paths: Sequence[Path],
    made: Preprocessing,
    channels: int | None,
    sizes: npt.NDArray[np.int32] | None,
    bar: bool,
) -> int:
    """Decode pictures into a new folder of the cache; how many channels they have."""
    sizes = measure(paths, bar) if sizes is None else sizes
    unreadable = _decode_into(folder / "pixels.npy", paths, made, channels or 3, bar)
    channels = channels or _without_needless_channels(folder / "pixels.npy")
    sizes[list(unreadable)] = 0
    np.save(folder / "sizes.npy", sizes)
    np.save(folder / "digests.npy", digests_of(np.load(folder / "pixels.npy", mmap_mode="r")))
    write_json(folder / "about.json", {"format": FORMAT, "files": len(paths), "unreadable": unreadable})
    return channels


def _rule(made: Preprocessing) -> dict[str, Any]:
    """What decides the pixels: not which Pillow has made others."""
    return {name: value for name, value in made.to_dict().items() if name != "pillow"}


def _path(root: Path, key: Any) -> Path:
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    name = root.name.encode("ascii", "replace").decode().replace("?", "_")[:40]
    return cache_folder() / f"{name}-{digest[:20]}"


@contextlib.contextmanager
def _growing(cache: Path) -> Any:
    """A new folder in the cache, removed at the end if it still has its first name."""
    folder = cache / f".{os.getpid()}-{os.urandom(6).hex()}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _chosen_before(path: Path) -> tuple[Preprocessing, int] | None:
    with contextlib.suppress(CheckpointError, ConfigError, LookupError, TypeError):
        values = read_json(path)
        if values is not None:
            return Preprocessing.from_dict(values["preprocessing"]), int(values["channels"])
    return None


def _read(folder: Path, made: Preprocessing) -> Decoded | None:
    """What is kept in a folder of the cache; None where it is not there, or not whole."""
    try:
        about = read_json(folder / "about.json")
        unreadable = {int(row): str(reason) for row, reason in about["unreadable"].items()}
        pixels = np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False)
        digests, sizes = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("digests", "sizes"))
    except (CheckpointError, OSError, ValueError, LookupError, TypeError, AttributeError, EOFError):
        return None
    count = about.get("files")
    whole = pixels.ndim == 4 and pixels.dtype == np.uint8 and len(pixels) == count
    whole &= digests.shape == (count, 32) and sizes.shape == (count, 2)
    return Decoded(pixels, digests, sizes, unreadable, made, folder) if whole else None


def _decode_into(file: Path, paths: Sequence[Path], made: Preprocessing, channels: int, bar: bool) -> dict[int, str]:
    """Decode pictures into an array in a file; why some cannot be read, by their rows."""
    shape = (len(paths), channels, *made.size)
    free, needed = shutil.disk_usage(file.parent).free, int(np.prod(shape))
    if needed > free:
        raise OSError(f"{needed / OVER_A_MEGABYTE:.0f} MB are needed, {free / OVER_A_MEGABYTE:.0f} MB are free")
    pixels = np.lib.format.open_memmap(file, "w+", np.uint8, shape)

    def fill(row: int) -> str | None:
        try:
            pixels[row] = read_picture(paths[row], channels, made)
        except DataError as error:
            return str(error).removeprefix(f"cannot read {paths[row]}: ")
        return None

    reasons = enumerate(on_threads(fill, range(len(paths)), "decoding", bar))
    unreadable = {row: reason for row, reason in reasons if reason is not None}
    pixels.flush()
    return unreadable


def _without_needless_channels(file: Path) -> int:
    """The number of channels that pictures in a file need: where all are grey, two of the three are taken away."""
    pixels = np.load(file, mmap_mode="r")
    if any((part != part[:, :1]).any() for part in parts(pixels)):
        return 3
    grey = np.lib.format.open_memmap(file.with_name("grey.npy"), "w+", np.uint8, (len(pixels), 1, *pixels.shape[2:]))
    start = 0
    for part in parts(pixels):
        grey[start : start + len(part)] = part[:, :1]
        start += len(part)
    grey.flush()
    os.replace(file.with_name("grey.npy"), file)
    return 1
