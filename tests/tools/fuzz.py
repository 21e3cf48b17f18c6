"""Damaged files, as many as asked for, to every reader of files: IDX, gzip, pictures, models, states and JSON.

    python -m tests.tools.fuzz 10000            # minutes
    python -m tests.tools.fuzz 1 --seed 1234    # one file again, as its failure names it

A damaged file may be read, if what is damaged cannot be told, or refused: in one line that names it, within a second of
computing, and without memory for what a header promises. Anything else is a failure.
"""

import argparse
import gzip
import json
import struct
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minivit import ViT
from minivit.checkpoint import load_model, read_tensors, write_tensors
from minivit.data import load
from minivit.data.idx import read_idx, write_idx
from minivit.errors import DataWarning, MinivitError
from minivit.preprocess import Preprocessing, read_picture
from minivit.run.records import read_metrics, read_result, read_settings
from minivit.run.state import load_state, state_bytes
from minivit.train import Metrics, RunningSums, TrainConfig, Trainer
from tests.tools import tiny

MOST_SECONDS = 1.0  # of computing, for one file
MOST_MEMORY = 1 << 30  # bytes, besides what Python and the libraries take
LONGEST = 1000  # characters of a message, without the file's name
PICTURES = {"png": "L", "jpg": "RGB", "gif": "P", "bmp": "RGB", "tif": "I;16", "webp": "RGBA", "ppm": "RGB", "jp2": "L"}
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
VALUES = (None, True, -1, 0, 3, 1e300, 10**400, float("nan"), "", "x", "\n", [], [1, [2]], {}, {"step": []}, [None] * 3)


class Sample(NamedTuple):
    """A sound file, what reads it, and how it can be forged: changed inside, with its checksum made again."""

    path: Path
    read: Callable[[Path], Any]
    forge: Callable[[Path, Any], None] | None = None


def samples(folder: Path) -> dict[str, Sample]:
    """One of each kind, written into the folder."""
    made = {}
    pixels = load("mnist5k").test.images[::100, 0]
    for name in ("images-idx3-ubyte", "images-idx3-ubyte.gz"):
        write_idx(folder / name, pixels)
        made[name] = Sample(folder / name, read_idx, _forge_gzip if name.endswith(".gz") else None)
    try:
        from PIL import Image, features
    except ImportError:
        Image = None
    for ending, mode in PICTURES.items() if Image else ():
        if ending in ("webp", "jp2") and not features.check({"webp": "webp", "jp2": "jpg_2000"}[ending]):
            continue
        page = Image.fromarray(255 - np.pad(pixels[3], 20)).convert("L" if mode == "I;16" else mode)
        if mode == "I;16":
            page = Image.fromarray(np.asarray(page).astype("uint16") * 200)
        page.save(folder / f"digit.{ending}")
        made[ending] = Sample(folder / f"digit.{ending}", _read_picture, _forge_png if ending == "png" else None)

    model = ViT(tiny.config(), preprocessing=Preprocessing("digit", "dark", (8, 8)))
    model.save(folder / "model.safetensors")
    made["model"] = Sample(folder / "model.safetensors", load_model, _forge_tensors)

    trainer = Trainer(model, TrainConfig(batch_size=6, ema=0.9, threads=1))
    trainer.step(*tiny.images(6))
    settings = {"format": 1, "run": "a", "data": "mnist5k", "data_sha256": "b", "init": None, "device": "cpu"}
    settings |= {"model": model.config.to_dict(), "train": trainer.config.to_dict(), "preprocessing": None}
    report = Metrics(1, 1, 2.0, 0.5, 1e-3, 0.1, 100.0, 2.0, 0.5)._asdict()
    path = folder / "state.safetensors"
    path.write_bytes(state_bytes(settings, trainer, RunningSums(1.0, 2, 6), [report], 3.0))
    made["state"] = Sample(path, lambda path: load_state(path, settings, trainer), _forge_tensors)

    result = {"format": 1, "test_accuracy": 0.5, "test_correct": 1, "test_total": 2, "parameters": 3, "seed": 0}
    result |= {"train_seconds": 4.0, "data": "mnist5k", "test_confusion": ["1 0", "1 0"], "tta": None}
    contents = {
        "config.json": json.dumps(settings, indent=2),
        "result.json": json.dumps(result, indent=2),
        "metrics.jsonl": 3 * (json.dumps(report) + "\n"),
    }
    readers = {"config.json": read_settings, "result.json": read_result, "metrics.jsonl": read_metrics}
    for name, content in contents.items():
        (folder / name).write_text(content)
        made[name] = Sample(folder / name, lambda path, read=readers[name]: read(path.parent), _forge_json)
    return made


def damaged(content: bytes, others: list[bytes], rng: Any) -> bytes:
    """The content with something wrong in it."""
    new, size = bytearray(content), len(content)
    start = int(rng.integers(size))
    kind = rng.choice(["flip", "truncate", "insert", "zero", "header", "swap", "double"])
    if kind == "flip":
        for place in rng.integers(0, size, rng.integers(1, 9)):
            new[place] ^= 1 << rng.integers(8)
    elif kind == "truncate":
        del new[start:]
    elif kind == "insert":
        new[start:start] = rng.bytes(rng.integers(1, 99))
    elif kind == "zero":
        end = min(size, start + int(rng.integers(1, 999)))
        new[start:end] = bytes(end - start)
    elif kind == "header":
        for _ in range(rng.integers(1, 4)):
            start, length = int(rng.integers(min(size, 64))), int(rng.choice([1, 2, 4]))
            value = int(rng.choice(EXTREMES)) % (1 << 8 * length)
            new[start : start + length] = value.to_bytes(length, str(rng.choice(["big", "little"])))
    elif kind == "swap":
        new[:] = others[rng.integers(len(others))]
        new[:8] = content[:8] if rng.integers(2) else new[:8]
    else:
        new *= 2
    return bytes(new)


