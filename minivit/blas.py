"""BLAS computes with one thread while shards are computed: they are spread over threads already, and one thread adds in
one order, whatever the machine.

How many threads BLAS uses is a property of the process, not of an object. So its limit is the one thing in minivit that
is counted for the whole process: it begins with the first user and ends with the last, however they overlap, and what
was there before is back at the end.
"""

import functools
import os
import sys
import threading

from threadpoolctl import ThreadpoolController


class _Limit:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: list[int] = []  # the threads that asked for it
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def limit(self) -> int:
        """Limit BLAS to one thread until `release` is called with what this returns."""
        caller = threading.get_ident()
        with self._lock:
            if not self._users:
                self._limiter = _controller(len(sys.modules)).limit(limits=1, user_api="blas")
            self._users.append(caller)
        return caller

    def release(self, caller: int) -> None:
        """Take one user's limit back."""
        with self._lock:
            self._users.remove(caller)
            if not self._users:
                self._limiter.restore_original_limits()

    def _after_fork(self) -> None:
        """Of all threads only the one that forked goes on in the child: those of the others ask for nothing there."""
        self._lock = threading.Lock()
        had_users = bool(self._users)
        self._users = [user for user in self._users if user == threading.get_ident()]
        if had_users and not self._users:
            self._limiter.restore_original_limits()


@functools.lru_cache(maxsize=1)
def _controller(modules: int) -> ThreadpoolController:
    """The BLAS libraries of the process, looked for again when more modules are loaded: one may have brought another
    BLAS, as SciPy does. Finding them takes longer than a small step."""
    return ThreadpoolController()


def kernels() -> list[str]:
    """The BLAS libraries of this process, each with its version and the processor family that its kernels are for."""
    libraries = [info for info in _controller(len(sys.modules)).info() if info["user_api"] == "blas"]
    return sorted(
        {f"{info['internal_api']} {info['version']} {info.get('architecture', '')}".strip() for info in libraries}
    )


BLAS = _Limit()
