"""What the frozen part of a model makes of the images of a run: computed once, and kept in the cache.

It is kept in parts, each of them written whole, under a name made from the frozen parameters and the images. So a
computation that was stopped goes on where it was, and other runs on the same images find it ready.
"""

import contextlib
import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..checkpoint import read_tensors, write_tensors
from ..counted import counted
from ..data import Split, cache_folder, digests_of, resized_line
from ..errors import CheckpointError, DataError
from ..layers import layer_of
from ..parallel import WorkerPool, predict_logits
from ..params import Params
from ..vit import ViT
from .display import Say

FORMAT = 1  # of a part
IMAGES_IN_A_PART, IMAGES_AT_ONCE = 128, 64
DROPOUTS = ("dropout", "patch_dropout", "attention_dropout", "drop_path")


def embedded(splits: tuple[Split, ...], model: ViT, pool: WorkerPool, say: Say, bar: bool) -> list[Split]:
    """The same splits with embeddings, (n, D) of the model's dtype, in place of their images, uint8 (n, C, Sh, Sw).

    The images are taken in the order of their digests, copies once, so that the result does not depend on how they are
    split. say: called with what is done; bar: draw a progress bar on stderr, if that is a terminal.
    Raises TrainingError for parameters that give no finite values.
    """
    headless = _headless(model)
    digests = np.concatenate([digests_of(split.images) for split in splits])
    distinct, first, places = np.unique(digests, axis=0, return_index=True, return_inverse=True)
    resized = any(resized_line(split.images) for split in splits)
    folder, began = _folder(headless, distinct, resized), time.perf_counter()
    starts = range(0, len(first), IMAGES_IN_A_PART)
    kept = _kept(folder, headless, [len(first[start : start + IMAGES_IN_A_PART]) for start in starts], pool)
    ready = all(part is not None for part in kept)
    count = f"the embeddings of {counted(len(first), 'image')}"
    once = "are computed once, since what makes them is frozen and nothing is augmented"
    _tell(say, f"{count} were computed before, and are in {folder}" if ready else f"{count} {once}")
    found = []
    with _bar(len(first), bar) as shown:
        for number, (start, part) in enumerate(zip(starts, kept)):
            rows = first[start : start + IMAGES_IN_A_PART]
            if part is None:
                part = np.concatenate([*_computed(splits, rows, headless, pool, shown)])
                if folder is not None and not _write(folder / _name(number), part, say):
                    folder = None
            else:
                shown.update(len(rows))
            found.append(part)
    if not ready:
        where = "" if folder is None else f", and are kept in {folder}"
        _tell(say, f"they took {time.perf_counter() - began:.1f} s{where}")
    embeddings = np.concatenate(found)[places.ravel()]
    edges = np.cumsum([len(split.labels) for split in splits])[:-1]
    return [Split(part, split.labels) for part, split in zip(np.split(embeddings, edges), splits)]


def _headless(model: ViT) -> ViT:
    """The frozen part of a model, whose output is what the head reads."""
    settings: dict[str, Any] = {"classes": None, "class_names": None, "head_hidden": None, "embedding": False}
    config = dataclasses.replace(model.config, **{**settings, **dict.fromkeys(DROPOUTS, 0.0)})
    depth = config.depth
    shapes = {name: shape for name, shape in model.params.shapes.items() if layer_of(name, depth) < depth + 2}
    size = sum(model.params[name].size for name in shapes)
    return ViT(config, params=Params(shapes, model.params.flat[:size]), preprocessing=model.preprocessing)


def _folder(model: ViT, digests: np.ndarray, resized: bool) -> Path | None:
    """Where the embeddings of images with these SHA-256 (n, 32) are kept; None if there is no place for them. resized:
    whether the images are resized when they are read."""
    settings = {"format": FORMAT, "model": model.config.to_dict(), "device": model.device, "dtype": str(model.dtype)}
    if resized and model.preprocessing is not None:  # the digests are those of the images before that
        settings["preprocessing"] = model.preprocessing.to_dict()
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    key.update(np.ascontiguousarray(model.params.to("cpu").flat))
    key.update(np.ascontiguousarray(digests))
    try:
        return cache_folder() / "embeddings" / key.hexdigest()[:32]
    except DataError:
        return None


def _bar(count: int, bar: bool) -> "tqdm[Any]":
    """A progress bar on stderr, where it is asked for and stderr is a terminal."""
    disable = None if bar and sys.stderr is not None else True
    return tqdm(desc="embedding", total=count, unit=" images", disable=disable, dynamic_ncols=True)


def _tell(say: Say, line: str) -> None:
    """Show a line; whether anybody reads is found out by the lines of the training that follows."""
    with contextlib.suppress(OSError):
        say(line)


def _name(number: int) -> str:
    return f"{number:06d}.safetensors"


def _kept(folder: Path | None, model: ViT, counts: Sequence[int], pool: WorkerPool) -> list[np.ndarray | None]:
    """The parts, each of so many images, that were kept; None for those that are missing or damaged, here or where
    another rank looks, since ranks compute a part together."""
    found = [None if folder is None else _read(folder / _name(i), model, n) for i, n in enumerate(counts)]
    everywhere = pool.ranks.gather(bytes(part is not None for part in found))
    return [part if all(each[i] for each in everywhere) else None for i, part in enumerate(found)]


def _read(path: Path, model: ViT, count: int) -> np.ndarray | None:
    try:
        found = read_tensors(path)[0].get("embeddings")
    except CheckpointError:
        return None
    return found if found is not None and found.shape == (count, model.config.features) else None


def _write(path: Path, part: np.ndarray, say: Say) -> bool:
    """Keep a part; False, after a line, if that cannot be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(path, {"embeddings": part}, {"format": FORMAT})
    except OSError as error:
        _tell(say, f"note: they cannot be kept in {path.parent}: {error.strerror or error}")
        return False
    return True


def _computed(
    splits: tuple[Split, ...], rows: np.ndarray, model: ViT, pool: WorkerPool, shown: "tqdm[Any]"
) -> Iterator[np.ndarray]:
    """The embeddings of images, counted through all splits, some at a time."""
    starts = np.cumsum([0, *(len(split.labels) for split in splits)])
    for start in range(0, len(rows), IMAGES_AT_ONCE):
        some = rows[start : start + IMAGES_AT_ONCE]
        images = np.empty((len(some), *model.config.image_shape), np.uint8)
        for split, first, last in zip(splits, starts, starts[1:]):
            inside = (first <= some) & (some < last)
            images[inside] = split.images[some[inside] - first]
        yield predict_logits(model.params, images, model.config, pool)
        shown.update(len(some))
