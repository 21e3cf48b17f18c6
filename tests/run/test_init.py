"""`--init`: the weights of a run as the beginning of another."""

import json
import shutil

import numpy as np
import pytest

from minivit.errors import ConfigError
from minivit.run import Interrupted, load_run, resume_run, start_run
from minivit.train import TrainConfig
from tests.tools import tiny

ONE_STEP = TrainConfig(epochs=1, batch_size=60, threads=1, learning_rate=1e-30, validation=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def first(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    start_run(data, str(folder), tiny.MODEL, TrainConfig(epochs=3, batch_size=18, threads=1))
    return folder


def test_training_starts_from_the_weights_of_the_run(data, first, tmp_path):
    """A step so small that it moves nothing leaves them as they were; a start without them is elsewhere."""
    run = start_run(data, str(tmp_path / "second"), {}, ONE_STEP, init=str(first))
    expected = load_run(first).model
    np.testing.assert_allclose(run.model.params.flat, expected.params.flat, rtol=0, atol=1e-6)
    assert run.model.config == expected.config and run.model.preprocessing == expected.preprocessing
    other = start_run(data, str(tmp_path / "third"), tiny.MODEL, ONE_STEP)
    assert abs(other.model.params.flat - expected.params.flat).max() > 0.001


def test_the_dropouts_may_change(data, first, tmp_path):
    run = start_run(data, str(tmp_path / "run"), {"dropout": 0.25}, ONE_STEP, init=str(first))
    assert run.model.config.dropout == 0.25
    assert json.loads((tmp_path / "run" / "config.json").read_text())["init"] == str(first)


def test_the_schedule_is_its_own(data, first, tmp_path):
    config = TrainConfig(epochs=2, batch_size=30, threads=1, learning_rate=0.002, warmup_fraction=0.0)
    start_run(data, str(tmp_path / "run"), {}, config, init=str(first))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["step"] == 1 and lines[0]["learning_rate"] == 0.002


def test_a_run_from_another_is_resumed_to_the_same_bytes(data, first, tmp_path, monkeypatch):
    config = TrainConfig(epochs=3, batch_size=30, threads=1)
    whole = start_run(data, str(tmp_path / "whole"), {}, config, init=str(first))

    def stop(line):
        if line.startswith("epoch 1/3"):
            raise BrokenPipeError

    with pytest.raises(Interrupted, match="stopped after step 1 of 3"):
        start_run(data, str(tmp_path / "run"), {}, config, init=str(first), say=stop)
    begun = shutil.copytree(tmp_path / "run", tmp_path / "begun")
    for name in ("state.safetensors", "metrics.jsonl"):  # as if it was killed before they were there
        (begun / name).unlink()
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path / "run", begun):
        resume_run(str(folder))
        assert (folder / "model.safetensors").read_bytes() == (whole.folder / "model.safetensors").read_bytes()


def test_a_relative_path_means_the_same_from_elsewhere(data, first, tmp_path, monkeypatch):
    monkeypatch.chdir(first.parent)
    monkeypatch.setattr("minivit.run.start.train_in", lambda folder, settings, *arguments, **more: settings["init"])
    assert start_run(data, str(tmp_path / "run"), {}, ONE_STEP, init=first.name) == str(first)
    assert start_run("mnist5k", str(tmp_path / "run"), {}, ONE_STEP, init="pretrained") == "pretrained"


def test_what_does_not_fit_is_named(data, first, tmp_path):
    with pytest.raises(ConfigError, match="the model settings do not fit .* has another shape there"):
        start_run(data, str(tmp_path / "run"), {"dim": 16}, ONE_STEP, init=str(first))
    colour = tiny.write_data(tmp_path / "colour", shape=(3, 8, 8))
    with pytest.raises(ConfigError, match=r"reads images of \(1, 8, 8\).* in 3 classes, the data have \(3, 8, 8\)"):
        start_run(colour, str(tmp_path / "run"), {}, ONE_STEP, init=str(first))
    assert not (tmp_path / "run").exists()
