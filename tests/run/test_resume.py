"""A run cannot be lost: it is stopped in every way, at every moment, and resumed to the same bytes."""

import errno
import json
import os
import random
import re
import shutil
import signal
import sys

import numpy as np
import pytest

from minivit.checkpoint import read_tensors
from minivit.data import DataError
from minivit.data.idx import write_idx
from minivit.errors import CheckpointError, ConfigError
from minivit.run import Interrupted, resume_run
from minivit.run.lock import held
from tests.tools import kill_many, tiny
from tests.tools.runs import ALL, STEPS, contents, same_model, start, steps_of, stop_after

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows knows neither these signals nor these locks")


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [1, 2, 3, 5, 8, 9])
def test_a_run_that_was_stopped_ends_as_if_it_was_not(number, step, data, tmp_path, whole, at_step):
    before = signal.getsignal(number)
    message = stop_after(at_step, data, tmp_path / "run", step, number)
    assert message.startswith(
        f"stopped after step {step} of {STEPS}, everything is saved; resume it with: minivit train"
    )
    assert signal.getsignal(number) is before
    assert read_tensors(tmp_path / "run" / "state.safetensors")[1]["step"] == step
    resume_run(str(tmp_path / "run"))
    assert same_model(tmp_path / "run", whole) and steps_of(tmp_path / "run") == [3, 6, 9]
    assert {path.name for path in (tmp_path / "run").iterdir()} == ALL


