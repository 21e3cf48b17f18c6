"""IDX files: what is written is read again, and every damaged file gives one line that names it."""

import gzip
import hashlib
import os
import socket
import sys
import time
import tracemalloc

import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies as st
import numpy as np
import pytest

from minivit.data import DataError, load
from minivit.data.idx import PIECE, find_idx, parse_idx, read_idx, write_idx, write_whole

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
    "header cut short": (CONTENT[:9], "cut short: 9 bytes, expected a header of 16"),
    "values cut short": (
        CONTENT[:-1],
        "cut short: 45 bytes unpacked, expected 46 (a header of 16 and 2 x 3 x 5 values)",
    ),
    "too long": (CONTENT + b"\n", "too long: 47 bytes unpacked, expected 46"),
    "a huge header": (HEADER[:4] + b"\xff" * 12 + CONTENT[16:], "cut short: 46 bytes unpacked, expected 7922816"),
    "a gigantic header": (b"\0\0\x08\xff" + b"\xff" * 1020, "an IDX file of 255 axes, expected at most 4"),
    "packed, cut short": (PACKED[:-9], "damaged gzip file"),
    "packed, head only": (PACKED[:7], "damaged gzip file"),
    "packed, wrong checksum": (PACKED[:-8] + bytes(4) + PACKED[-4:], "damaged gzip file"),
    "packed, wrong values": (PACKED[:12] + b"\xff" * 8 + PACKED[20:], "damaged gzip file"),
    "packed, too long": (gzip.compress(CONTENT + b"\0", mtime=0), "too long: it unpacks to more than the 46 bytes"),
    "packed, half a member behind": (gzip.compress(CONTENT[:30], mtime=0) + PACKED[:9], "damaged gzip file"),
    "packed, no member behind": (gzip.compress(CONTENT[:30], mtime=0) + b"more", "cut short: 30 bytes unpacked"),
    "packed, a gigantic header": (gzip.compress(HEADER[:4] + b"\xff" * 12, mtime=0), "cut short: 16 bytes unpacked"),
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


@pytest.mark.parametrize("behind", [b"x", b"\0" * 9, PACKED, b"\x1f\x8b", b"\n" * PIECE])
def test_what_stands_behind_the_gzip_file_is_ignored(tmp_path, behind):
    """As gunzip does: the member's checksum and the length in the IDX header decide."""
    (tmp_path / "it.gz").write_bytes(PACKED + behind)
    np.testing.assert_array_equal(read_idx(tmp_path / "it.gz"), VALUES)


@pytest.mark.parametrize("size", [1, 7, 30])
def test_a_gzip_file_of_several_members(tmp_path, size):
    parts = [CONTENT[start : start + size] for start in range(0, len(CONTENT), size)]
    (tmp_path / "it.gz").write_bytes(b"".join(gzip.compress(part, mtime=0) for part in parts) + b"behind")
    np.testing.assert_array_equal(read_idx(tmp_path / "it.gz"), VALUES)


@pytest.mark.parametrize("pieces", [3.0, 3.5])
def test_a_file_of_several_pieces(tmp_path, pieces):
    values = np.random.default_rng(0).integers(0, 256, round(pieces * PIECE) - 8, np.uint8)
    for name in ("plain", "packed.gz"):
        write_idx(tmp_path / name, values)
        np.testing.assert_array_equal(read_idx(tmp_path / name), values)


@pytest.mark.parametrize("code, kind", [(9, "int8"), (11, "int16"), (12, "int32"), (13, "float32"), (14, "float64")])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_other_types_are_named(tmp_path, code, kind, pack):
    (tmp_path / "labels").write_bytes(pack(bytes([0, 0, code, 1, 0, 0, 0, 1]) + bytes(8)))
    with pytest.raises(DataError, match=f"labels holds values of {kind} .*, expected unsigned bytes .*; convert them"):
        read_idx(tmp_path / "labels")


def test_no_memory_is_taken_on_a_headers_word(tmp_path):
    """A gzip file that would unpack to 2 GiB is left as soon as it is longer than its IDX header says; a plain one that
    is not as long as its header says is not read."""
    bomb = gzip.compress(CONTENT + bytes(64 << 20), 1, mtime=0)
    (tmp_path / "bomb").write_bytes(bomb)
    with open(tmp_path / "sparse", "wb") as file:
        file.write(HEADER)
        file.truncate(3 << 30)
    tracemalloc.start()
    for name in ("bomb", "sparse"):
        with pytest.raises(DataError, match="too long"):
            read_idx(tmp_path / name)
    assert tracemalloc.get_traced_memory()[1] < 8 * PIECE
    tracemalloc.stop()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "sparse", "sparse gzip", "larger than 4 GiB"])
def test_only_regular_files_are_read(tmp_path, kind):
    """One line at once: no wait for whoever might write to a pipe."""
    path = tmp_path / "train-images-idx3-ubyte"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.path.relpath(path))
    else:
        path.write_bytes(PACKED[:10] if kind == "sparse gzip" else b"")
        os.truncate(path, 5 << 30 if kind.startswith("larger") else 3 << 30)
    started = time.perf_counter()
    with pytest.raises(DataError, match="train-images-idx3-ubyte") as caught:
        load(str(tmp_path))
    assert "\n" not in str(caught.value) and time.perf_counter() - started < 1
    if "sparse" not in kind:
        assert ("expected at most 4294967296" if kind.startswith("larger") else f"but a {kind}") in str(caught.value)


@hypothesis.given(st.binary(max_size=40), st.booleans())
def test_no_bytes_raise_anything_else(content, packed):
    for bytes_ in (content, HEADER[:4] + content):
        try:
            values = parse_idx(bytes_, "it")
        except DataError as error:
            assert str(error).startswith(("it is", "it holds"))
        else:
            assert len(bytes_) == 4 + 4 * values.ndim + values.size


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="cannot read .*nothing.*No such file.*expected an IDX file"):
        read_idx(tmp_path / "nothing")
    with pytest.raises(DataError, match="not a regular file but a folder"):
        read_idx(tmp_path)


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
