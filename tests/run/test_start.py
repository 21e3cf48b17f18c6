"""A run cannot be lost: its files, stopping and resuming it, and everything that can go wrong with its folder."""

import errno
import json
import os
import random
import shutil
import signal
import sys

import numpy as np
import pytest

import minivit.run.start
from minivit.checkpoint import read_tensors, write_tensors
from minivit.cli.tables import result_line
from minivit.data import DataError, load, split_validation
from minivit.errors import CheckpointError
from minivit.run import overlap
from minivit.run.display import Display
from minivit.run.folder import Interrupted, locked, read_metrics
from minivit.run.settings import pixel_statistics
from minivit.run.start import load_run, resume_run, start_run
from minivit.train.config import TrainConfig
from minivit.train.trainer import TrainingError
from tests.tools import kill_many, tiny

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows knows neither these signals nor these locks")
STEPS = 9  # three epochs of three batches of 18 images, of which 54 are left when a tenth is held out
ALL = {"config.json", "metrics.jsonl", "model.safetensors", "result.json"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.write_data(tmp_path_factory.mktemp("data") / "digits")


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """The folder of an undisturbed run."""
    return start(data, tmp_path_factory.mktemp("whole") / "run").folder


def start(data, out, overwrite=False, **settings):
    """A run with everything that draws: dropouts, augmentation, the mean of the weights."""
    config = TrainConfig(**{"epochs": 3, "batch_size": 18, "ema": 0.9, "save_every": 2, "threads": 1, **settings})
    return start_run(data, None if out is None else str(out), {**tiny.MODEL, **tiny.DROPOUTS}, config, "cpu", overwrite)


@pytest.fixture
def at_step(monkeypatch):
    """Call something as soon as a number of steps is done; the next run goes on undisturbed."""

    def arrange(number, act):
        done, show = [0], Display.step

        def step(self, result):
            show(self, result)
            done[0] += 1
            if done[0] == number:
                act()

        monkeypatch.setattr(Display, "step", step)

    return arrange


def stop_after(at_step, data, out, number, number_of_signal=signal.SIGINT, **settings):
    at_step(number, lambda: signal.raise_signal(number_of_signal))
    with pytest.raises(Interrupted) as caught:
        start(data, out, **settings)
    return str(caught.value)


def same_model(folder, whole):
    return (folder / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def steps_of(folder):
    return [line["step"] for line in read_metrics(folder)]


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
    assert names[:2] == ["config.json", "metrics.jsonl"] and names[-2:] == ["model.safetensors", "result.json"]
    assert set(names[2:-2]) == {"state.safetensors"} and len(names) == 8


def test_the_test_images_are_looked_at_once(data, tmp_path, monkeypatch):
    seen = []
    for module in (minivit.run.start, minivit.train.loop):

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


# Where it goes


def test_a_folder_that_holds_a_run_is_refused(data, tmp_path, whole):
    folder = shutil.copytree(whole, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(FileExistsError, match="holds a run already.*--out.*--resume.*--overwrite"):
        start(data, folder)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_overwriting_leaves_nothing_of_the_run_before(data, tmp_path, whole):
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / "state.safetensors").write_bytes(b"of another run")
    (folder / "notes.txt").write_text("mine")
    start(data, folder, overwrite=True, epochs=1, seed=1)
    assert steps_of(folder) == [3] and not same_model(folder, whole)
    assert {path.name for path in folder.iterdir()} == {*ALL, "notes.txt"}


def test_a_folder_without_a_run_is_free(data, tmp_path, whole):
    (tmp_path / "state.safetensors").write_bytes(b"left by a run that was removed")
    assert same_model(start(data, tmp_path).folder, whole)


def test_the_default_is_the_first_free_name(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "digits-2").mkdir(parents=True)
    names = [start(data, None, epochs=1).folder.as_posix() for _ in range(2)]
    assert names == ["runs/digits-1", "runs/digits-3"]


def test_paths_with_spaces_and_other_letters(tmp_path, at_step):
    data = tiny.write_data(tmp_path / "zwölf Zahlen 数字")
    folder = tmp_path / "mein Lauf é"
    message = stop_after(at_step, data, folder, 4)
    assert message.endswith(f"resume it with: minivit train --resume '{folder}'")
    assert resume_run(str(folder)).result["test_total"] == 20


def test_a_folder_that_cannot_be_made(data, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OSError, match="file"):
            start(data, out)


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
    with pytest.raises(RuntimeError, match="pip install cupy"):
        start_run(data, str(tmp_path / "run"), tiny.MODEL, TrainConfig(), "gpu")
    with pytest.raises(DataError, match="no data called"):
        start_run(str(tmp_path / "nothing"), str(tmp_path / "run"), {}, TrainConfig())
    assert not (tmp_path / "run").exists()


# Stopping and going on


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


@pytest.mark.parametrize("function", ["split_validation", "load_state", "evaluate", "write_json"])
def test_stopped_outside_the_loop(function, data, tmp_path, whole, monkeypatch):
    """While the data are prepared, before the first step, in the test at the end, before the result is written."""
    stop_before_the_first_step(data, tmp_path / "run", monkeypatch)

    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(minivit.run.start, function, stop)
        with pytest.raises(Interrupted, match="resume it with: minivit train --resume"):
            resume_run(str(tmp_path / "run"))
    resume_run(str(tmp_path / "run"))
    assert same_model(tmp_path / "run", whole) and steps_of(tmp_path / "run") == [3, 6, 9]


def stop_before_the_first_step(data, folder, monkeypatch):
    """Its folder then holds the settings only."""

    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(minivit.run.start, "load_state", stop)
        with pytest.raises(Interrupted):
            start(data, folder)
    assert [path.name for path in folder.iterdir()] == ["config.json"]


def test_a_run_that_had_not_saved_starts_from_its_beginning(data, tmp_path, whole, monkeypatch, capsys):
    stop_before_the_first_step(data, tmp_path / "run", monkeypatch)
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 1}\n{"st')  # written after no save
    resume_run(str(tmp_path / "run"))
    assert same_model(tmp_path / "run", whole) and steps_of(tmp_path / "run") == [3, 6, 9]
    assert "going on" not in capsys.readouterr().out


def test_a_run_that_has_ended_is_only_read(tmp_path, whole, capsys):
    folder = shutil.copytree(whole, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    run = resume_run(str(folder))
    assert capsys.readouterr().out == f"run {folder} has ended already\n"
    assert run.result == json.loads(before["result.json"])
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_parts_of_files_are_removed(data, tmp_path, whole, at_step):
    stop_after(at_step, data, tmp_path / "run", 2)
    for name in (".state.safetensors.abc123", ".metrics.jsonl.xyz"):
        (tmp_path / "run" / name).write_bytes(b"cut sho")
    resume_run(str(tmp_path / "run"))
    assert {path.name for path in (tmp_path / "run").iterdir()} == ALL and same_model(tmp_path / "run", whole)


@posix
def test_one_process_at_a_time(data, tmp_path, at_step):
    stop_after(at_step, data, tmp_path / "run", 2)
    with locked(tmp_path / "run"):
        with pytest.raises(CheckpointError, match="another process is training in it"):
            resume_run(str(tmp_path / "run"))
        with pytest.raises(CheckpointError, match="another process is training in it"):
            start(data, tmp_path / "run", overwrite=True)
    assert resume_run(str(tmp_path / "run")).result


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
            assert process.stdout.readline().startswith("run ")
            assert process.stdout.readline().startswith("epoch ")
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
def test_killed_at_ten_random_moments(data, tmp_path):
    expected = kill_many.train_undisturbed(tmp_path / "whole", data)
    seen = kill_many.train_with_kills(tmp_path / "run", data, 10, random.Random(0))
    assert "step 0" in seen[0] and "state.safetensors" not in seen[0], "the first kill was to hit the first write"
    assert len({moment.split(":")[0] for moment in seen}) >= 6, seen  # spread over the run
    kill_many.check_end(tmp_path / "run", expected)


# Trouble is named, and nothing is lost


def damage(folder):
    """What may have happened to a state: (name, function of its bytes, what the message says)."""
    other = tiny.config(dim=12, heads=3)

    def rewritten(change):
        def rewrite(content):
            path = folder / "state.safetensors"
            arrays, values = read_tensors(path)
            change(arrays, values)
            write_tensors(path, arrays, values)
            return path.read_bytes()

        return rewrite

    yield "empty", lambda content: b"", "not a whole safetensors file"
    yield "truncated", lambda content: content[:-1], "not a whole safetensors file"
    yield "half", lambda content: content[: len(content) // 2], "not a whole safetensors file"
    yield "longer", lambda content: content + b"\0", "not a whole safetensors file"
    yield "zeros", lambda content: bytes(len(content)), "safetensors file"
    yield "text", lambda content: b"not a state", "not a whole safetensors file"
    yield "a name less", rewritten(lambda arrays, values: arrays.pop("m")), "m is missing or does not fit"
    yield "another shape", rewritten(lambda arrays, values: arrays.update(v=np.zeros(3, "f"))), "v is missing or does"
    yield "another dtype", rewritten(lambda arrays, values: arrays.update(m=arrays["m"].astype("d"))), "m is missing"
    yield (
        "other settings",
        rewritten(lambda arrays, values: values["settings"]["train"].update(seed=7)),
        "other settings",
    )
    yield "another model", rewritten(lambda a, v: v["settings"]["model"].update(other.to_dict())), "other settings"
    yield "no settings", rewritten(lambda arrays, values: values.clear()), "other settings"


@pytest.fixture
def stopped(data, tmp_path, at_step):
    """The folder of a run that was stopped after its second step."""
    stop_after(at_step, data, tmp_path / "run", 2)
    return tmp_path / "run"


def test_a_state_that_is_damaged_is_refused(stopped, whole):
    path = stopped / "state.safetensors"
    good = path.read_bytes()
    for name, function, message in damage(stopped):
        path.write_bytes(good)
        path.write_bytes(function(good))
        bad = path.read_bytes()
        with pytest.raises(CheckpointError, match=message) as caught:
            resume_run(str(stopped))
        assert "\n" not in str(caught.value) and "state.safetensors" in str(caught.value), name
        assert path.read_bytes() == bad, name
    path.write_bytes(good)
    resume_run(str(stopped))
    assert same_model(stopped, whole)


def test_a_flipped_bit_is_noticed_wherever_it_is(stopped):
    path = stopped / "state.safetensors"
    good = path.read_bytes()
    header = 8 + int.from_bytes(good[:8], "little")
    draw = random.Random(0)
    places = [*range(0, header, 5), *(draw.randrange(header, len(good)) for _ in range(50)), len(good) - 1]
    flips = [(place, 1 << draw.randrange(8)) for place in places]
    flips += [(place, 32) for place in range(header) if good[place : place + 2] == b"e-"]  # 1e-05 becomes 1E-05
    assert len(flips) > len(places)
    for place, bit in flips:
        bad = bytearray(good)
        bad[place] ^= bit
        path.write_bytes(bad)
        with pytest.raises(CheckpointError) as caught:
            read_tensors(path)
        assert "\n" not in str(caught.value), place


def test_a_model_is_no_state(stopped, whole):
    shutil.copy(whole / "model.safetensors", stopped / "state.safetensors")
    with pytest.raises(CheckpointError, match="other settings"):
        resume_run(str(stopped))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"data": "mnist5k"}', "null and void"])
def test_settings_that_are_damaged(content, tmp_path, whole):
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / "config.json").write_text(content)
    for function in (resume_run, load_run):
        with pytest.raises(CheckpointError, match="config.json: ") as caught:
            function(str(folder))
        assert "\n" not in str(caught.value)


def test_other_files_that_are_damaged(tmp_path, whole):
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / "result.json").write_text("{}")
    with pytest.raises(CheckpointError, match="result.json: not written by minivit.*test_accuracy"):
        load_run(folder)
    (folder / "metrics.jsonl").write_text('{"step": 1}\n{"st')
    with pytest.raises(CheckpointError, match="metrics.jsonl: damaged"):
        read_metrics(folder)


def test_no_run_to_resume(tmp_path):
    with pytest.raises(CheckpointError, match="no config.json.*start one with --out"):
        resume_run(str(tmp_path / "nothing"))


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


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered")
def test_a_loss_that_is_not_finite_is_located_and_the_state_kept(stopped, whole):
    path = stopped / "state.safetensors"
    arrays, content = read_tensors(path)
    weights = load_run(whole).model.with_flat(arrays["params"]).params["blocks.1.mlp.fc1.weight"]
    weights[...] = 3e38
    write_tensors(path, arrays, content)
    good = path.read_bytes()
    with pytest.raises(TrainingError, match="loss nan and gradient norm nan at step 3, learning rate") as caught:
        resume_run(str(stopped))
    message = str(caught.value)
    assert "linear_forward in mlp_forward in block_forward of block 1 produced the first of them" in message
    assert f"saved in {stopped} before is kept; start again with a lower --learning-rate" in message
    assert "\n" not in message
    assert path.read_bytes() == good


def test_a_state_that_is_not_finite_is_not_saved(data, tmp_path, at_step, monkeypatch):
    """On a GPU the loss is looked at only now and then, and the weights may be lost before that."""
    stop_after(at_step, data, tmp_path / "run", 5)
    good, update = (tmp_path / "run" / "state.safetensors").read_bytes(), minivit.train.trainer.Trainer.update

    def spoil(self, images, labels):
        result = update(self, images, labels)
        self.model.params.flat[7] = np.inf
        return result

    monkeypatch.setattr(minivit.train.trainer.Trainer, "update", spoil)
    with pytest.raises(TrainingError, match="params is not finite after step 6; what was saved before is kept"):
        resume_run(str(tmp_path / "run"))
    assert (tmp_path / "run" / "state.safetensors").read_bytes() == good


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("written", range(1, 8))
def test_a_full_disk_leaves_what_was_saved(function, written, data, tmp_path, whole, monkeypatch):
    """Room for 1, 2, ... more files: config.json, metrics.jsonl, four states, the model, the result."""
    room, write = [written], getattr(os, function)

    def full(*arguments):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(*arguments)

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(os, function, full)
        with pytest.raises(
            OSError, match="what was saved before is kept, resume it with: minivit train --resume"
        ) as caught:
            start(data, folder)
    assert os.strerror(errno.ENOSPC) in str(caught.value) and "\n" not in str(caught.value)
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    if written > 2:
        assert read_tensors(folder / "state.safetensors")[1]["step"] == min(2 * (written - 2), 8)
    resume_run(str(folder))
    assert same_model(folder, whole) and steps_of(folder) == [3, 6, 9]


def test_nobody_reads_what_it_prints(data, tmp_path, whole, monkeypatch):
    def gone(self, report):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    with monkeypatch.context() as patch:
        patch.setattr(Display, "report", gone)
        with pytest.raises(
            Interrupted, match="nobody reads what it prints; all is kept, resume it with: minivit train"
        ):
            start(data, tmp_path / "run", save_every=None)
    assert read_tensors(tmp_path / "run" / "state.safetensors")[1]["step"] == 3  # saved before it is shown
    resume_run(str(tmp_path / "run"))
    assert same_model(tmp_path / "run", whole)


# Reading it back


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
    with pytest.raises(CheckpointError, match="no trained model here; train one with minivit train"):
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
        monkeypatch.setattr("minivit.run.load.find_mnist", lambda: None)
        settings = {**run.settings, "data": name}
        assert overlap(run._replace(settings=settings), load(data).test) is None


@pytest.mark.parametrize("keep", [True, False])
def test_freed_memory_is_kept_only_if_asked(keep, data, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(minivit.run.start, "keep_freed_memory", lambda: calls.append(1))
    start(data, tmp_path / "run", keep_memory=keep)
    assert len(calls) == keep
