"""What depends on the machine: cores, malloc."""

import os
import pathlib
import platform
import subprocess
import sys

import pytest

from minivit import machine as module
from minivit.machine import available_cores, keep_freed_memory


@pytest.fixture
def machine(monkeypatch):
    """A machine of so many cores, with these files under /sys/fs/cgroup."""

    def prepare(cores, files):
        def read_text(path):
            if path.as_posix().removeprefix("/sys/fs/cgroup/") not in files:
                raise FileNotFoundError
            return files[path.as_posix().removeprefix("/sys/fs/cgroup/")]

        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(cores), raising=False)
        monkeypatch.setattr(pathlib.Path, "read_text", read_text)

    return prepare


QUOTAS = [
    (8, "max 100000\n", 8),
    (8, "200000 100000\n", 2),
    (8, "250000 100000\n", 2),
    (8, "50000 100000\n", 1),
    (2, "800000 100000\n", 2),
    (3, "", 3),
    (3, "nonsense", 3),
    (3, "-1 100000", 3),
]


@pytest.mark.parametrize("bound, limit, cores", QUOTAS)
@pytest.mark.parametrize("version", [1, 2])
def test_cores_are_those_that_may_be_used(bound, limit, cores, version, machine):
    quota, _, period = limit.partition(" ")
    files = {"cpu/cpu.cfs_quota_us": f"{quota}\n", "cpu/cpu.cfs_period_us": period}
    machine(bound, files if version == 1 else {"cpu.max": limit})
    assert available_cores() == cores


@pytest.mark.parametrize(
    "asked, cores", [("1", 1), ("3", 3), ("9", 4), ("2,1", 2), ("", 4), ("0", 4), ("-1", 4), ("x", 4)]
)
def test_omp_num_threads_is_the_most(asked, cores, machine, monkeypatch):
    machine(8, {"cpu.max": "400000 100000"})
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert available_cores() == cores


def test_cores_where_nothing_binds_to_them(machine, monkeypatch):
    machine(1, {})
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for found, cores in ((5, 5), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda found=found: found)
        assert available_cores() == cores


def test_there_is_a_core_here():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def test_freed_memory_is_kept_where_glibc_is():
    """In a process of its own, since it changes the whole process."""
    program = "from minivit.machine import keep_freed_memory as keep; print(keep(), keep())"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=pathlib.Path(__file__).parents[1], capture_output=True, text=True
    )
    kept = platform.libc_ver()[0] == "glibc"
    assert (run.stdout, run.stderr) == (f"{kept} {kept}\n", "")


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(module.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(module.ctypes, "CDLL", None)
    assert keep_freed_memory() is False