class Outcome(NamedTuple):
    refused: bool
    problem: str | None = None


def attempt(sample: Sample, seconds: float = MOST_SECONDS) -> Outcome:
    """Read a damaged file, and judge what happens."""
    started, message = time.process_time(), None
    try:
        sample.read(sample.path)
    except (MinivitError, OSError) as error:
        message = str(error)
    except Exception as error:
        return Outcome(True, f"{type(error).__name__}: {error}")
    spent = time.process_time() - started
    if spent > seconds:
        return Outcome(message is not None, f"it took {spent:.1f} s")
    if message is None:
        return Outcome(False)
    if "\n" in message or sample.path.name not in message:
        return Outcome(True, f"the message has several lines, or does not name the file: {message!r}")
    if len(message.replace(str(sample.path), "")) > LONGEST:
        return Outcome(True, f"the message has {len(message)} characters: {message[:200]}...")
    return Outcome(True)


def fuzz(count: int, seed: int, made: dict[str, Sample]) -> Iterator[tuple[str, int, Outcome]]:
    """Damage `count` files, of every kind in turn: the kind, the seed that makes this file again, and the outcome."""
    sound = {name: sample.path.read_bytes() for name, sample in made.items()}
    for number in range(seed, seed + count):
        rng = np.random.default_rng(number)
        name = list(made)[number % len(made)]
        sample = made[name]
        if sample.forge is not None and rng.integers(3) == 0:
            sample.forge(sample.path, rng)
        else:
            sample.path.write_bytes(damaged(sound[name], list(sound.values()), rng))
        yield name, number, attempt(sample)
        sample.path.write_bytes(sound[name])


def _read_picture(path: Path) -> None:
    for rule, channels in (("digit", 1), ("crop", 3)):
        read_picture(path, channels, Preprocessing(rule, "dark"))


def _forge_gzip(path: Path, rng: Any) -> None:
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(damaged(content, [content], rng), 1))


def _forge_png(path: Path, rng: Any) -> None:
    """Other sizes, depths and kinds of colours in its header."""
    content = bytearray(path.read_bytes())
    width, height = (int(rng.choice([0, 1, 9, 68, 10**4, 10**6, 0x7FFFFFFF])) for _ in range(2))
    depth, colour, *others = (
        int(rng.choice(values)) for values in ([1, 8, 16], [0, 2, 3, 4, 6], [0, 1], [0, 1], [0, 1])
    )
    content[16:29] = struct.pack(">IIBBBBB", width, height, depth, colour, *others)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


def _forge_tensors(path: Path, rng: Any) -> None:
    arrays, content = read_tensors(path)
    if rng.integers(4) == 0:
        name = str(rng.choice(list(arrays)))
        changes = [arrays[name][:-1], arrays[name].astype("float64"), arrays[name] * np.nan, arrays[name][None]]
        arrays[name] = changes[rng.integers(len(changes))]
    write_tensors(path, arrays, _changed(content, rng))


def _forge_json(path: Path, rng: Any) -> None:
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    lines[-1] = json.dumps(_changed(json.loads(lines[-1]), rng))
    path.write_text("\n".join(lines) + "\n")


def _changed(content: dict[str, Any], rng: Any) -> dict[str, Any]:
    """A value in it, at any depth, is another, is gone, or has another name."""
    content = json.loads(json.dumps(content))
    place = content
    while nested := [key for key, value in place.items() if isinstance(value, dict) and value]:
        if rng.integers(3) == 0:
            break
        place = place[nested[rng.integers(len(nested))]]
    key = list(place)[rng.integers(len(place))]
    kind = rng.integers(4)
    if kind == 0:
        del place[key]
    elif kind == 1:
        place[key + "?"] = place.pop(key)
    else:
        place[key] = VALUES[rng.integers(len(VALUES))]
    return content


def limit_memory() -> None:
    """Let this process take no more than MOST_MEMORY besides what it has, where the system knows such limits."""
    try:
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + MOST_MEMORY, taken + MOST_MEMORY))
    except (ImportError, OSError):
        pass


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0, help="of the first file; the next have the next ones")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", DataWarning)
    files, refused, failures = Counter(), Counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        made = samples(Path(folder))
        for sample in made.values():  # all is imported before memory is limited
            sample.read(sample.path)
        limit_memory()
        for name, seed, outcome in fuzz(arguments.count, arguments.seed, made):
            files[name] += 1
            refused[name] += outcome.refused
            if outcome.problem is not None:
                failures += 1
                print(f"seed {seed}, {name}: {outcome.problem}", flush=True)
    print(", ".join(f"{name} {refused[name]} of {files[name]} refused" for name in files))
    print(f"{files.total()} damaged files of {len(files)} kinds, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
