"""Which models the page shows, and which it refuses in one line; a run that is training is read again."""

import dataclasses
import signal
import sys

import numpy as np
import pytest

from minivit import ViT, ViTConfig
from minivit.errors import ConfigError, MissingPackageError
from minivit.learn import record
from minivit.page.models import LARGEST, check_shown, in_training, last_save, shown, tape_size, tiny
from minivit.page.play import play_page
from minivit.page.requests import Request
from minivit.page.session import Session
from minivit.run import Interrupted, resume_run
from minivit.run.display import Display
from tests.tools import tiny as tiny_data
from tests.tools.runs import start


def test_the_pretrained_model():
    model = shown("pretrained")
    assert model.key == "pretrained" and model.params.flat.dtype == np.float64 and not model.save


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"channels": 3, "pixel_mean": None, "pixel_std": None}, "reads images of"),
        ({"image_size": 56}, "reads images of"),
        ({"dim": 768, "depth": 12, "heads": 12, "mlp_dim": 3072}, "too large for the page: 8"),
        ({"classes": None}, "no head"),
    ],
)
def test_what_is_refused(change, words):
    with pytest.raises(ConfigError, match=words) as caught:
        check_shown(dataclasses.replace(ViTConfig(), **change), "it")
    assert "\n" not in str(caught.value)


def test_a_model_of_a_file(tmp_path):
    ViT(dataclasses.replace(tiny().config, depth=3)).save(tmp_path / "model.safetensors")
    assert shown(str(tmp_path / "model.safetensors")).config.depth == 3


def test_the_size_is_that_of_a_tape():
    model = tiny()
    tape = record(model.params, model.config, np.zeros((1, 28, 28)), 0)
    values = sum(step.value.size for step in tape.steps.values())
    assert 0.5 * values < tape_size(model.config) < 2 * values < LARGEST


@pytest.mark.parametrize("name", ["starlette", "uvicorn"])
def test_without_the_extra(name, monkeypatch):
    monkeypatch.delitem(sys.modules, "minivit.page.server", raising=False)
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackageError, match=r"pip install minivit\[play\]; --export"):
        play_page("tiny", 0, False, print)


def test_a_run_in_training_is_read_at_its_last_save(tmp_path, monkeypatch):
    """Stopped after a save, resumed to the next one, and then to its end."""
    data, folder, show, done = (
        tiny_data.write_data(tmp_path / "data", shape=(1, 28, 28)),
        tmp_path / "run",
        Display.step,
        [],
    )

    def step(self, result):
        show(self, result)
        done.append(result)
        if len(done) in (2, 4):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Display, "step", step)
    with pytest.raises(Interrupted):
        start(data, folder)
    assert in_training(folder)
    session = Session([last_save(folder)], folder)
    before = session.watch()
    first = session.run(Request("run", digit=7))
    with pytest.raises(Interrupted):
        resume_run(str(folder))
    told = session.watch()
    assert told["training"] and told["save"] != before["save"]
    assert session.run(Request("run", digit=7))["loss"] != first["loss"]
    resume_run(str(folder))
    told = session.watch()
    assert not told["training"] and not told["save"] and told["step"] == 9
    tape = record(shown(str(folder)).params, shown(str(folder)).config, session._digits.images[7], first["label"])
    assert session.run(Request("run", digit=7, label=first["label"]))["loss"] == tape.loss
