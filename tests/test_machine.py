"""What depends on the machine: cores, malloc."""

import os
import pathlib
import platform
import subprocess
import sys

import pytest

from minivit import parallel
from minivit.parallel import available_cores, keep_freed_memory


@pytest.mark.parametrize(
    "bound, limit, cores",
    [
        (8, "max 100000\n", 8),
        (8, "200000 100000\n", 2),
        (8, "250000 100000\n", 2),
        (8, "50000 100000\n", 1),
        (2, "800000 100000\n", 2),
        (3, None, 3),
        (3, "nonsense", 3),
    ],
)
def test_cores_are_those_that_may_be_used(bound, limit, cores, monkeypatch):
    def read_text(path):
        if limit is None:
            raise FileNotFoundError
        return limit

    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(bound), raising=False)
    monkeypatch.setattr(pathlib.Path, "read_text", read_text)
    assert available_cores() == cores


def test_cores_where_nothing_binds_to_them(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(pathlib.Path, "read_text", lambda path: "max 100000")
    for found, cores in ((5, 5), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda found=found: found)
        assert available_cores() == cores


def test_there_is_a_core_here():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def test_freed_memory_is_kept_where_glibc_is():
    """In a process of its own, since it changes the whole process."""
    program = "from minivit.parallel import keep_freed_memory as keep; print(keep(), keep())"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=pathlib.Path(__file__).parents[1], capture_output=True, text=True
    )
    kept = platform.libc_ver()[0] == "glibc"
    assert (run.stdout, run.stderr) == (f"{kept} {kept}\n", "")


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(parallel.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(parallel.ctypes, "CDLL", None)
    assert keep_freed_memory() is False
