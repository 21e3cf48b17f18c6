"""Many picture files: finding them in folders, and reading them on threads, in order and in bounded memory."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .pictures import Preprocessing, read_picture

ENDINGS = (  # of picture files; HEIC is named where it is met, with what to do
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".avif", ".jp2"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif"),
)


def find_pictures(names: Iterable[str | os.PathLike[str]]) -> list[str]:
    """The names, and for each that is a folder the picture files in it and in its folders, told by their endings and
    sorted by name. What is hidden, and links to folders, are left out. Raises DataError for a folder that has none."""
    found: list[str] = []
    for given in names:
        name = os.fspath(given)
        if not os.path.isdir(name):
            found.append(name)
            continue
        before = len(found)
        for place, folders, files in os.walk(name):
            folders[:] = sorted(folder for folder in folders if _counts(folder))
            found += [
                os.path.join(place, file) for file in sorted(files) if _counts(file) and file.lower().endswith(ENDINGS)
            ]
        if len(found) == before:
            raise DataError(f"{name}: a folder without pictures ({', '.join(ENDINGS[:3])}, ...): choose another one")
    return found


def read_pictures(
    paths: Sequence[str], channels: int, preprocessing: Preprocessing, threads: int = 1
) -> Iterator[npt.NDArray[np.uint8] | DataError]:
    """What `read_picture` returns or raises for each of the files, in order. No more than two files for each of the
    threads are ahead of what was taken. Raises ConfigError and MissingPackageError as `read_picture` does."""

    def read(path: str) -> npt.NDArray[np.uint8] | DataError:
        try:
            return read_picture(path, channels, preprocessing)
        except DataError as error:
            return error

    if threads == 1 or len(paths) == 1:
        yield from map(read, paths)
        return
    ahead: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(threads, "minivit-pictures") as pool:
        try:
            for path in paths:
                ahead.append(pool.submit(read, path))
                if len(ahead) > 2 * threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


def _counts(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"
