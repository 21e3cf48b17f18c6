"""Files that are whole or not there: same bytes for the same model, one line for every damage, atomic writes."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save, save_file

from minivit import ViT, ViTConfig
from minivit.atomic import read_json, write_atomically, write_json
from minivit.checkpoint import CheckpointError, load_model, read_tensors, write_tensors

CONFIG = ViTConfig(image_size=(4, 6), patch_size=2, channels=2, classes=3, dim=4, depth=1, heads=2, mlp_dim=5)
SAVE = """
import sys
from minivit import ViT, ViTConfig
config = ViTConfig(image_size=(4, 6), patch_size=2, channels=2, classes=3, dim=4, depth=1, heads=2, mlp_dim=5)
ViT(config, seed=3).save(sys.argv[1])
"""


@pytest.fixture
def path(tmp_path):
    """A saved model."""
    ViT(CONFIG, seed=3).save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def refusal(path):
    """The message with which a file is refused: one line, which names the file."""
    with pytest.raises(CheckpointError) as error:
        load_model(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_model_comes_back_as_it_was(tmp_path, dtype):
    config = ViTConfig(image_size=(4, 6), patch_size=2, dim=4, depth=1, heads=2, mlp_dim=5, pixel_mean=(0.1,))
    model = ViT(config, seed=3, dtype=dtype)
    model.save(tmp_path / "a")
    params, loaded_config, _ = load_model(tmp_path / "a")
    assert loaded_config == config and params.shapes == model.params.shapes
    assert params.flat.dtype == dtype and params.flat.tobytes() == model.params.flat.tobytes()


def test_any_reader_of_safetensors_finds_the_tensors(path):
    tensors = load_file(path)
    model = ViT(CONFIG, seed=3)
    assert set(tensors) == set(model.params)
    for name, value in model.params.items():
        np.testing.assert_array_equal(tensors[name], value)


def test_the_same_model_gives_the_same_bytes_in_every_process(path, tmp_path):
    for number in (1, 2):
        environment = {**os.environ, "PYTHONHASHSEED": str(number)}
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        copy = tmp_path / f"copy {number}"
        subprocess.run([sys.executable, "-c", SAVE, str(copy)], env=environment, cwd=root, check=True)
        assert copy.read_bytes() == path.read_bytes()
    ViT.load(path).save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_another_model_gives_other_bytes(path, tmp_path):
    ViT(CONFIG, seed=4).save(tmp_path / "other")
    assert (tmp_path / "other").read_bytes() != path.read_bytes()


# Damage


def test_a_file_cut_short_anywhere_is_refused(path):
    content = path.read_bytes()
    for size in (0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        assert "not a whole safetensors file" in refusal(path), size


def test_a_file_that_is_too_long_is_refused(path):
    path.write_bytes(path.read_bytes() + b"\0")
    assert "not a whole safetensors file" in refusal(path)


def test_a_flipped_bit_anywhere_is_noticed(path):
    """In the header's length, the header, the config inside it, the names, and the numbers."""
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        refusal(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert refusal(tmp_path / "nothing").endswith("no such file")
    assert "not a regular file but a folder" in refusal(tmp_path)


def test_other_files_are_refused(path, tmp_path):
    other = tmp_path / "other"
    other.write_text("PK not a model")
    assert "not a whole safetensors file" in refusal(other)
    save_file({"head.weight": np.ones((2, 3))}, other)
    assert "a safetensors file, but not one that minivit wrote" in refusal(other)
    for metadata in ('{"minivit": 1}', "[1]", "null", "not json"):
        other.write_bytes(save({"head.weight": np.ones(2)}, {"minivit": metadata}))
        assert "not one that minivit wrote" in refusal(other)


def test_a_whole_file_without_a_model_is_refused(path):
    tensors, content = read_tensors(path)
    write_tensors(path, tensors, {})
    assert "holds no model (KeyError: 'config')" in refusal(path)
    write_tensors(path, tensors, {"config": {**content["config"], "warp": 9}})
    assert "holds no model (ConfigError: this version of minivit has no ViTConfig setting called warp" in refusal(path)
    write_tensors(path, tensors, {"config": {**content["config"], "heads": 3}})
    assert "heads 3 must divide dim 4" in refusal(path)


def test_tensors_that_are_not_those_of_the_config_are_named(path):
    tensors, content = read_tensors(path)
    some = {name: value for name, value in tensors.items() if name != "cls_token"}
    write_tensors(path, some, content)
    assert "its tensors are not those of its config: see cls_token" in refusal(path)
    write_tensors(path, {**tensors, "extra": np.ones(2)}, content)
    assert "see extra" in refusal(path)
    write_tensors(path, {**tensors, "norm.bias": np.ones(5, "float32")}, content)
    assert "see norm.bias" in refusal(path)


# Writing


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file(path, monkeypatch, step):
    old = path.read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left"):
        ViT(CONFIG, seed=4).save(path)
    assert path.read_bytes() == old
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_write_that_is_interrupted_leaves_the_old_file(path, monkeypatch):
    old = path.read_bytes()

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == old and len(list(path.parent.iterdir())) == 1


def test_a_folder_that_is_not_there_is_an_oserror(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        ViT(CONFIG).save(tmp_path / "nowhere" / "model.safetensors")


def test_writing_replaces_and_leaves_nothing_else(tmp_path):
    for content in (b"one", b"two"):
        write_atomically(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_json_goes_there_and_back(tmp_path):
    values = {"a": [1, 2.5, None], "b": "ü"}
    write_json(tmp_path / "file.json", values)
    assert read_json(tmp_path / "file.json") == json.loads((tmp_path / "file.json").read_text()) == values
    assert read_json(tmp_path / "none.json") is None
    (tmp_path / "file.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"file.json: not readable as JSON"):
        read_json(tmp_path / "file.json")
