"""What a run writes down is read back as if a person had typed it."""

import json
import os
import shutil

import pytest

from minivit.errors import CheckpointError
from minivit.run import load_run, resume_run
from minivit.run.records import differences, read_metrics, read_result, read_settings


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
