"""The start of a run: what it leaves, and where it goes."""

import contextlib
import hashlib
import json
import os
import re
import signal
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

import minivit.run.training
from minivit.cli.tables import cost_line, result_line
from minivit.config import ViTConfig
from minivit.data import DataError, load, split_validation
from minivit.errors import ConfigError, TrainingError
from minivit.run import Interrupted, load_run, resume_run, start_run
from minivit.run.overfit import overfit
from minivit.run.pictures import draw_pictures
from minivit.run.settings import pixel_statistics
from minivit.train import NotFinite, TrainConfig
from minivit.train.flops import training_flops
from tests.tools import tiny
from tests.tools.runs import ALL, same_model, start, stop_after

# What a run leaves


def test_the_files_of_a_run(whole, data):
    assert {path.name for path in whole.iterdir()} == ALL
    settings = json.loads((whole / "config.json").read_text())
    assert settings["data"] == data and settings["model"]["dim"] == 8 and settings["train"]["ema"] == 0.9
    assert settings["model"]["image_size"] == 8 and settings["model"]["classes"] == 3
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["epoch"]) for line in lines] == [(3, 1), (6, 2), (9, 3)]
    for name in "loss accuracy learning_rate grad_norm images_per_second valid_loss valid_accuracy".split():
        assert all(isinstance(line[name], float) for line in lines), name


def test_the_result(whole, data):
    result = json.loads((whole / "result.json").read_text())
    assert result["test_total"] == 20 and result["test_accuracy"] == result["test_correct"] / 20
    assert result["seed"] == 0 and result["data"] == data
    assert result["parameters"] == load_run(whole).model.params.flat.size
    assert 0 < result["train_seconds"] <= result["wall_seconds"] < 60
    test, model = load(data).test, load_run(whole).model
    assert result["test_correct"] == (model.predict(test.images).argmax(-1) == test.labels).sum()


def test_a_run_says_what_it_cost(whole):
    result, settings = (json.loads((whole / name).read_text()) for name in ("result.json", "config.json"))
    model, train = ViTConfig.from_dict(settings["model"]), TrainConfig.from_dict(settings["train"])
    assert result["operations"] == training_flops(model, train, 9) > 0
    assert re.fullmatch(r".+, \d+ threads?", result["machine"])
    line = cost_line({"operations": 4_412_345_678_901, "machine": "AMD EPYC, 1 thread"})
    assert line == "training: 4.4e+12 operations in matrix products, on AMD EPYC, 1 thread"


def test_what_a_batch_larger_than_the_data_costs(data, tmp_path):
    """A step has as many images as there are, 54, and not as many as a batch might have."""
    start(data, tmp_path / "run", batch_size=500, epochs=2)
    result, settings = (json.loads((tmp_path / "run" / name).read_text()) for name in ("result.json", "config.json"))
    model, train = ViTConfig.from_dict(settings["model"]), TrainConfig.from_dict(settings["train"])
    assert result["operations"] == training_flops(model, replace(train, batch_size=54), 2)


def test_the_line_that_a_run_ends_with():
    result = {"test_accuracy": 0.969, "test_correct": 969, "test_total": 1000, "parameters": 136842}
    line = "test accuracy 96.90 % (969 of 1000), 136842 parameters, trained in 41.3 s"
    assert result_line({**result, "train_seconds": 41.27}) == line


