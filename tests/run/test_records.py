"""What a run writes down is read back as if a person had typed it."""

import json
import os
import re
import shutil
import sys
import tracemalloc

import pytest

from minivit.errors import CheckpointError
from minivit.run import load_run, resume_run
from minivit.run.records import differences, read_metrics, read_result, read_settings

READERS = {"config.json": read_settings, "result.json": read_result, "metrics.jsonl": read_metrics}


@pytest.fixture
def folder(tmp_path, whole):
    return shutil.copytree(whole, tmp_path / "run")


def test_what_was_written_is_read(whole):
    settings, result, metrics = (read(whole) for read in READERS.values())
    assert settings == json.loads((whole / "config.json").read_text())
    assert result == json.loads((whole / "result.json").read_text())
    assert metrics == [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]


def test_what_is_not_there_is_none(tmp_path):
    assert [read(tmp_path) for read in READERS.values()] == [None, None, []]
    (tmp_path / "file").write_text("")
    assert [read(tmp_path / "file") for read in READERS.values()] == [None, None, []]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"data": "mnist5k"}', "null and void"])
def test_settings_that_are_damaged(content, folder):
    (folder / "config.json").write_text(content)
    for function in (resume_run, load_run):
        with pytest.raises(CheckpointError, match="config.json: ") as caught:
            function(str(folder))
        assert "\n" not in str(caught.value)


def test_other_files_that_are_damaged(folder):
    (folder / "result.json").write_text("{}")
    with pytest.raises(CheckpointError, match="result.json: not written by minivit.*test_accuracy"):
        load_run(folder)
    (folder / "metrics.jsonl").write_text('{"step": 1}\n{"st')
    with pytest.raises(CheckpointError, match="metrics.jsonl: damaged"):
        read_metrics(folder)


FORGED = {
    "config.json": {
        "model.qkv_bias": 1,
        "model.pixel_std": [-1.0],
        "model.depth": 2.5,
        "model.warp": 1,
        "model": [],
        "train.epochs": "3",
        "train.seed": -1,
        "train.threads": True,
        "train.learning_rate": "1e400",
        "train": None,
        "preprocessing": {"rule": "magic"},
        "data": 7,
        "data_sha256": None,
        "init": 3,
        "device": "tpu",
        "run": 12,
        "test_sha256": [],
        "format": True,
    },
    "result.json": {
        "test_accuracy": 1.5,
        "test_correct": 21,
        "test_total": -1,
        "parameters": "many",
        "train_seconds": -1,
        "seed": 0.5,
        "data": None,
        "test_confusion": ["1 2", "3"],
        "plain_accuracy": "good",
        "tta": -2,
        "model_sha256": 5,
        "run": 5,
    },
    "metrics.jsonl": {
        "step": 0,
        "epoch": 1.5,
        "loss": None,
        "accuracy": 2,
        "learning_rate": "fast",
        "grad_norm": -1,
        "images_per_second": [],
        "valid_loss": "low",
        "valid_accuracy": 1.01,
    },
}


@pytest.mark.parametrize("name, field", [(name, field) for name, fields in FORGED.items() for field in fields])
def test_values_that_nobody_could_set_are_named(name, field, folder):
    value = FORGED[name][field]
    lines = (folder / name).read_text().splitlines() if name == "metrics.jsonl" else [(folder / name).read_text()]
    values = json.loads(lines[-1])
    *path, last = field.split(".")
    inner = values[path[0]] if path else values
    inner[last] = value
    text = json.dumps(values).replace('"1e400"', "1e400")
    (folder / name).write_text("\n".join([*lines[:-1], text]))
    with pytest.raises(CheckpointError, match=f"{name}: ") as caught:
        READERS[name](folder)
    message = str(caught.value)
    assert "\n" not in message and re.search(rf"\b{last}\b|TrainConfig|ViTConfig|correct|rule", message), message


@pytest.mark.parametrize(
    "name, field", [("metrics.jsonl", "accuracy"), ("result.json", "seed"), ("config.json", "data")]
)
def test_values_that_are_missing_are_named(name, field, folder):
    lines = (folder / name).read_text().splitlines() if name == "metrics.jsonl" else [(folder / name).read_text()]
    values = json.loads(lines[0])
    del values[field]
    (folder / name).write_text("\n".join([json.dumps(values), *lines[1:]]))
    with pytest.raises(CheckpointError, match=f"{name}: .*{field}"):
        READERS[name](folder)


def fifo(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def sparse(path):
    path.touch()
    os.truncate(path, 3 << 30)


def in_a_circle(path):
    path.symlink_to(path.name)


def deep(path):
    path.write_text("[" * 100_000)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
@pytest.mark.parametrize("make", [os.mkdir, fifo, device, sparse, in_a_circle, deep])
@pytest.mark.parametrize("name", [*READERS, "model.safetensors", "state.safetensors"])
def test_what_is_no_file_of_a_run_is_refused_at_once(make, name, tmp_path, stopped, whole):
    """Without waiting for what never ends, and without taking memory for it."""
    folder = stopped if name == "state.safetensors" else shutil.copytree(whole, tmp_path / "copy")
    (folder / name).unlink(missing_ok=True)
    make(folder / name)
    read = READERS.get(name, resume_run if name == "state.safetensors" else load_run)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=name) as caught:
            read(folder)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [*READERS, "model.safetensors", "state.safetensors"])
def test_a_file_that_may_not_be_read_says_so(name, stopped, whole, monkeypatch):
    folder = stopped if name == "state.safetensors" else whole
    known = os.open

    def refuse(path, *arguments, **more):
        if os.fspath(path).endswith(name):
            raise PermissionError(13, "Permission denied", path)
        return known(path, *arguments, **more)

    monkeypatch.setattr(os, "open", refuse)
    read = READERS.get(name, resume_run if name == "state.safetensors" else load_run)
    with pytest.raises(CheckpointError, match=f"{name}: cannot be read \\(Permission denied\\)"):
        read(folder)


def test_the_settings_of_a_machine_make_no_difference(whole):
    settings = read_settings(whole)
    moved = {**settings, "data": "elsewhere", "device": "gpu", "minivit": "9"}
    moved["train"] = {**settings["train"], "threads": 7, "save_every": 1, "keep_memory": False}
    assert differences(settings, moved) == []
    moved["train"]["seed"] = 5
    moved["model"] = {**settings["model"], "dropout": 0.5}
    assert differences(settings, moved) == [("dropout", 0.1, 0.5), ("seed", 0, 5)]
    assert differences(settings, {**settings, "run": "x"}) == [("run", settings["run"], "x")]
