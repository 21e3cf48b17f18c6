"""Picture files through a model, a chunk at a time: any number of them in bounded memory; and what they have become, as
a file of features."""

import io
import math
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .atomic import write_atomically
from .data.folders import PARTS
from .errors import ConfigError, DataError
from .preprocess import Preprocessing, read_pictures
from .vit import ViT

CHUNK = 64  # picture files that a model sees at once
BYTES_AT_ONCE = 1 << 22  # of images that are in memory already


class Chunk(NamedTuple):
    """Some of the pictures that were asked for. paths: of those that could be read, (n,); images: their pixels, uint8
    (n, C, Sh, Sw), in the same order; errors: a line for each that could not."""

    paths: list[str]
    images: np.ndarray
    errors: list[DataError]


def chunks(model: ViT, paths: Sequence[str], threads: int = 1, progress: bool = False) -> Iterator[Chunk]:
    """The pictures in these files as the model reads them, decoded on threads. progress: draw a bar on stderr, where
    that is a terminal and there are several chunks. Raises ConfigError and MissingPackageError as `read_picture`."""
    from tqdm import tqdm

    config = model.config
    found = read_pictures(paths, config.channels, model.preprocessing or Preprocessing.default(config), threads)
    hidden = None if progress and len(paths) > CHUNK else True  # None: where stderr is no terminal
    with tqdm(total=len(paths), unit=" pictures", leave=False, disable=hidden) as bar:
        for start in range(0, len(paths), CHUNK):
            named = list(zip(paths[start : start + CHUNK], islice(found, CHUNK)))
            read = [(path, image) for path, image in named if not isinstance(image, DataError)]
            pixels = np.stack([image for _, image in read]) if read else np.empty((0, *config.image_shape), np.uint8)
            bar.clear()  # for what is printed of it
            yield Chunk([path for path, _ in read], pixels, [e for _, e in named if isinstance(e, DataError)])
            bar.update(len(named))


def embed_images(model: ViT, images: Any, threads: int = 1, progress: bool = False) -> np.ndarray:
    """`ViT.embed` of a data set's images, uint8 (n, C, Sh, Sw), a chunk of which is read at a time: (n, D).
    progress: draw a bar on stderr, where that is a terminal."""
    from tqdm import tqdm

    count = max(1, BYTES_AT_ONCE // math.prod(images.shape[1:]))
    starts = tqdm(range(0, len(images), count), "embedding", leave=False, disable=None if progress else True)
    return np.concatenate([model.embed(images[start : start + count], threads) for start in starts])


class Features(NamedTuple):
    """Features of pictures, as `minivit embed` writes them.

    features: float32 or float64 (n, D). labels: (n,) class numbers, -1 where no folder tells the class. names: (n,) the
    files. class_names: (K,) the folders, sorted.
    """

    features: np.ndarray
    labels: np.ndarray
    names: np.ndarray
    class_names: np.ndarray


def save_features(path: str | Path, found: Features) -> None:
    """Write features to an .npz file, atomically; nothing in it is pickled. Raises OSError if it cannot be written."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **found._asdict())
    write_atomically(path, content.getvalue())


def read_features(path: str | Path) -> Features:
    """What `save_features` wrote."""
    with np.load(path, allow_pickle=False) as content:
        return Features(*(content[name] for name in Features._fields))


def check_features_path(path: str | Path) -> None:
    """Raise, before anything is computed for it: ConfigError for a name that does not end in .npz, or is a folder's;
    FileNotFoundError without a folder to write in."""
    path = Path(path)
    if path.suffix != ".npz" or path.is_dir():
        raise ConfigError(f"{path}: features are written to a file that ends in .npz, features.npz for example")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write in: make it, or choose another")


def classes_of(paths: Sequence[str], folders: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The class numbers (n,) of picture files and the classes' names (K,): a class is a folder in one of `folders`, as
    cat is of photos/cat/1.jpg, or, where pictures are split so, of photos/train/cat/1.jpg. -1 for all other files."""
    names = [_class_of(path, folders) for path in paths]
    known = sorted({name for name in names if name is not None})
    number = {name: k for k, name in enumerate(known)}
    labels = np.array([-1 if name is None else number[name] for name in names], np.int64)
    return labels, np.array(known, np.str_)


def _class_of(path: str, folders: Sequence[str]) -> str | None:
    for folder in folders:
        if path.startswith(os.path.join(folder, "")):
            inner = os.path.relpath(path, folder).split(os.sep)[:-1]
            inner = inner[1:] if inner[:1] and inner[0].lower() in PARTS else inner
            return inner[0] if inner else None
    return None
