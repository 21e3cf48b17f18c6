"""A run while it trains: what is kept when a step, the disk or the folder fails."""

import errno
import json
import os
import shutil

import numpy as np
import pytest

import minivit.run.training
import minivit.train.trainer
from minivit.checkpoint import read_tensors, write_tensors
from minivit.errors import CheckpointError, TrainingError
from minivit.run import load_run, resume_run
from tests.tools.runs import same_model, start, steps_of, stop_after


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
    assert f"saved in {stopped} before is kept: start again with a lower --muon and --learning-rate or" in message
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


@pytest.mark.parametrize(
    "function, written", [*(("fsync", n) for n in range(14)), *(("replace", n) for n in range(1, 14))]
)
def test_a_full_disk_leaves_what_was_saved(function, written, data, tmp_path, whole, monkeypatch):
    """Room for 0, 1, 2, ... more files: config.json, metrics.jsonl and a state after steps 1, 2, 4, 6 and 8; metrics,
    model and result at the end."""
    room, write = [written], getattr(os, function)

    def full(*arguments):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(*arguments)

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(os, function, full)
        with pytest.raises(OSError, match=f"cannot write to {folder}: No space left on device; ") as caught:
            start(data, folder)
    message = str(caught.value)
    assert "\n" not in message and "private" not in message
    if function == "fsync" and written < 3:
        assert message.endswith("; nothing in it was changed") and not folder.exists()
        return
    assert "; what was saved before is kept, resume it with: minivit train --resume" in message
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    saves = (written - 3) // 2 if function == "fsync" else (written - 2) // 2  # a state takes its name before metrics
    if saves >= 0 and (written >= 3 or function == "replace"):
        step = (1, 2, 4, 6, 8)[min(saves, 4)]
        assert read_tensors(folder / "state.safetensors")[1]["step"] == step
    resume_run(str(folder))
    assert same_model(folder, whole) and steps_of(folder) == [3, 6, 9]


@pytest.mark.parametrize("function", ["move", "replace", "remove"])
def test_a_folder_that_is_moved_away_is_noticed_at_the_next_save(function, data, tmp_path, whole, at_step):
    """And nothing of what was saved is lost, nor written into what is in its place."""
    folder, moved = tmp_path / "run", tmp_path / "moved"

    def act():
        if function == "remove":
            shutil.copytree(folder, moved)
            shutil.rmtree(folder)
            return
        folder.rename(moved)
        if function == "replace":
            folder.mkdir()

    at_step(5, act)
    with pytest.raises(CheckpointError, match="no longer the folder that this run began in.* put it back") as caught:
        start(data, folder)
    assert "\n" not in str(caught.value)
    assert not folder.exists() or list(folder.iterdir()) == []
    resume_run(str(moved))
    assert same_model(moved, whole)


@pytest.mark.parametrize("function", ["move", "settings"])
def test_what_happens_to_the_folder_during_the_test_is_noticed(function, data, tmp_path, whole, monkeypatch):
    folder, evaluate = tmp_path / "run", minivit.run.training.evaluate

    def act(*arguments):
        if function == "move":
            folder.rename(tmp_path / "moved").with_name("run").mkdir()
        else:
            (folder / "config.json").unlink()
        return evaluate(*arguments)

    monkeypatch.setattr("minivit.run.training.evaluate", act)
    if function == "move":
        with pytest.raises(CheckpointError, match="no longer the folder that this run began in"):
            start(data, folder)
        assert list(folder.iterdir()) == []
        return
    assert load_run(start(data, folder).folder).settings["data"] == data
    assert same_model(folder, whole)


def test_settings_that_are_removed_while_it_trains_are_put_back(data, tmp_path, whole, at_step):
    folder = tmp_path / "run"
    at_step(5, lambda: (folder / "config.json").unlink())
    with pytest.raises(
        CheckpointError, match="config.json was removed while the run trained; it is there again, every"
    ):
        start(data, folder)
    assert read_tensors(folder / "state.safetensors")[1]["step"] == 6
    resume_run(str(folder))
    assert same_model(folder, whole)


def test_settings_that_are_changed_while_it_trains_are_named(data, tmp_path, whole, at_step):
    folder = tmp_path / "run"

    def edit(**changes):
        settings = json.loads((folder / "config.json").read_text())
        settings["train"].update(changes)
        (folder / "config.json").write_text(json.dumps(settings))

    at_step(5, lambda: edit(batch_size=9, threads=2))
    with pytest.raises(
        CheckpointError, match="config.json was changed while the run trained: batch_size from 18 to 9."
    ):
        start(data, folder)
    with pytest.raises(CheckpointError, match="other settings than those in .*here batch_size 18 and there 9"):
        resume_run(str(folder))
    edit(batch_size=18)
    resume_run(str(folder))
    assert same_model(folder, whole)


@pytest.mark.parametrize("step", [4, 5, 9])
@pytest.mark.parametrize("content", [None, "", "not JSON"])
def test_metrics_are_written_whole_at_every_save(content, step, data, tmp_path, at_step):
    """Whatever somebody does to the file meanwhile."""
    folder = tmp_path / "run"

    def act():
        (folder / "metrics.jsonl").unlink()
        if content is not None:
            (folder / "metrics.jsonl").write_text(content)

    at_step(step, act)
    start(data, folder, log_every=1, save_every=100)
    assert steps_of(folder) == list(range(1, 10))
