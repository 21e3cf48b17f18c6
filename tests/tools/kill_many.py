"""Kill trainings with SIGKILL at random moments, resume them, and compare what they end with:

    python -m tests.tools.kill_many 200

trains one small model without disturbance, and then again and again, ten kills to a training: the first while it
writes its first file, the second while it writes its first state, the others anywhere. Every training must end with the
model.safetensors of the first, byte for byte, and with a metrics.jsonl that has every step once.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.tools.tiny import DROPOUTS, FOR_THREADS, flags, minivit, start, write_data

STEPS = 120
SETTINGS = flags(
    **DROPOUTS, **FOR_THREADS, epochs=40, batch_size=18, ema=0.9, augment=1, save_every=1, log_every=1, threads=2
)
PICTURES = {"curves.png", "confusion.png"}  # where matplotlib is installed
FILES = {"config.json", "metrics.jsonl", "model.safetensors", "result.json", *PICTURES}


def train_undisturbed(folder: Path, data: str) -> bytes:
    """Train from start to end; the model's bytes."""
    status, _, errors = minivit("train", "--data", data, "--out", str(folder), *SETTINGS)
    assert status == 0, errors
    return (folder / "model.safetensors").read_bytes()


def train_with_kills(folder: Path, data: str, kills: int, draw: random.Random) -> list[str]:
    """Train in processes of which `kills` are killed, then to the end; what was in the folder at every kill."""
    last = kills - 2
    steps = [int(STEPS * (k + draw.random()) / last) for k in range(last)]  # spread over the run
    seen = [kill(folder, data, 0, ".config.json.", draw), kill(folder, data, 0, ".state.safetensors.", draw)]
    seen += [kill(folder, data, step, "", draw) for step in steps]
    with process(folder, data) as last_process:
        _, errors = last_process.communicate(timeout=120)
    assert last_process.returncode == 0, "\n".join([*seen, errors])
    return seen


def kill(folder: Path, data: str, step: int, file: str, draw: random.Random) -> str:
    """Start or resume the training and kill it, somewhere in the step after `step`, or as soon as a file of that name,
    or of its part of it, appears; the names and the step that were there then."""
    with process(folder, data) as victim:
        while victim.poll() is None:
            if file and any(path.name.startswith((file, file[1:-1])) for path in files(folder)):
                break
            if not file and logged(folder) >= step:
                time.sleep(draw.uniform(0, 0.02))
                break
            time.sleep(0.0002)
        victim.kill()
        errors = victim.stderr.read()
    assert not errors, errors
    return f"step {logged(folder)}: {', '.join(sorted(path.name for path in files(folder)))}"


def process(folder: Path, data: str) -> subprocess.Popen:
    if (folder / "config.json").exists():
        return start("train", "--resume", str(folder), stdout=subprocess.DEVNULL)
    return start("train", "--data", data, "--out", str(folder), *SETTINGS, stdout=subprocess.DEVNULL)


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def logged(folder: Path) -> int:
    path = folder / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def check_end(folder: Path, expected: bytes) -> None:
    """The run ended as it does undisturbed, and left nothing else behind."""
    assert (folder / "model.safetensors").read_bytes() == expected
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, STEPS + 1))
    assert {path.name for path in files(folder)} | PICTURES == FILES


def main(kills: int, seed: int = 0) -> None:
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        data = write_data(Path(name) / "data")
        expected = train_undisturbed(Path(name) / "whole", data)
        for training in range(-(-kills // 10)):
            folder = Path(name) / f"run{training}"
            for moment in train_with_kills(folder, data, 10, draw):
                print(moment)
            check_end(folder, expected)
            print(f"{10 * (training + 1)} kills: the same bytes", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
