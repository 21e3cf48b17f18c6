"""Files of format 0, which have no number, are read; those of a later format say so in one line."""

import json
import shutil

import numpy as np
import pytest

from minivit import ViT
from minivit.checkpoint import read_tensors, write_tensors
from minivit.errors import CheckpointError
from minivit.preprocess import Preprocessing
from minivit.run import Interrupted, load_run, resume_run, start_run
from minivit.train import TrainConfig
from tests.tools import tiny

CONFIG = TrainConfig(epochs=3, batch_size=18, threads=1, tta=2, warmup_fraction=0.2)


@pytest.fixture
def stopped(tmp_path):
    """A run that was stopped after its second epoch, and the same run whole."""
    data = tiny.write_data(tmp_path / "data")
    whole = start_run(data, str(tmp_path / "whole"), tiny.MODEL, CONFIG)

    def stop(line):
        if line.startswith("epoch 2/3"):
            raise BrokenPipeError

    with pytest.raises(Interrupted, match="stopped after step 6 of 9"):
        start_run(data, str(tmp_path / "run"), tiny.MODEL, CONFIG, say=stop)
    return tmp_path / "run", whole.folder


LATER = ("format", "preprocessing", "init", "run", "device", "test_sha256")  # what config.json did not have


def to_format_0(settings):
    """Settings as version 0.1.0 wrote them before there were formats."""
    settings = {name: value for name, value in settings.items() if name not in LATER}
    names = {"warmup_fraction": "warmup", "tta": "views"}
    settings["train"] = {names.get(name, name): value for name, value in settings["train"].items()}
    settings["model"] = {name: value for name, value in settings["model"].items() if name != "class_names"}
    return settings


def test_a_run_of_format_0_is_resumed(stopped):
    folder, whole = stopped
    settings = to_format_0(json.loads((folder / "config.json").read_text()))
    (folder / "config.json").write_text(json.dumps(settings))
    arrays, content = read_tensors(folder / "state.safetensors")
    content = {**content, "settings": settings, "progress": content["sums"]}
    write_tensors(
        folder / "state.safetensors", arrays, {k: v for k, v in content.items() if k not in ("format", "sums")}
    )
    run = resume_run(str(folder))
    expected = load_run(whole)
    np.testing.assert_array_equal(run.model.params.flat, expected.model.params.flat)
    assert "run" not in run.result and run.settings["device"] == "cpu"
    for name in expected.result.keys() - {"run", "model_sha256", "train_seconds", "wall_seconds"}:
        assert run.result[name] == expected.result[name], name
    assert load_run(folder).result == run.result


def test_a_result_of_format_0_is_read(stopped):
    _, whole = stopped
    result = json.loads((whole / "result.json").read_text())
    old = {name: value for name, value in result.items() if name not in ("format", "tta", "run", "model_sha256")} | {
        "views": 2
    }
    (whole / "result.json").write_text(json.dumps(old))
    assert load_run(whole).result is None, "it does not say whose it is, in a run that has a name"
    settings = to_format_0(json.loads((whole / "config.json").read_text()))
    (whole / "config.json").write_text(json.dumps(settings))
    assert load_run(whole).result["tta"] == 2


def test_a_model_of_format_0_gets_the_preprocessing_of_its_kind(tmp_path):
    for channels, rule in ((1, "digit"), (3, "squash")):
        model = ViT(tiny.config((channels, 8, 8)), preprocessing=Preprocessing("crop", "dark", (8, 8), 12, "nearest"))
        model.save(tmp_path / "new")
        assert ViT.load(tmp_path / "new").preprocessing == model.preprocessing
        write_tensors(tmp_path / "old", model.params, {"config": model.config.to_dict()})
        loaded = ViT.load(tmp_path / "old")
        assert loaded.preprocessing.rule == rule and loaded.preprocessing.size == (8, 8)
        np.testing.assert_array_equal(loaded.params.flat, model.params.flat)


@pytest.mark.parametrize("name", ["config.json", "result.json", "model.safetensors"])
def test_a_later_format_is_named(name, stopped, tmp_path):
    folder = shutil.copytree(stopped[1], tmp_path / "later")
    if name.endswith(".json"):
        (folder / name).write_text(json.dumps({**json.loads((folder / name).read_text()), "format": 7}))
    else:
        arrays, content = read_tensors(folder / name)
        write_tensors(folder / name, arrays, {**content, "format": 7})
    with pytest.raises(CheckpointError, match=f"{name}: has format 7, .* reads formats 0 to 1: update minivit"):
        load_run(folder)
