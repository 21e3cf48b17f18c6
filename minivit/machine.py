"""The machine that this process is on: its processor and cores, and how its C library keeps memory."""

import ctypes
import os
import platform
import sys
from pathlib import Path

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # mallopt's parameters, from glibc's malloc.h


def own_cores() -> list[int]:
    """The cores that the system lets this process use, by number."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [*range(os.cpu_count() or 1)]


def available_cores(sharing: int = 1) -> int:
    """The number of cores that this process may use, at least one: those of its CPU affinity, limited by its
    container's quota, divided by the number of processes that share them; no more than OMP_NUM_THREADS."""
    quotas = [_quota("cpu.max"), _quota("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")]  # control groups 2 and 1
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # a list is for nested loops
    cores = min(len(own_cores()), *(quota for quota in quotas if quota is not None), sys.maxsize)
    return max(1, min(cores // sharing, int(asked) if asked.isdecimal() and int(asked) else cores))


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


def processor() -> str:
    """The processor's name, if the system reports it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