def test_the_settings_appear_first_and_the_result_last(data, tmp_path, monkeypatch):
    names, replace = [], os.replace

    def follow(source, target):
        names.append(target.name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", follow)
    start(data, tmp_path / "run")
    assert names[:3] == ["config.json", "state.safetensors", "metrics.jsonl"]
    assert names[-3:] == ["model.safetensors", "metrics.jsonl", "result.json"]
    assert names[3:-3] == ["state.safetensors", "metrics.jsonl"] * 4, "after steps 2, 4, 6 and 8"


def test_the_files_of_a_run_belong_together(whole):
    settings, result = (json.loads((whole / name).read_text()) for name in ("config.json", "result.json"))
    assert settings["run"] == result["run"] and settings["device"] == "cpu"
    assert result["model_sha256"] == hashlib.sha256((whole / "model.safetensors").read_bytes()).hexdigest()


def test_two_runs_are_called_differently(data, tmp_path, whole):
    other = start(data, tmp_path / "run")
    assert same_model(other.folder, whole)
    assert other.settings["run"] != json.loads((whole / "config.json").read_text())["run"]


def test_the_library_is_quiet(data, tmp_path, capfd):
    """On stdout and stderr, whoever writes to them; with `say=`, every line that the command line prints."""
    config = TrainConfig(epochs=2, threads=1)
    run = start_run(data, str(tmp_path / "run"), tiny.MODEL, config)
    resume_run(str(run.folder))
    overfit(data, {**tiny.MODEL, "dim": 32}, {"learning_rate": 0.01, "threads": 1})
    draw_pictures(run.folder)
    assert capfd.readouterr() == ("", "")
    said = []
    start_run(data, str(tmp_path / "other"), tiny.MODEL, config, say=said.append)
    assert [line.split()[0] for line in said] == ["run", "augmentation:", "epoch", "epoch"] and capfd.readouterr() == (
        "",
        "",
    )


@pytest.mark.parametrize("way", ["end", "stop", "not finite", "full disk", "bug"])
def test_no_thread_is_left_behind(way, data, tmp_path, monkeypatch, at_step):
    monkeypatch.setattr("minivit.parallel.FLOATS_FOR_THREADS", 0)
    before = set(threading.enumerate())
    if way == "stop":
        at_step(2, lambda: signal.raise_signal(signal.SIGTERM))
    elif way != "end":
        error = {"full disk": OSError(28, "full"), "bug": AssertionError()}.get(way)

        def fail(*arguments, **more):
            assert len(set(threading.enumerate()) - before) >= 3, "it computes and makes batches in threads"
            raise error or NotFinite("loss nan", *tiny.images(18))

        if way == "not finite":
            monkeypatch.setattr("minivit.run.training.first_not_finite", lambda *arguments: "nowhere")
            monkeypatch.setattr("minivit.train.loop.Metrics", fail)
        else:
            monkeypatch.setattr("minivit.run.training.state_bytes", fail)
    with contextlib.suppress(Interrupted, TrainingError, OSError, AssertionError) as caught:
        start(data, tmp_path / "run", threads=2)
    assert caught is None and set(threading.enumerate()) <= before  # one of an earlier test may have ended meanwhile


def test_the_test_images_are_looked_at_once(data, tmp_path, monkeypatch):
    seen = []
    for module in (minivit.run.training, minivit.train.loop):

        def count(*arguments, measure=module.evaluate):
            seen.append(len(arguments[1].labels))
            return measure(*arguments)

        monkeypatch.setattr(module, "evaluate", count)
    start(data, tmp_path / "run")
    assert seen == [6, 6, 6, 20]  # the validation images after every epoch, the test images at the end


def test_pixel_statistics_are_those_of_the_training_images(whole, data):
    train, valid = split_validation(load(data).train)
    assert len(valid.labels) == 6
    model = json.loads((whole / "config.json").read_text())["model"]
    assert (tuple(model["pixel_mean"]), tuple(model["pixel_std"])) == pixel_statistics(train.images)
    assert pixel_statistics(train.images) != pixel_statistics(load(data).train.images)


def test_a_rerun_gives_the_same_bytes(data, tmp_path, whole, monkeypatch):
    monkeypatch.setattr("minivit.parallel.FLOATS_FOR_THREADS", 0)
    assert same_model(start(data, tmp_path / "run", threads=3).folder, whole)
    assert not same_model(start(data, tmp_path / "other", seed=1).folder, whole)


def test_colour_images_that_are_not_square(tmp_path):
    data = tiny.write_data(tmp_path / "colour", shape=(3, 8, 12), classes=4)
    config = start(data, tmp_path / "run").model.config
    assert config.image_shape == (3, 8, 12) and config.classes == 4 and len(config.pixel_mean) == 3


@pytest.mark.parametrize("images, classes", [(1, 1), (2, 2), (3, 3), (5, 5)])
def test_a_handful_of_images(images, classes, tmp_path):
    data = tiny.write_data(tmp_path / "few", images, images, classes=classes)
    run = start(data, tmp_path / "run", epochs=2)
    assert run.result["test_total"] == images and run.model.config.classes == classes


@pytest.mark.parametrize("keep", [True, False])
def test_freed_memory_is_kept_only_if_asked(keep, data, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(minivit.run.training, "keep_freed_memory", lambda: calls.append(1))
    start(data, tmp_path / "run", keep_memory=keep)
    assert len(calls) == keep


# Where it goes


def test_the_default_is_the_first_free_name(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "digits-2").mkdir(parents=True)
    names = [start(data, None, epochs=1).folder.as_posix() for _ in range(2)]
    assert names == ["runs/digits-1", "runs/digits-3"]
    (images, labels), (more, others) = tiny.images(30), tiny.images(9)
    np.savez(tmp_path / "small.npz", x_train=images[:, 0], y_train=labels, x_test=more[:, 0], y_test=others)
    assert start("small.npz", None, epochs=1).folder.as_posix() == "runs/small-1"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has links for some users only")
@pytest.mark.parametrize("make", [lambda path: path.write_text(""), lambda path: path.symlink_to("nowhere")])
def test_where_there_can_be_no_folder_of_runs(make, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "runs")
    with pytest.raises(OSError, match="runs"):
        start(data, None)


def test_paths_with_spaces_and_other_letters(tmp_path, at_step):
    data = tiny.write_data(tmp_path / "zwölf Zahlen 数字")
    folder = tmp_path / "mein Lauf é"
    message = stop_after(at_step, data, folder, 4)
    assert message.endswith(f"resume it with: minivit train --resume '{folder}'")
    assert resume_run(str(folder)).result["test_total"] == 20


def test_a_folder_that_cannot_be_made(data, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OSError, match="file.* cannot be made a run's folder .*: choose another --out"):
            start(data, out)
    with pytest.raises(ConfigError, match="--out is empty"):
        start_run(data, "", tiny.MODEL, TrainConfig(epochs=1))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs a user whom the system can refuse")
def test_a_folder_that_cannot_be_written_to(data, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        start(data, tmp_path / "run")


def test_nothing_is_made_for_what_cannot_start(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # import cupy fails
    settings = {"patch_size": 5}, {"heads": 3, "dim": 8}
    for model in settings:
        with pytest.raises(ValueError):
            start_run(data, str(tmp_path / "run"), model, TrainConfig())
    with pytest.raises(RuntimeError, match="pip install .minivit.gpu12"):
        start_run(data, str(tmp_path / "run"), tiny.MODEL, TrainConfig(), "gpu")
    with pytest.raises(DataError, match="no data called"):
        start_run(str(tmp_path / "nothing"), str(tmp_path / "run"), {}, TrainConfig())
    assert not (tmp_path / "run").exists()
