"""What a command ends with: one line for what its user can change, a traceback for everything else."""

import signal

import numpy as np
import pytest

import minivit.cli
import minivit.cli.commands
from minivit.cli import main
from minivit.errors import ConfigError, MissingPackageError, TrainingError
from minivit.run import Interrupted
from tests.tools import tiny

LINES = [
    (ConfigError("heads 3 must divide dim 8"), 2),
    (MissingPackageError("needs pillow"), 2),
    (FileExistsError("holds a run already"), 2),
    (TrainingError("the loss became nan"), 1),
    (Interrupted("stopped", signal.SIGINT), 130),
    (Interrupted("stopped", signal.SIGTERM), 143),
    (KeyboardInterrupt(), 130),
    (KeyboardInterrupt(int(signal.SIGTERM)), 143),
]


@pytest.mark.parametrize("error, status", LINES, ids=lambda value: getattr(value, "args", value))
def test_what_is_raised_on_purpose_is_one_line(error, status, monkeypatch, capsys):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(minivit.cli.commands, "walk_through", fail)
    assert main(["walk"]) == status
    out, errors = capsys.readouterr()
    assert out == "" and errors.startswith("minivit: ") and errors.count("\n") == 1


@pytest.mark.parametrize("error", [ValueError("operands could not be broadcast"), TypeError("no"), ImportError("no")])
def test_a_bug_shows_its_traceback(error, monkeypatch):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(minivit.cli.commands, "walk_through", fail)
    with pytest.raises(type(error)):
        main(["walk"])


EDITED = """
import sys
from minivit.ops import layernorm
from minivit.backend import Array

right = layernorm.layernorm_backward

def layernorm_backward(dy, cache, out=(None, None)):
    xhat, rstd, gamma = cache
    return right(dy, cache._replace(gamma=gamma[:-1]), out)

for module in list(sys.modules.values()):
    if module.__name__.startswith("minivit") and hasattr(module, "layernorm_backward"):
        module.layernorm_backward = layernorm_backward
import minivit.cli
for module in list(sys.modules.values()):
    if module.__name__.startswith("minivit") and hasattr(module, "layernorm_backward"):
        module.layernorm_backward = layernorm_backward
source_of = minivit.learn.copies.source_of  # the tape compiles the files: an edit in one
minivit.learn.copies.source_of = lambda module: source_of(module).replace(
    "xhat, rstd, gamma = cache", "xhat, rstd, gamma = *cache[:2], cache.gamma[:-1]"
)
sys.exit(minivit.cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", ["train", "overfit", "gradcheck", "walk", "attend"])
def test_an_edit_that_breaks_a_backward_shows_where(command, tmp_path):
    """In every command that runs a backward pass the traceback ends in the operation; gradcheck, which goes on with
    the other checks, has a row that names the file and the line."""
    pillow = pytest.importorskip("PIL.Image", reason="reading pictures needs pillow")
    pytest.importorskip("matplotlib", reason="attend draws")
    data = tiny.write_data(tmp_path / "data")
    drawing = np.full((28, 28), 255, "uint8")
    drawing[5:23, 12:15] = 0
    pillow.fromarray(drawing).save(tmp_path / "one.png")
    arguments = {
        "train": ["train", "--data", data, "--out", str(tmp_path / "run"), *tiny.flags(epochs=1)],
        "overfit": ["train", "--overfit-batch", "--data", data, *tiny.flags()],
        "gradcheck": ["gradcheck", "--op", "layernorm"],
        "walk": ["walk"],
        "attend": ["attend", "pretrained", str(tmp_path / "one.png"), "--out", str(tmp_path / "drawn.png")],
    }
    status, out, errors = tiny.python(EDITED, *arguments[command])
    assert status == 1, errors
    shown = out if command == "gradcheck" else errors
    assert ("Traceback" in errors) == (command != "gradcheck")
    assert "layernorm.py" in shown and "could not be broadcast" in shown
