"""Which models the page shows, and which it refuses in one line; a run that is training is read again."""

import base64
import dataclasses
import json
import shutil
import sys

import numpy as np
import pytest

from minivit import ViT, ViTConfig
from minivit.errors import ConfigError, MissingPackageError
from minivit.learn import record
from minivit.page.models import LARGEST, check_shown, in_training, last_save, progress, shown, tape_size, tiny
from minivit.page.play import play_page
from minivit.page.requests import Request, RequestError
from minivit.page.session import Session
from minivit.preprocess import read_picture
from minivit.run import Interrupted, resume_run
from tests.tools import tiny as tiny_data
from tests.tools.runs import start

from .conftest import interrupted_run


def test_the_pretrained_model():
    model = shown("pretrained")
    assert model.key == "pretrained" and model.params.flat.dtype == np.float64 and not model.save


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"channels": 3, "pixel_mean": None, "pixel_std": None}, "reads images of 3 channels"),
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
    folder = interrupted_run(tmp_path, monkeypatch, 2, 4)
    assert in_training(folder)
    session = Session([last_save(folder)], folder)
    before = session.watch()
    first = session.run(Request("run", digit=1))
    with pytest.raises(Interrupted):
        resume_run(str(folder))
    told = session.watch()
    assert told["training"] and told["save"] != before["save"] and len(told["curve"]) > len(before["curve"])
    assert session.run(Request("run", digit=1))["loss"] != first["loss"]
    resume_run(str(folder))
    told = session.watch()
    assert not told["training"] and not told["save"] and told["step"] == 9
    tape = record(
        shown(str(folder)).params, shown(str(folder)).config, session._examples["run"].images[1], first["label"]
    )
    assert session.run(Request("run", digit=1, label=first["label"]))["loss"] == tape.loss


def test_a_run_of_another_size_shows_its_own_pictures(tmp_path):
    """24 x 20 pixels, three classes: its own test pictures, drawings in the middle, and what does not fit."""
    data, folder = tiny_data.write_data(tmp_path / "data", shape=(1, 24, 20)), tmp_path / "run"
    start(data, folder)
    model = shown(str(folder))
    session = Session([model], folder)
    (meta,) = session.meta()["models"]
    assert meta["examples"] == "own" and meta["config"]["side"] == (24, 20) and meta["live"]
    assert [digit["label"] for digit in meta["digits"]] == list(range(model.config.classes))
    found = session.run(Request("run", digit=2))
    assert found["label"] == 2 and len(base64.b64decode(found["picture"]["data"])) == 24 * 20
    drawn = session.run(Request("run", strokes=(((30, 40), (200, 220)),)))
    picture = np.frombuffer(base64.b64decode(drawn["picture"]["data"]), np.uint8).reshape(24, 20)
    ground = picture[0, 0]
    assert (picture[:2] == ground).all() and (picture[-2:] == ground).all() and (picture != ground).any()
    with pytest.raises(RequestError, match="784 bytes came, expected 480"):
        session.run(Request("run", pixels=bytes(784)))
    with pytest.raises(RequestError, match="there are 3 pictures"):
        session.run(Request("run", digit=3))
    told = session.watch()
    assert not told["training"] and told["curve"][-1][0] == told["step"] > 0
    shutil.rmtree(data)
    (meta,) = Session([model], folder).meta()["models"]
    assert meta["examples"] == "resized" and len(meta["digits"]) == 10


def test_a_picture_from_a_file_is_made_as_predict_makes_it(tmp_path):
    image = pytest.importorskip("PIL.Image", reason='pip install ".[play]"')
    data, folder = tiny_data.write_data(tmp_path / "data", shape=(1, 24, 20)), tmp_path / "run"
    start(data, folder)
    model = shown(str(folder))
    grey = np.random.default_rng(0).integers(0, 256, (60, 50), dtype=np.uint8)
    image.fromarray(grey).save(tmp_path / "picture.png")
    expected = read_picture(tmp_path / "picture.png", 1, model.preprocessing)
    assert base64.b64decode(Session([model]).picture("run", grey)) == expected.tobytes()


@pytest.mark.parametrize("lines", [0, 1, 299, 300, 301, 1000])
def test_a_curve_ends_with_the_last_step(tmp_path, lines):
    line = {"epoch": 1, "loss": 1.5, "accuracy": 0.5, "learning_rate": 0.1, "grad_norm": 1.0, "images_per_second": 9.0}
    line |= {"valid_loss": None, "valid_accuracy": None}
    text = "".join(json.dumps({"step": k + 1, **line}) + "\n" for k in range(lines))
    (tmp_path / "metrics.jsonl").write_text(text + '{"step": ', encoding="utf-8")
    assert progress(tmp_path)["curve"] == []  # the last line is being written
    (tmp_path / "metrics.jsonl").write_text(text, encoding="utf-8")
    curve = progress(tmp_path)["curve"]
    assert len(curve) == min(lines, -(-lines // max(1, -(-lines // 300)))) <= 300
    assert not lines or curve[-1] == [lines, 1.5, 0.5, None, None]
