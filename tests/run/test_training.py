"""A run while it trains: what is kept when a step, the disk or the folder fails."""

import errno
import json
import os
import threading

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
