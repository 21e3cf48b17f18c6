"""Signals: the first one asks for a stop, so that the step at hand can be saved."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

# Those that end a process and leave it the time to save: Ctrl-C, kill, a terminal that is closed, the end of the CPU
# time that was granted, and what batch systems send before they take the machine away. Windows has the first two only.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU", "SIGUSR1")
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))
IMPATIENT = ("SIGINT", "SIGTERM")  # asked for by these a second time, a stop does not wait


class Stop(threading.Event):
    """Set when somebody has asked for a stop, with the number of the signal that did, and why if it was none."""

    number = int(signal.SIGINT)
    reason = ""

    def ask(self, number: int = signal.SIGINT, reason: str = "") -> None:
        """Ask for a stop, unless somebody has."""
        if not self.is_set():
            self.number, self.reason = int(number), reason
            self.set()


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """While this is open, the first of SIGNALS only asks to stop, so that the step at hand can be finished and saved; a
    second SIGINT (Ctrl-C) or SIGTERM interrupts at once."""
    stop = Stop()

    def ask(number: int, frame: Any) -> None:
        if stop.is_set() and signal.Signals(number).name in IMPATIENT:
            raise KeyboardInterrupt(number)
        stop.ask(number)

    with on_signals(ask):
        yield stop


@contextlib.contextmanager
def on_signals(react: Callable[[int, Any], None]) -> Iterator[None]:
    """While this is open, SIGNALS call `react`; afterwards they do what they did before. Left as they are: all of them
    outside the main thread, where Python allows no such change; what was not installed from Python, which could not be
    put back from it; and what is ignored (nohup ignores SIGHUP), but for SIGINT and SIGTERM, since a shell script
    starts whatever it does not wait for with SIGINT ignored."""
    before: dict[int, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                handler = signal.getsignal(number)
                ignored = handler is signal.SIG_IGN and signal.Signals(number).name not in IMPATIENT
                if handler is not None and not ignored:
                    before[number] = handler
                    signal.signal(number, react)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
