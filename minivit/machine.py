"""What depends on the machine and its operating system: how many cores there are, what malloc does, and locks."""

import ctypes
import os
import platform
from pathlib import Path
from typing import IO

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # mallopt's parameters, from glibc's malloc.h


def available_cores() -> int:
    """The cores this process may really use: those it is bound to, and no more than its container's share."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or "max": no limit
        return cores


def keep_freed_memory() -> bool:
    """Tell malloc to keep freed memory in the process instead of handing it back; True if that was possible.

    A training step frees and takes the same large arrays again and again. By default glibc returns each to the
    kernel, and faulting its pages in again costs as much as the arithmetic. This changes the whole process, so
    importing minivit never does it; a Trainer does, unless `keep_memory=False`. Only glibc (Linux) has mallopt;
    elsewhere nothing is changed.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    largest_heap_block = 32 << 20  # glibc accepts no higher threshold
    return bool(
        mallopt(M_MMAP_THRESHOLD, largest_heap_block)
        and mallopt(M_TRIM_THRESHOLD, 1 << 30)
        and mallopt(M_TOP_PAD, 64 << 20)
    )


def lock(file: IO) -> bool:
    """Lock an open file until it is closed or the process ends, however it ends; False if someone else has locked it.
    Where files have no such locks (Windows, some network drives) nothing is locked, and it is True."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        pass
    return True
