"""How the pictures of a data set are read: what was asked for, and what is chosen by looking at them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ..errors import DataError
from ..machine import available_cores
from ..preprocess import Preprocessing, ground_of, picture_size, read_picture

T = TypeVar("T")
R = TypeVar("R")
LARGEST_SIDE = 64  # pixels, unless more are asked for
DIVISORS = (7, 8)  # patches along a side that is chosen
LOOKED_AT = 200  # pictures, whose borders tell the ground


@dataclass(frozen=True)
class Reading:
    """How pictures are read; what is None is chosen (see `choose`).

    preprocessing: a model's, for example. channels: 1 for grey, 3 for colour. image_size: a side, or height and width,
    in pixels; only where no preprocessing is given. skip_unreadable: leave out pictures that cannot be read, at most a
    tenth, instead of refusing them. bar: draw progress bars on stderr, if that is a terminal.
    """

    preprocessing: Preprocessing | None = None
    channels: int | None = None
    image_size: int | tuple[int, int] | None = None
    skip_unreadable: bool = False
    bar: bool = False


def choose(paths: Sequence[Path], sizes: npt.NDArray[np.int32], reading: Reading) -> Preprocessing:
    """The preprocessing of pictures whose widths and heights (N, 2) are known (0 where they cannot be read): their
    middle, of the size that was asked for or `side_for` their short edges, on the ground that their borders have."""
    size = side_for(sizes) if reading.image_size is None else reading.image_size
    made = Preprocessing("crop", "light", size if isinstance(size, tuple) else (size, size))
    known = np.flatnonzero(sizes.all(1))
    some = []
    for row in known[:: max(1, -(-len(known) // LOOKED_AT))]:
        try:
            some.append(read_picture(paths[row], 3, made))
        except DataError:  # named later, with all of them
            continue
    return replace(made, ground=ground_of(np.stack(some)) or "light") if some else made


def side_for(sizes: npt.NDArray[np.int32]) -> int:
    """The side of the square that pictures of these widths and heights (N, 2) are made into: their median short edge,
    at most LARGEST_SIDE, and no longer than the next multiple of 7 or 8, so that 7 or 8 patches fill it."""
    edges = sizes.min(1)
    edge = min(LARGEST_SIDE, int(np.median(edges[edges > 0]))) if edges.any() else LARGEST_SIDE
    return max((edge // count * count for count in DIVISORS if edge >= count), default=edge)


def measure(paths: Sequence[Path], bar: bool) -> npt.NDArray[np.int32]:
    """Width and height of every picture as it is seen upright, (N, 2), from the beginnings of the files; 0 for those
    that cannot be read."""

    def size(path: Path) -> tuple[int, int]:
        try:
            return picture_size(path)
        except DataError:
            return 0, 0

    return np.array(list(on_threads(size, paths, "looking at pictures", bar)), np.int32).reshape(-1, 2)


def on_threads(function: Callable[[T], R], items: Sequence[T], what: str, bar: bool) -> Iterator[R]:
    """function(item) for all items, in order, on as many threads as there are cores, with a progress bar."""
    with ThreadPoolExecutor(available_cores(), "minivit-pictures") as threads:
        yield from _shown(threads.map(function, items), len(items), what, bar)


def _shown(results: Iterable[R], count: int, what: str, bar: bool) -> Iterator[R]:
    yield from tqdm(results, what, count, unit=" pictures", disable=None if bar else True, dynamic_ncols=True)
