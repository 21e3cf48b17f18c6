"""One process at a time: the kernel's lock on the folder itself."""

import errno
import os
import signal
import sys
import time

import pytest

from minivit.errors import CheckpointError
from minivit.run import start_run
from minivit.run.lock import held
from minivit.train import TrainConfig
from tests.tools import tiny

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")


def test_a_folder_has_one_holder_until_it_is_closed(tmp_path):
    with held(tmp_path) as folder:
        assert folder.locked
        with pytest.raises(CheckpointError, match="another process is training in it") as caught, held(tmp_path):
            pass
        assert "\n" not in str(caught.value)
    with held(tmp_path) as folder:
        assert folder.locked


def test_nothing_that_happens_to_its_files_frees_it(tmp_path):
    """The lock is on the folder, which nobody replaces; config.json is replaced all the time."""
    with held(tmp_path):
        (tmp_path / "new").write_text("")
        os.replace(tmp_path / "new", tmp_path / "config.json")
        with pytest.raises(CheckpointError), held(tmp_path):
            pass


def test_a_killed_process_leaves_no_lock(tmp_path):
    program = "import sys, time; from pathlib import Path; from minivit.run.lock import held\n"
    program += "with held(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    with tiny.start(str(tmp_path), program=("-c", program)) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(CheckpointError), held(tmp_path):
            pass
        process.send_signal(signal.SIGKILL)
    with held(tmp_path) as folder:
        assert folder.locked


def test_what_was_made_and_stays_empty_is_removed(tmp_path):
    with held(tmp_path / "a" / "b", make=True):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []
    with held(tmp_path / "a" / "b", make=True):
        (tmp_path / "a" / "file").write_text("")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "file"]
    with held(tmp_path / "a", make=True):
        pass
    assert (tmp_path / "a").is_dir()
    with pytest.raises(FileExistsError), held(tmp_path / "a", make=True, fresh=True):
        pass


def test_who_is_refused_removes_nothing(tmp_path, monkeypatch):
    """Two processes find that a folder is missing, and one of them makes and holds it."""
    with held(tmp_path / "a", make=True):
        monkeypatch.setattr("minivit.run.lock._make", lambda path, fresh: [path])
        with pytest.raises(CheckpointError), held(tmp_path / "a", make=True):
            pass
        assert (tmp_path / "a").is_dir()


def test_a_folder_that_was_removed_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    import fcntl

    lock, removed = fcntl.flock, []

    def remove_first(descriptor, operation):
        if not removed:
            removed.append((tmp_path / "a").rmdir())
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with held(tmp_path / "a", make=True) as folder:
        assert folder.is_there() and removed


def test_a_folder_that_was_renamed_or_replaced_is_not_there(tmp_path):
    (tmp_path / "a").mkdir()
    with held(tmp_path / "a") as folder:
        assert folder.is_there()
        (tmp_path / "a").rename(tmp_path / "b")
        assert not folder.is_there()
        (tmp_path / "a").mkdir()
        assert not folder.is_there()
        (tmp_path / "a").rmdir()
        (tmp_path / "b").rename(tmp_path / "a")
        assert folder.is_there()


def no_module(monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)  # import fcntl fails


def no_locks(monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.EBADF, "Bad file descriptor")  # what NFS says of a folder

    monkeypatch.setattr("fcntl.flock", refuse)


def no_open_folders(monkeypatch):
    monkeypatch.delattr(os, "O_DIRECTORY")


@pytest.mark.parametrize("system", [no_module, no_locks, no_open_folders])
def test_where_there_are_no_locks_the_start_says_so(system, tmp_path, monkeypatch):
    system(monkeypatch)
    said = []
    data = tiny.write_data(tmp_path / "data")
    run = start_run(data, str(tmp_path / "run"), tiny.MODEL, TrainConfig(epochs=1, threads=1), say=said.append)
    assert run.result
    assert said[0] == f"note: there are no locks on {tmp_path / 'run'}: see to it that no other process trains in it"


@pytest.mark.parametrize("more", [(), ("--overwrite",)], ids=["new", "overwrite"])
def test_of_two_processes_exactly_one_trains(more, tmp_path):
    """Started at the same moment, in the same folder, which is new or holds a run already."""
    data = tiny.write_data(tmp_path / "data")
    folder = tmp_path / "run"
    if more:
        start_run(data, str(folder), tiny.MODEL, TrainConfig(epochs=1, threads=1))
    endless = tiny.flags(epochs=10**6, batch_size=18, threads=1)
    processes = [tiny.start("train", "--data", data, "--out", str(folder), *more, *endless) for _ in range(3)]
    try:
        while sum(process.poll() is None for process in processes) > 1:
            time.sleep(0.01)
        training = next(process for process in processes if process.poll() is None)
        assert tiny.trains(training)
        training.terminate()
        ends = sorted((process.communicate(timeout=60), process.returncode) for process in processes)
    finally:
        for process in processes:
            process.kill()
    refusals = [(out, errors) for (out, errors), status in ends if status == 2]
    assert len(refusals) == 2 and [status for _, status in ends if status != 2] == [143]
    for out, errors in refusals:
        assert out == "" and errors.count("\n") == 1
        assert "another process is training in it" in errors
    assert (folder / "state.safetensors").exists()
