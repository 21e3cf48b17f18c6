"""Kill trainings with SIGKILL at random moments, resume them, and compare what they end with:

    python -m tests.tools.kill_many 200

trains one small model without disturbance, and then again and again, ten kills to a training: the first while it
writes its first file, the second while it writes its first state, the others anywhere. Every second training is to
replace a run that is in its folder. Before every process the data may move to another place, and every process has
threads and saves of its own. Every training must end with the model.safetensors of the first, byte for byte, and with
a metrics.jsonl that has every step once.
"""

import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.tools.tiny import DROPOUTS, FOR_THREADS, flags, minivit, start, write_data

STEPS = 120
SETTINGS = flags(
    **{**DROPOUTS, "patch_dropout": 0.25, "patch_dropout_until": 0.5},
    **{**FOR_THREADS, "epochs": 40, "batch_size": 18, "ema": 0.9, "augment": 1, "log_every": 1},
)
PICTURES = {"curves.png", "confusion.png"}  # where matplotlib is installed
FILES = {"config.json", "metrics.jsonl", "model.safetensors", "result.json", *PICTURES}


def train_undisturbed(folder: Path, data: str) -> bytes:
    """Train from start to end; the model's bytes."""
    status, _, errors = minivit("train", "--data", data, "--out", str(folder), *SETTINGS, "--threads", "2")
    assert status == 0, errors
    return (folder / "model.safetensors").read_bytes()


class Training:
    """A training in a folder, in many processes, and its data. replaced: a run that it is to replace."""

    def __init__(self, folder: Path, data: str, draw: random.Random, replaced: Path | None = None) -> None:
        self.folder, self.draw = folder, draw
        self.data = Path(shutil.copytree(data, folder.with_name(f"{folder.name}-data")))
        self.before = ""
        self.moves = 0
        if replaced is not None:
            shutil.copytree(replaced, folder)
            self.before = self.run()

    def run(self) -> str:
        """What the run is called whose settings are in the folder."""
        path = self.folder / "config.json"
        return json.loads(path.read_text())["run"] if path.exists() else ""

    def has_begun(self) -> bool:
        """Whether those settings are of this training."""
        return self.run() not in ("", self.before)

    def process(self) -> subprocess.Popen:
        """Start it or resume it, as the last process left it: with other threads, and maybe with its data elsewhere."""
        if self.draw.random() < 0.5:
            self.moves += 1
            self.data = self.data.rename(self.folder.with_name(f"{self.folder.name}-data-{self.moves}"))
        machine = ["--threads", str(self.draw.choice((1, 2, 3))), "--save-every", str(self.draw.choice((1, 1, 2, 7)))]
        if self.has_begun():
            known = json.loads((self.folder / "config.json").read_text())["data"] == str(self.data.resolve())
            more = [] if known else ["--data", str(self.data)]
            return start("train", "--resume", str(self.folder), *more, *machine, stdout=subprocess.DEVNULL)
        more = ["--overwrite"] if self.before else []
        command = ["train", "--data", str(self.data), "--out", str(self.folder), *more, *SETTINGS, *machine]
        return start(*command, stdout=subprocess.DEVNULL)

    def kill(self, step: int, file: str) -> str:
        """Start or resume the training and kill it, somewhere in the step after `step`, or as soon as a part of a file
        of that name, or the first one, appears; the names and the step that were there then."""
        with self.process() as victim:
            while victim.poll() is None:
                if file and any(path.name.startswith(f".{file}.") for path in self.files()):
                    break
                if self.has_begun() and (file or self.logged() >= step):
                    time.sleep(0 if file else self.draw.uniform(0, 0.02))
                    break
                time.sleep(0.0002)
            victim.kill()
            errors = victim.stderr.read()
        assert not errors, errors
        return f"step {self.logged()}: {', '.join(sorted(path.name for path in self.files()))}"

    def with_kills(self, kills: int) -> list[str]:
        """Train in processes of which `kills` are killed, then to the end; what was in the folder at every kill."""
        last = kills - 2
        steps = [int(STEPS * (k + self.draw.random()) / last) for k in range(last)]  # spread over the run
        seen = [self.kill(0, "config.json"), self.kill(0, "state.safetensors")]
        seen += [self.kill(step, "") for step in steps]
        with self.process() as last_process:
            _, errors = last_process.communicate(timeout=120)
        assert last_process.returncode == 0, "\n".join([*seen, errors])
        return seen

    def files(self) -> list[Path]:
        return list(self.folder.iterdir()) if self.folder.is_dir() else []

    def logged(self) -> int:
        """The last step that is in metrics.jsonl."""
        path = self.folder / "metrics.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() and self.has_begun() else 0

    def check_end(self, expected: bytes) -> None:
        """The run ended as it does undisturbed, and left nothing else behind."""
        assert (self.folder / "model.safetensors").read_bytes() == expected
        lines = (self.folder / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == list(range(1, STEPS + 1))
        assert {path.name for path in self.files()} | PICTURES == FILES
        settings, result = (json.loads((self.folder / name).read_text()) for name in ("config.json", "result.json"))
        assert settings["run"] == result["run"] != self.before and settings["data"] == str(self.data.resolve())


def main(kills: int, seed: int = 0) -> None:
    draw, moves = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as name:
        data = write_data(Path(name) / "data")
        whole = Path(name) / "whole"
        expected = train_undisturbed(whole, data)
        for number in range(-(-kills // 10)):
            training = Training(Path(name) / f"run{number}", data, draw, replaced=whole if number % 2 else None)
            for moment in training.with_kills(10):
                print(moment)
            training.check_end(expected)
            moves += training.moves
            print(f"{10 * (number + 1)} kills, {moves} moves of the data: the same bytes", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