@posix
def test_stopped_again_and_again(data, tmp_path, whole, at_step):
    stop_after(at_step, data, tmp_path / "run", 1, log_every=1)
    for _ in range(STEPS - 1):
        at_step(1, lambda: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(Interrupted):
            resume_run(str(tmp_path / "run"))
    resume_run(str(tmp_path / "run"))
    assert same_model(tmp_path / "run", whole) and steps_of(tmp_path / "run") == list(range(1, STEPS + 1))
    assert json.loads((tmp_path / "run" / "result.json").read_text())["train_seconds"] > 0


@posix
def test_a_second_signal_does_not_wait(data, tmp_path, whole, at_step):
    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    at_step(5, twice)
    with pytest.raises(
        Interrupted, match="stopped; what was saved before is kept, resume it with: minivit train --resume"
    ):
        start(data, tmp_path / "run")
    assert signal.getsignal(signal.SIGINT) is before
    assert read_tensors(tmp_path / "run" / "state.safetensors")[1]["step"] == 4
    resume_run(str(tmp_path / "run"))
    assert same_model(tmp_path / "run", whole) and steps_of(tmp_path / "run") == [3, 6, 9]


@pytest.mark.parametrize(
    "place", ["resume.split_images", "training.load_state", "training.evaluate", "saves.write_json"]
)
def test_stopped_outside_the_loop(place, stopped, whole, monkeypatch):
    """While the data are prepared, before the first step, in the test at the end, before the result is written."""

    def stop(*arguments):
        raise KeyboardInterrupt

    before = contents(stopped)
    with monkeypatch.context() as patch:
        patch.setattr(f"minivit.run.{place}", stop)
        with pytest.raises(KeyboardInterrupt if "split" in place else Interrupted):
            resume_run(str(stopped))
    if place in ("resume.split_images", "training.load_state"):
        assert contents(stopped) == before
    resume_run(str(stopped))
    assert same_model(stopped, whole) and steps_of(stopped) == [3, 6, 9]


def test_stopped_before_its_first_step_a_run_leaves_nothing(data, tmp_path, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("minivit.train.trainer.Trainer.update", stop)
    with pytest.raises(KeyboardInterrupt):
        start(data, tmp_path / "made" / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_had_not_saved_starts_from_its_beginning(stopped, whole):
    """As one that was killed when config.json was there, and state.safetensors was not."""
    (stopped / "state.safetensors").unlink()
    (stopped / "metrics.jsonl").unlink()
    said = []
    resume_run(str(stopped), say=said.append)
    assert said[0].endswith("; nothing was saved yet, it starts from its beginning")
    assert same_model(stopped, whole) and steps_of(stopped) == [3, 6, 9]


def test_a_run_that_lost_its_state_says_so(data, tmp_path, at_step):
    stop_after(at_step, data, tmp_path / "run", 4)
    (tmp_path / "run" / "state.safetensors").rename(tmp_path / "elsewhere")
    before = contents(tmp_path / "run")
    with pytest.raises(CheckpointError, match="its state.safetensors is missing, though it has been trained"):
        resume_run(tmp_path / "run")
    assert contents(tmp_path / "run") == before


def test_a_run_that_has_ended_is_only_read(tmp_path, whole):
    folder = shutil.copytree(whole, tmp_path / "run")
    before, said = contents(folder), []
    run = resume_run(str(folder), say=said.append)
    assert said == [f"run {folder} has ended already"]
    assert run.result == json.loads(before["result.json"])
    assert before == contents(folder)


def test_a_run_that_was_killed_between_its_result_and_its_last_state_has_ended(tmp_path, whole, stopped):
    folder = shutil.copytree(whole, tmp_path / "ended")
    shutil.copy(stopped / "state.safetensors", folder)
    assert resume_run(str(folder)).result == json.loads((whole / "result.json").read_text())


@pytest.mark.parametrize(
    "lost, message",
    [
        ("model.safetensors", "the run has ended, but its model.safetensors is missing: put it back"),
        ("result.json", "the run has ended, but its result.json is missing: .* minivit eval "),
    ],
)
def test_a_run_that_has_ended_and_lost_a_file_says_so(lost, message, tmp_path, whole):
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / lost).unlink()
    before = contents(folder)
    with pytest.raises(CheckpointError, match=message):
        resume_run(str(folder))
    assert contents(folder) == before


def test_a_result_of_another_run_is_not_believed(data, tmp_path, stopped, whole):
    """With its model or without; what it belongs to is found by what the run is called in config.json."""
    for names in (["result.json"], ["result.json", "model.safetensors"]):
        for name in names:
            shutil.copy(whole / name, stopped)
        before = contents(stopped)
        with pytest.raises(CheckpointError, match="result.json: not of this run but of another: move it away"):
            resume_run(str(stopped))
        assert contents(stopped) == before
        for name in names:
            (stopped / name).unlink()
    resume_run(str(stopped))
    assert same_model(stopped, whole)


def test_a_model_of_another_run_is_not_taken_for_that_of_the_result(data, tmp_path, whole):
    folder = shutil.copytree(whole, tmp_path / "run")
    other = start(data, tmp_path / "other", epochs=1, seed=1)
    shutil.copy(other.folder / "model.safetensors", folder)
    with pytest.raises(CheckpointError, match="model.safetensors: not the model that result.json was measured with"):
        resume_run(str(folder))


def test_parts_of_files_are_removed_and_nothing_else(data, tmp_path, whole, at_step):
    stop_after(at_step, data, tmp_path / "run", 2)
    ours = [".state.safetensors.0123456789abcdef", ".metrics.jsonl.00112233445566ff"]
    others = [".config.json.swp", ".result.json.bak", ".state.safetensors.abc123", ".notes.0123456789abcdef"]
    for name in ours + others:
        (tmp_path / "run" / name).write_bytes(b"cut sho")
    resume_run(str(tmp_path / "run"))
    assert {path.name for path in (tmp_path / "run").iterdir()} == {*ALL, *others}
    assert same_model(tmp_path / "run", whole)


@posix
def test_one_process_at_a_time(data, stopped):
    before = contents(stopped)
    with held(stopped):
        with pytest.raises(CheckpointError, match="another process is training in it"):
            resume_run(str(stopped))
        with pytest.raises(CheckpointError, match="another process is training in it"):
            start(data, stopped, overwrite=True)
    assert contents(stopped) == before
    assert resume_run(str(stopped)).result


@posix
def test_a_real_process_is_stopped(data, tmp_path):
    """By Ctrl-C, then resumed and stopped by SIGTERM, then resumed to the end."""
    settings = tiny.flags(
        **tiny.DROPOUTS, **tiny.FOR_THREADS, epochs=100, batch_size=18, ema=0.9, save_every=1000, threads=2
    )
    status, out, errors = tiny.minivit("train", "--data", data, "--out", str(tmp_path / "whole"), *settings)
    assert status == 0, errors
    command = ["train", "--data", data, "--out", str(tmp_path / "run"), *settings]
    for number in (signal.SIGINT, signal.SIGTERM):
        with tiny.start(*command) as process:
            assert tiny.trains(process)
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
        assert process.returncode == 128 + number
        assert errors.startswith("minivit: stopped after step ") and errors.count("\n") == 1
        command = errors.split("resume it with: minivit ")[1].split()
    status, resumed, errors = tiny.minivit(*command)
    assert status == 0, errors
    assert same_model(tmp_path / "run", tmp_path / "whole")
    ends = {text.splitlines()[-1].split(", trained in ")[0] for text in (out, resumed)}
    assert len(ends) == 1 and ends.pop().startswith("test accuracy ")


@posix
@pytest.mark.parametrize("kills, replacing", [(10, False), (4, True)])
def test_killed_at_random_moments(kills, replacing, data, tmp_path):
    expected = kill_many.train_undisturbed(tmp_path / "whole", data)
    replaced = tmp_path / "whole" if replacing else None
    training = kill_many.Training(tmp_path / "run", data, random.Random(0), replaced)
    seen = training.with_kills(kills)
    assert "step 0" in seen[0], "the first kill was to hit the first write"
    assert len({moment.split(":")[0] for moment in seen}) >= 0.6 * kills, seen  # spread
    assert training.moves >= 2
    training.check_end(expected)


def test_no_run_to_resume(tmp_path):
    for folder in (tmp_path / "nothing", tmp_path):
        with pytest.raises(CheckpointError, match="no config.json.*start (one|a run) with --out"):
            resume_run(str(folder))
    assert list(tmp_path.iterdir()) == []


def test_other_data_than_it_was_started_with(tmp_path, at_step):
    data = tiny.write_data(tmp_path / "data")
    stop_after(at_step, data, tmp_path / "run", 2)
    tiny.write_data(tmp_path / "data", 63)
    with pytest.raises(CheckpointError, match="the data in .* are not those it was started with"):
        resume_run(str(tmp_path / "run"))
    shutil.rmtree(data)
    with pytest.raises(DataError, match="no data called"):
        resume_run(str(tmp_path / "run"))
    tiny.write_data(tmp_path / "data")
    assert resume_run(str(tmp_path / "run")).result


@pytest.mark.parametrize(
    "number, why",
    [
        (errno.EPIPE, r"\(nobody reads what it prints\)"),
        (errno.ENOSPC, r"\(what it prints cannot be written: No space left on device\)"),
        (errno.EIO, r"\(what it prints cannot be written: Input/output error\)"),
    ],
)
@pytest.mark.parametrize("line", [1, 3])
def test_nobody_can_read_what_it_prints(line, number, why, data, tmp_path, whole):
    """A pipe without a reader, a log on a full disk, a terminal that was closed: from the first line on, or later."""
    lines = []

    def say(text):
        lines.append(text)
        if len(lines) == line:
            raise OSError(number, os.strerror(number))

    step = {1: 1, 3: 3}[line]
    message = f"stopped after step {step} of 9 {why}, everything is saved; resume it with: minivit train"
    with pytest.raises(Interrupted, match=message):
        start(data, tmp_path / "run", say=say)
    assert read_tensors(tmp_path / "run" / "state.safetensors")[1]["step"] == step
    resume_run(str(tmp_path / "run"))
    assert same_model(tmp_path / "run", whole)


# Somewhere else, or on another machine


@pytest.mark.parametrize("settings", [{"threads": 2}, {"save_every": 1}, {"save_every": None, "keep_memory": False}])
def test_what_belongs_to_the_machine_may_change(settings, stopped, whole):
    resume_run(str(stopped), train_settings=settings)
    assert same_model(stopped, whole)
    stored = json.loads((stopped / "config.json").read_text())["train"]
    assert {name: stored[name] for name in settings} == settings, "and is remembered"


def test_the_settings_of_the_run_may_be_repeated(stopped, whole):
    settings = {"epochs": 3, "batch_size": 18, "ema": 0.9}
    resume_run(str(stopped), model_settings={**tiny.MODEL, **tiny.DROPOUTS}, train_settings=settings)
    assert same_model(stopped, whole)


@pytest.mark.parametrize(
    "kind, name, value, message",
    [
        ("train_settings", "batch_size", 9, "batch_size is 18, not 9"),
        ("train_settings", "ema", None, "ema is 0.9, not None"),
        ("train_settings", "log_every", 1, "log_every is None, not 1"),
        ("model_settings", "dim", 16, "dim is 8, not 16"),
        ("model_settings", "warp", 1, "no ViTConfig setting called warp"),
    ],
)
def test_other_settings_are_refused_by_name(kind, name, value, message, stopped, whole):
    for folder in (stopped, whole):
        before = contents(folder)
        with pytest.raises(ConfigError, match=message) as caught:
            resume_run(str(folder), **{kind: {name: value}})
        assert "\n" not in str(caught.value) and (name == "warp" or "minivit train --init" in str(caught.value))
        assert contents(folder) == before


def test_data_may_have_moved(tmp_path, at_step, whole):
    data = tiny.write_data(tmp_path / "data")
    stop_after(at_step, data, tmp_path / "run", 2)
    os.rename(data, tmp_path / "moved")
    with pytest.raises(DataError, match="no data called .*; minivit train --resume .*run --data FOLDER says where"):
        resume_run(str(tmp_path / "run"))
    at_step(1, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(Interrupted):
        resume_run(str(tmp_path / "run"), data=str(tmp_path / "moved"))
    assert resume_run(str(tmp_path / "run")).result["data"] == str(tmp_path / "moved"), "and that is remembered"
    assert same_model(tmp_path / "run", whole)


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_other_data_are_not_those_that_have_moved(part, tmp_path, at_step):
    data = tiny.write_data(tmp_path / "data")
    stop_after(at_step, data, tmp_path / "run", 2)
    other = tiny.write_data(tmp_path / "other")
    labels = np.arange(60 if part == "train" else 20)[::-1] % 3
    write_idx(tmp_path / "other" / f"{part}-labels-idx1-ubyte", labels.astype("uint8"))
    before = contents(tmp_path / "run")
    with pytest.raises(CheckpointError, match="the data in .*other are not those it was started with"):
        resume_run(str(tmp_path / "run"), data=other)
    assert contents(tmp_path / "run") == before


# Signals, in a process of its own


@posix
@pytest.mark.parametrize("name", ["SIGHUP", "SIGXCPU", "SIGUSR1"])
def test_a_terminal_that_is_closed_costs_nothing(name, data, tmp_path):
    """Nor does the end of the time that a batch system grants."""
    settings = tiny.flags(epochs=1000, batch_size=18, save_every=1000000, threads=1)
    number = getattr(signal, name)
    with tiny.start("train", "--data", data, "--out", str(tmp_path / "run"), *settings) as process:
        assert tiny.trains(process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    step = int(re.match(r"minivit: stopped after step (\d+) of 3000, everything is saved; ", errors).group(1))
    assert read_tensors(tmp_path / "run" / "state.safetensors")[1]["step"] == step > 1


# What auto decided


def test_mixed_photos_end_in_the_same_bytes(data, tmp_path, at_step):
    settings = {"mirror": True, "elastic": 1, "erasing": 0.5, "mixup": 0.4, "cutmix": 1.0}
    whole = start(data, tmp_path / "whole", **settings).folder
    stop_after(at_step, data, tmp_path / "run", 4, **settings)
    resume_run(str(tmp_path / "run"), train_settings={"threads": 2})
    assert same_model(tmp_path / "run", whole)


def test_the_augmentation_that_was_decided_is_recorded(data, stopped, whole):
    stored = json.loads((stopped / "config.json").read_text())["train"]
    assert (stored["augmentation"], stored["mirror"]) == ("photos", False)
    with pytest.raises(ConfigError, match="augmentation is 'photos', not 'digits'"):
        resume_run(str(stopped), train_settings={"augmentation": "digits"})
    resume_run(str(stopped), train_settings={"augmentation": None, "mirror": None, "augment": "auto"})
    assert same_model(stopped, whole)
