"""Reading a run back."""

import json
import shutil

import numpy as np
import pytest

from minivit.data import load, split_validation
from minivit.errors import CheckpointError
from minivit.run import load_run, overlap
from tests.tools.runs import start


def test_a_run_is_read_from_its_folder_or_its_model(whole):
    run = load_run(whole)
    assert run.folder == whole and run.settings["train"]["batch_size"] == 18 and run.result["test_total"] == 20
    of_file = load_run(whole / "model.safetensors")
    assert of_file.settings == run.settings and of_file.result == run.result
    np.testing.assert_array_equal(of_file.model.params.flat, run.model.params.flat)


def test_a_model_alone_is_a_run_without_settings(whole, tmp_path):
    shutil.copy(whole / "model.safetensors", tmp_path / "model.safetensors")
    run = load_run(tmp_path)
    assert run.settings == {} and run.result is None and run.model.config.dim == 8
    assert overlap(run, load(str(json.loads((whole / "config.json").read_text())["data"])).test) is None


def test_a_run_without_a_model(whole, tmp_path, stopped):
    with pytest.raises(CheckpointError, match="no such file or folder; minivit train makes a model"):
        load_run(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match=r"no trained model here; resume it with: minivit train --resume"):
        load_run(stopped)


def test_how_much_was_trained_on(whole, data):
    run, train = load_run(whole), load(data).train
    trained, held_out = split_validation(train)
    assert [overlap(run, split) for split in (train, trained, held_out, load(data).test)] == [54, 54, 0, 0]


def test_data_that_are_gone_cannot_be_compared(whole, data, monkeypatch):
    run = load_run(whole)
    for name in (data + "gone", "mnist", None):
        monkeypatch.setattr("minivit.run.doubts.find_mnist", lambda: None)
        settings = {**run.settings, "data": name}
        assert overlap(run._replace(settings=settings), load(data).test) is None


def test_a_result_is_that_of_the_model(whole, data, tmp_path):
    """The SHA-256 in it is of the model's file; that of another is not told to be its accuracy."""
    folder = shutil.copytree(whole, tmp_path / "run")
    other = start(data, tmp_path / "other", epochs=1).folder
    for name in ("model.safetensors", "result.json"):
        copy = shutil.copytree(folder, tmp_path / f"with another {name}")
        shutil.copy(other / name, copy)
        assert load_run(copy).result is None
    (folder / "config.json").unlink()
    assert load_run(folder).result == load_run(whole).result, "also without settings"
    assert load_run(folder / "model.safetensors").result == load_run(whole).result


def test_what_comes_with_minivit_is_read():
    run = load_run("pretrained")
    assert run.result["test_total"] == 10_000 and run.settings["train"]["tta"] == 8
