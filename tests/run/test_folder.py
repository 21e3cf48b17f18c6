"""A run's folder: what may be replaced in it, and when."""

import json
import os
import shutil

import pytest

from minivit.errors import ConfigError, TrainingError
from minivit.run import resume_run, start_run
from minivit.run.folder import FILES
from tests.tools import tiny
from tests.tools.runs import ALL, contents, same_model, start, steps_of, stop_after


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
