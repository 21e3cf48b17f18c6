"""`--init`: the weights of a run as the beginning of another."""

import json

import numpy as np
import pytest

from minivit.cli import main
from minivit.errors import ConfigError
from minivit.run import load_run, start_run
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

    def stop(*arguments):
        raise KeyboardInterrupt

    for function in ("load_state", "add_metrics"):  # before the first step, and after the first epoch
        folder = tmp_path / function
        with monkeypatch.context() as patch:
            patch.setattr(f"minivit.run.start.{function}", stop)
            assert main(["train", "--data", data, "--out", str(folder), "--init", str(first), "--epochs", "3",
                         "--batch-size", "30", "--threads", "1"]) == 130  # fmt: skip
        assert main(["train", "--resume", str(folder)]) == 0
        assert (folder / "model.safetensors").read_bytes() == (whole.folder / "model.safetensors").read_bytes()


def test_what_does_not_fit_is_named(data, first, tmp_path):
    with pytest.raises(ConfigError, match="the model settings do not fit .* has another shape there"):
        start_run(data, str(tmp_path / "run"), {"dim": 16}, ONE_STEP, init=str(first))
    colour = tiny.write_data(tmp_path / "colour", shape=(3, 8, 8))
    with pytest.raises(ConfigError, match=r"reads images of \(1, 8, 8\).* in 3 classes, the data have \(3, 8, 8\)"):
        start_run(colour, str(tmp_path / "run"), {}, ONE_STEP, init=str(first))
    assert not (tmp_path / "run").exists()
