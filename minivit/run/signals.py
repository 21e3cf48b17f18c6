"""Signals: the first one asks for a stop, so that the step at hand can be saved."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


class Stop(threading.Event):
    """Set when a signal has asked for a stop, with the signal's number."""

    signal = int(signal.SIGINT)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """While this is open, the first SIGINT (Ctrl-C) or SIGTERM only asks to stop, so that the step at hand can be
    finished and saved; a second one interrupts at once."""
    stop = Stop()

    def ask(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt(number)
        stop.signal = number
        stop.set()

    with on_signals(ask):
        yield stop


@contextlib.contextmanager
def on_signals(react: Callable[[int, Any], None]) -> Iterator[None]:
    """While this is open, SIGINT (Ctrl-C) and SIGTERM call `react`; afterwards they do what they did before. Outside
    the main thread, where Python allows no such change, they are left as they are."""
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, react) for number in (signal.SIGINT, signal.SIGTERM) if main}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # one that was not installed from Python cannot be put back from it
                signal.signal(number, handler)
