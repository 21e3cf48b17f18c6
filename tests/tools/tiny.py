"""A data set and a model so small that a whole training takes a moment, and minivit as a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from minivit.config import ViTConfig
from minivit.data.idx import write_idx
from minivit.run.settings import pixel_statistics

ROOT = Path(__file__).resolve().parents[2]
MODEL = {"patch_size": 4, "dim": 8, "depth": 2, "heads": 2, "mlp_dim": 8}
DROPOUTS = {"dropout": 0.1, "attention_dropout": 0.1, "drop_path": 0.2}
FOR_THREADS = {"mlp_dim": 1600}  # makes shards of 9 images large enough for threads


def images(count: int, shape: tuple[int, ...] = (1, 8, 8), classes: int = 3, seed: int = 0) -> tuple[Any, Any]:
    """uint8 images (count, *shape), easy to tell apart, and their labels (count,)."""
    patterns = np.random.default_rng(1).integers(0, 180, (classes, *shape))
    labels = np.arange(count) % classes
    noise = np.random.default_rng(seed).integers(0, 76, (count, *shape))
    return (patterns[labels] + noise).astype(np.uint8), labels


def config(shape: tuple[int, ...] = (1, 8, 8), classes: int = 3, **settings: Any) -> ViTConfig:
    """The config of the small model for such images, normalised by their own statistics."""
    mean, std = pixel_statistics(images(60, shape, classes)[0])
    data = {"image_size": shape[1:], "channels": shape[0], "classes": classes, "pixel_mean": mean, "pixel_std": std}
    return ViTConfig(**{**MODEL, **data, **settings})


def little_shards(monkeypatch: Any, tokens: int) -> None:
    """Shards of so many tokens, however little a token is, and threads however small the shards are."""
    monkeypatch.setattr("minivit.parallel.TOKENS_PER_SHARD", tokens)
    monkeypatch.setattr("minivit.parallel.FLOATS_PER_SHARD", 0)
    monkeypatch.setattr("minivit.parallel.FLOATS_FOR_THREADS", 0)


def write_data(
    folder: Path, train: int = 60, test: int = 20, shape: tuple[int, ...] = (1, 8, 8), classes: int = 3
) -> str:
    """Write a data set of such images as IDX files; the folder's name."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (part, count) in enumerate((("train", train), ("t10k", test))):
        pixels, labels = images(count, shape, classes, seed)
        if shape[0] == 1:
            pixels = pixels[:, 0]
        write_idx(folder / f"{part}-images-idx{pixels.ndim}-ubyte", pixels)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels.astype(np.uint8))
    return str(folder)


def flags(**settings: Any) -> list[str]:
    """Settings as they are written on a command line, those of the small model first."""
    words = []
    for name, value in {**MODEL, **settings}.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    return words


def start(*arguments: str, program: tuple[str, str] = ("-m", "minivit"), **more: Any) -> subprocess.Popen:
    """`minivit ARGUMENTS` as a process, with the tree that is tested; a warning ends it. program: what Python runs."""
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8", **more}
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONUTF8": "1"}
    if os.name == "posix":
        settings["preexec_fn"] = _default_signals
    return subprocess.Popen([sys.executable, "-W", "error", *program, *arguments], env=environment, **settings)


def _default_signals() -> None:
    """Signals as a terminal gives them, whatever the tests were started by: nohup ignores SIGHUP, `&` in a script
    SIGINT, and processes inherit that."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def trains(process: subprocess.Popen) -> bool:
    """Wait until a training process has printed its first epoch: whether it began as a run does, and got there."""
    lines = [process.stdout.readline()]
    while lines[-1] and not lines[-1].startswith("epoch "):
        lines.append(process.stdout.readline())
    return lines[0].startswith("run ") and lines[-1].startswith("epoch ")


def minivit(*arguments: str, **more: Any) -> tuple[int, str, str]:
    """Run `minivit ARGUMENTS` to its end: exit status, what it printed, and its errors."""
    with start(*arguments, **more) as process:
        out, errors = process.communicate(timeout=120)
    return process.returncode, out, errors


def python(code: str, *arguments: str) -> tuple[int, str, str]:
    """Run Python code with these arguments to its end: exit status, what it printed, and its errors."""
    return minivit(*arguments, program=("-c", code))
