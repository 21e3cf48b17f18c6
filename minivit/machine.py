"""The machine that this process is on: its cores, and how its C library keeps memory."""

import ctypes
import os
import platform
from pathlib import Path

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # mallopt's parameters, from glibc's malloc.h


def available_cores() -> int:
    """The number of cores that this process may use: those of its CPU affinity, limited by its container's quota and by
    OMP_NUM_THREADS."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [_quota("cpu.max"), _quota("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")]  # control groups 2 and 1
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # a list is for nested loops
    limits = [cores, *quotas, int(asked) if asked.isdecimal() and int(asked) else None]
    return max(1, min(limit for limit in limits if limit is not None))


def _quota(*files: str) -> int | None:
    """How many whole cores the quota and the period in these files allow; None where nothing limits them."""
    try:
        quota, period = " ".join(Path("/sys/fs/cgroup", file).read_text() for file in files).split()
        return int(quota) // int(period) if int(quota) > 0 else None
    except (OSError, ValueError):  # no such file, or "max": no limit
        return None


def keep_freed_memory() -> bool:
    """Tell malloc to keep freed memory in the process instead of returning it to the kernel; True if that was possible.

    A training step frees and allocates the same large arrays again and again. By default glibc returns each to the
    kernel, and faulting its pages in again costs as much as the arithmetic. This changes the whole process, so
    no object of minivit does it by itself; `minivit train` and `eval` do. Only glibc (Linux) has mallopt;
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
