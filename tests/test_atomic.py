"""Files as wholes: what is there before stays or is replaced in one go, and only regular files are read."""

import contextlib
import json
import os
import stat
import sys
import threading

import pytest

from minivit.atomic import (
    check_format,
    is_private,
    open_regular,
    prepared,
    read_json,
    write_atomically,
    write_json,
)
from minivit.errors import CheckpointError

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes, links, pipes and devices")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file(step, error, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"old")

    def fail(*arguments):
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)) as caught:
        write_atomically(tmp_path / "file", b"new")
    if isinstance(error, OSError):
        assert str(caught.value) == f"[Errno 28] No space left on device: '{tmp_path / 'file'}'"
    assert (tmp_path / "file").read_bytes() == b"old" and names(tmp_path) == ["file"]


def test_writing_replaces_and_leaves_nothing_else(tmp_path):
    for content in (b"one", b"two"):
        write_atomically(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == content
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("name", ["nowhere/file", "file/file", "."])
def test_where_no_file_can_be_the_name_is_in_the_error(name, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError) as caught:
        write_atomically(tmp_path / name, b"new")
    assert str(tmp_path / name) in str(caught.value)
    assert names(tmp_path) == ["file"]


# Several files


def test_several_files_take_their_names_together(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with prepared({tmp_path / "a": b"new", tmp_path / "b": b"new"}) as take_names:
        assert (tmp_path / "a").read_bytes() == b"old" and not (tmp_path / "b").exists()
        take_names()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == b"new" and names(tmp_path) == ["a", "b"]


def test_without_that_call_nothing_has_changed(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with prepared({tmp_path / "a": b"new", tmp_path / "b": b"new"}):
        pass
    with pytest.raises(OSError, match="nowhere"), prepared({tmp_path / "a": b"x", tmp_path / "nowhere" / "b": b"x"}):
        raise AssertionError
    assert (tmp_path / "a").read_bytes() == b"old" and names(tmp_path) == ["a"]


# Modes, links, names


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o444, 0o666, 0o755])
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o277, 0o000])
def test_a_file_that_is_replaced_keeps_its_mode(mode, mask, tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(mode)
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "file", b"new")
        write_atomically(tmp_path / "another", b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "another").stat().st_mode) == 0o666 & ~mask


@posix
def test_a_private_file_is_private_from_its_first_byte(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(0o600)
    modes, change = [], os.chmod

    def look(path, mode):
        modes.append(stat.S_IMODE(os.stat(path).st_mode))
        change(path, mode)

    monkeypatch.setattr(os, "chmod", look)
    write_atomically(tmp_path / "file", b"new")
    assert modes == [0o600]


@posix
@pytest.mark.parametrize("target", ["a/file", "a/new"])
def test_a_link_is_followed(target, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "second").symlink_to("link")
    write_atomically(tmp_path / "second", b"new")
    assert (tmp_path / "second").is_symlink() and (tmp_path / "link").is_symlink()
    assert (tmp_path / target).read_bytes() == b"new"
    assert names(tmp_path) == ["a", "link", "second"] and set(names(tmp_path / "a")) == {"file", target[2:]}


@pytest.mark.parametrize("length", [1, 200, 201, 237, 238, 250, 255])
def test_names_of_every_length(length, tmp_path):
    path = tmp_path / ("n" * length)
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two" and names(tmp_path) == [path.name]


@pytest.mark.parametrize("name", ["config.json", "ä" * 120, "n" * 255, "a[b]*.png", "\udcff"])
def test_a_private_file_is_known_by_its_exact_name(name, tmp_path):
    seen = []
    try:
        with prepared({tmp_path / name: b"new"}):
            seen = names(tmp_path)
    except OSError:
        pytest.skip("this file system has no such name")
    assert len(seen) == 1 and is_private(seen[0], of=name)
    for other in (seen[0] + "x", seen[0][:-1], seen[0][1:], f".{name}.swp", f".{name}.0123456789ABCDEF", name):
        assert not is_private(other, of=name)
    assert not is_private(seen[0], of="another")


# What is no regular file


@posix
def test_a_device_is_written_to_and_not_replaced(tmp_path):
    (tmp_path / "link").symlink_to(os.devnull)
    for path in (os.devnull, tmp_path / "link"):
        write_atomically(path, b"new")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode) and (tmp_path / "link").is_symlink()
    assert names(tmp_path) == ["link"]


@posix
def test_a_full_device_says_so():
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        write_atomically("/dev/full", b"new")


@posix
def test_a_pipe_is_written_to_if_somebody_reads(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe"):
        write_atomically(tmp_path / "pipe", b"new")
    content, read = bytes(1 << 20), []
    thread = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    thread.start()
    while thread.is_alive() and not read:
        with contextlib.suppress(OSError):  # the thread has not opened it yet
            write_atomically(tmp_path / "pipe", content)
            break
    thread.join()
    assert read == [content] and stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode) and names(tmp_path) == ["pipe"]


@posix
def test_several_files_are_regular_ones(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="Not a regular file: .*pipe"), prepared({tmp_path / "pipe": b"new"}):
        raise AssertionError


@posix
@pytest.mark.parametrize(
    "make, kind", [(os.mkdir, "folder"), (os.mkfifo, "pipe"), (lambda path: path.symlink_to("/dev/zero"), "device")]
)
def test_only_regular_files_are_read(make, kind, tmp_path):
    make(tmp_path / "file")
    with (
        pytest.raises(CheckpointError, match=f"file: not a regular file but a {kind}"),
        open_regular(tmp_path / "file"),
    ):
        raise AssertionError


def test_a_file_is_read_if_it_is_not_too_large(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    with open_regular(tmp_path / "file", largest=5) as file:
        assert file.read() == b"12345"
    with pytest.raises(CheckpointError, match="has 5 bytes, expected at most 4"), open_regular(tmp_path / "file", 4):
        raise AssertionError
    with pytest.raises(FileNotFoundError), open_regular(tmp_path / "nothing"):
        raise AssertionError


# JSON


def test_json_goes_there_and_back(tmp_path):
    values = {"a": [1, 2.5, None], "b": "ü", "c": "\udcff"}
    write_json(tmp_path / "file.json", values)
    assert read_json(tmp_path / "file.json") == json.loads((tmp_path / "file.json").read_text()) == values
    assert read_json(tmp_path / "none.json") is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"9" * 5000 + b"x"])
def test_what_is_no_json_is_refused(content, tmp_path):
    (tmp_path / "file.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"file.json: not readable as JSON") as caught:
        read_json(tmp_path / "file.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_formats_up_to_todays_are_read(number):
    check_format({"format": number}, 2, "file")
    check_format({}, 2, "file")


@pytest.mark.parametrize("number", [3, -1, "1", 1.0, True, None])
def test_other_formats_are_refused(number):
    with pytest.raises(CheckpointError, match="file: has format .* reads formats 0 to 2: update minivit"):
        check_format({"format": number}, 2, "file")
