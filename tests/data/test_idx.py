"""IDX files: what is written is read again, and every damaged file gives one line that names it."""

import gzip
import hashlib
import os

import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies as st
import numpy as np
import pytest

from minivit.data import DataError
from minivit.data.idx import find_idx, parse_idx, read_idx, write_idx, write_whole

VALUES = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)
HEADER = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 5])  # as the format's description has it
CONTENT = HEADER + bytes(range(30))


@hypothesis.given(
    hypothesis.extra.numpy.arrays(np.uint8, hypothesis.extra.numpy.array_shapes(min_dims=1, max_dims=4, min_side=0)),
    st.sampled_from(["values", "values.gz"]),
)
def test_round_trip(tmp_path_factory, values, name):
    path = tmp_path_factory.mktemp("idx") / name
    write_idx(path, values)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")
    np.testing.assert_array_equal(read_idx(path), values, strict=True)


def test_the_bytes_are_those_of_the_format(tmp_path):
    write_idx(tmp_path / "values", VALUES)
    assert (tmp_path / "values").read_bytes() == CONTENT
    read = parse_idx(CONTENT, "it")
    np.testing.assert_array_equal(read, VALUES, strict=True)
    read[:] = 0  # the caller's own


def test_the_same_values_give_the_same_bytes(tmp_path):
    for name in ("one.gz", "two.gz"):
        write_idx(tmp_path / name, VALUES)
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()


def test_first_bytes_not_the_name_say_whether_it_is_packed(tmp_path):
    (tmp_path / "plain.gz").write_bytes(CONTENT)
    (tmp_path / "packed").write_bytes(gzip.compress(CONTENT, mtime=0))
    for name in ("plain.gz", "packed"):
        np.testing.assert_array_equal(read_idx(tmp_path / name), VALUES)


def test_find_takes_the_plain_file_first(tmp_path):
    assert find_idx(tmp_path, "it") is None
    (tmp_path / "it.gz").touch()
    assert find_idx(tmp_path, "it") == tmp_path / "it.gz"
    (tmp_path / "it").touch()
    assert find_idx(tmp_path, "it") == tmp_path / "it"


PACKED = gzip.compress(CONTENT, mtime=0)
DAMAGED = {
    "empty": (b"", "no IDX file"),
    "a page of the web": (b"<!DOCTYPE html>", "starts with 0x3c21444f, expected 0x000008"),
    "wrong magic": (b"\0\1" + CONTENT[2:], "starts with 0x00010803"),
    "floats": (b"\0\0\x0d" + CONTENT[3:], "starts with 0x00000d03"),
    "header cut short": (CONTENT[:9], "cut short: 9 bytes unpacked, expected"),
    "values cut short": (
        CONTENT[:-1],
        "cut short: 45 bytes unpacked, expected 46 (a header of 16 and 2 x 3 x 5 values)",
    ),
    "too long": (CONTENT + b"\n", "too long: 47 bytes unpacked, expected 46"),
    "a huge header": (HEADER[:4] + b"\xff" * 12 + CONTENT[16:], "cut short: 46 bytes unpacked, expected 7922816"),
    "packed, cut short": (PACKED[:-9], "damaged gzip file"),
    "packed, head only": (PACKED[:7], "damaged gzip file"),
    "packed, wrong checksum": (PACKED[:-8] + bytes(4) + PACKED[-4:], "damaged gzip file"),
    "packed, wrong values": (PACKED[:12] + b"\xff" * 8 + PACKED[20:], "damaged gzip file"),
    "packed, more behind": (PACKED + b"more", "damaged gzip file"),
    "packed, too long": (gzip.compress(CONTENT + b"\0", mtime=0), "too long: 47 bytes unpacked"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_files(tmp_path, kind):
    content, words = DAMAGED[kind]
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_idx(path)
    message = str(caught.value)
    assert words in message and str(path) in message and "\n" not in message
    assert "fetch it again" in message or "check that it is the file you meant" in message


@hypothesis.given(st.binary(max_size=40), st.booleans())
def test_no_bytes_raise_anything_else(content, packed):
    for bytes_ in (content, HEADER[:4] + content):
        try:
            values = parse_idx(bytes_, "it")
        except DataError as error:
            assert str(error).startswith("it is")
        else:
            assert len(bytes_) == 4 + 4 * values.ndim + values.size


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="cannot read .*nothing.*No such file.*expected an IDX file"):
        read_idx(tmp_path / "nothing")
    with pytest.raises(DataError, match="cannot read"):
        read_idx(tmp_path)  # a folder


def test_checksum_is_of_the_unpacked_bytes(tmp_path):
    (tmp_path / "it.gz").write_bytes(PACKED)
    np.testing.assert_array_equal(read_idx(tmp_path / "it.gz", hashlib.sha256(CONTENT).hexdigest()), VALUES)
    packed = hashlib.sha256(PACKED).hexdigest()
    with pytest.raises(DataError, match=f"it.gz is another file: .* expected {packed}; move it away"):
        read_idx(tmp_path / "it.gz", packed)


def test_other_types_are_not_written(tmp_path):
    with pytest.raises(DataError, match="values of float32, expected uint8"):
        write_idx(tmp_path / "it", VALUES.astype(np.float32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_write_leaves_what_was_there(tmp_path, monkeypatch, call, stop):
    path = tmp_path / "it"
    path.write_bytes(b"old")

    def fail(*arguments):
        raise stop

    monkeypatch.setattr(os, call, fail)
    with pytest.raises((KeyboardInterrupt, DataError)) as caught:
        write_whole(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    assert caught.type is KeyboardInterrupt or "No space left on device" in str(caught.value)


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write .*choose a folder"):
        write_whole(tmp_path / "file" / "it", b"content")
    with pytest.raises(DataError, match="cannot write .*choose a folder"):
        write_whole(tmp_path / "absent" / "it", b"content")
