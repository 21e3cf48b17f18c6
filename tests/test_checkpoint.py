"""Files that are whole or not there: same bytes for the same model, one line for every damage, atomic writes."""

import os
import stat
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import load_file, save, save_file

from minivit import ViT, ViTConfig
from minivit.checkpoint import CheckpointError, is_ours, load_model, read_tensors, save_model, write_tensors
from minivit.preprocess import Preprocessing
from tests.tools import tiny

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


def test_numbers_of_another_type_are_refused(path):
    tensors, content = read_tensors(path)
    write_tensors(path, {name: value.astype("float16") for name, value in tensors.items()}, content)
    assert "its tensors are float16, expected all of them to be float32 or float64" in refusal(path)
    write_tensors(path, {**tensors, "norm.bias": tensors["norm.bias"].astype("int64")}, content)
    assert "its tensors are float32 and int64" in refusal(path)


def test_a_config_that_is_larger_than_the_file_costs_nothing(path):
    tensors, content = read_tensors(path)
    write_tensors(path, tensors, {**content, "config": {**content["config"], "depth": 10_000}})
    assert "its tensors are not those of its config" in refusal(path)
    write_tensors(path, tensors, {**content, "config": {**content["config"], "dim": 10**12, "mlp_dim": 10**12}})
    assert "its tensors are not those of its config" in refusal(path)


def huge(header, size=3 << 30):
    """A sparse file of 3 GB with this header."""

    def make(path):
        path.write_bytes(len(header).to_bytes(8, "little") + header)
        os.truncate(path, size)

    return make


HOSTILE = {
    "zeros": lambda path: os.truncate(path, 0) or os.truncate(path, 3 << 30),
    "nothing but a header": huge(b"{}"),
    "a header as long as the file": lambda path: path.write_bytes((1 << 40).to_bytes(8, "little") + b"{}"),
    "a header that is too long": lambda path: path.write_bytes((99_000_000).to_bytes(8, "little") + b"[" * 1000),
    "a header that promises more": huge(b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,999999999999]}}'),
    "a header that promises less": huge(b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'),
    "deep brackets": huge(b"[" * 100_000, 100_008),
    "offsets that are none": huge(b'{"a":{"data_offsets":"no"}}', 35),
    "a list": huge(b"[1, 2]", 14),
    "metadata that are none": huge(b'{"__metadata__":7}', 26),
    "no UTF-8": huge(b"\xff" * 10, 18),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_memory_is_taken_on_a_headers_word(kind, path):
    HOSTILE[kind](path)
    tracemalloc.start()
    try:
        assert "not a whole safetensors file" in refusal(path)
        with pytest.raises(CheckpointError, match="not a whole safetensors file"):
            is_ours(path)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_whose_file_it_is(path, tmp_path):
    assert is_ours(path)
    save_file({"head.weight": np.ones((2, 3))}, tmp_path / "other", {"format": "pt"})
    assert not is_ours(tmp_path / "other")


def test_a_file_may_be_replaced_or_cut_short_while_it_is_read(path, monkeypatch):
    """It is in memory before it is parsed: a mapped file that is cut short ends the process by SIGBUS."""
    import minivit.checkpoint

    expected, read = load_file(path), minivit.checkpoint.load

    def cut(content):
        os.truncate(path, 0)
        return read(content)

    monkeypatch.setattr(minivit.checkpoint, "load", cut)
    tensors, _ = read_tensors(path)
    assert path.stat().st_size == 0
    for name, value in expected.items():
        np.testing.assert_array_equal(tensors[name], value)


def test_a_large_file_is_mapped(path, monkeypatch):
    expected = read_tensors(path)
    monkeypatch.setattr("minivit.checkpoint.COPIED", 10)
    tensors, content = read_tensors(path)
    assert content == expected[1] and tensors.keys() == expected[0].keys()
    for name, value in tensors.items():
        np.testing.assert_array_equal(value, expected[0][name])


def test_a_file_that_may_not_be_read_says_so(path, monkeypatch):
    def refuse(*arguments, **more):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    assert refusal(path).endswith("cannot be read (Permission denied)")


# Writing


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_private_model_stays_private(path):
    path.chmod(0o600)
    ViT(CONFIG, seed=4).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_is_not_there_is_an_oserror(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        ViT(CONFIG).save(tmp_path / "nowhere" / "model.safetensors")


def test_a_preprocessing_of_another_size_is_refused(tmp_path):
    """A picture would be made that large, whatever the model reads."""
    path = tmp_path / "model.safetensors"
    one = ViT(tiny.config())
    save_model(path, one.params, one.config, Preprocessing("squash", "dark", (30_000, 30_000)))
    with pytest.raises(CheckpointError, match=r"its preprocessing makes pictures of \(30000, 30000\) pixels"):
        load_model(path)
