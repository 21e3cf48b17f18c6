"""What a person sees while a model trains, and how they stop it."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from tqdm import tqdm

from ..train.trainer import Report, StepResult, Trainer


class Display:
    """A progress bar with loss, accuracy, images/s and time left; without a terminal, one plain line an epoch."""

    def __init__(self, trainer: Trainer, epochs: int, images: int) -> None:
        assert trainer.total_steps is not None
        self.epochs, self.steps = epochs, trainer.total_steps
        self.batch = min(trainer.config.batch_size, images)
        total, done = self.steps * self.batch, trainer.state.step * self.batch
        self.bar = tqdm(total=total, initial=done, unit=" images", unit_scale=True, disable=None, dynamic_ncols=True)
        self.accuracy: tuple[str, float] | None = None

    def __enter__(self) -> "Display":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bar.close()

    def step(self, result: StepResult) -> None:
        """Move the bar by a batch; the loss is read only when the bar is drawn, since a GPU would have to wait."""
        if self.bar.update(self.batch):
            known = f", {self.accuracy[0]} {100 * self.accuracy[1]:.1f} %" if self.accuracy else ""
            self.bar.set_postfix_str(f"loss {float(result.loss):.3f}{known}", refresh=False)

    def report(self, report: Report) -> None:
        """Show a report: in the bar, or, where there is none, that of a whole epoch as a line of its own."""
        self.bar.set_description_str(f"epoch {report.epoch}/{self.epochs}", refresh=False)
        self.accuracy = ("training", report.accuracy)
        valid = ""
        if report.valid_loss is not None and report.valid_accuracy is not None:
            self.accuracy = ("validation", report.valid_accuracy)
            valid = f", valid loss {report.valid_loss:.4f} accuracy {100 * report.valid_accuracy:.2f} %"
        if self.bar.disable and report.step * self.epochs % self.steps == 0:
            left = (self.steps - report.step) * self.batch / report.images_per_second
            print(
                f"epoch {report.epoch}/{self.epochs}: loss {report.loss:.4f} accuracy {100 * report.accuracy:.2f} %"
                f"{valid}, {report.images_per_second:.0f} images/s, {left:.0f} s left",
                flush=True,
            )


class Stop:
    """False until a signal has asked for an end."""

    asked = False

    def __bool__(self) -> bool:
        return self.asked


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """While this is open, the first SIGINT (Ctrl-C) or SIGTERM only asks to stop, so that the step at hand can be
    finished and saved; a second one interrupts at once."""
    stop = Stop()

    def ask(number: int, frame: Any) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True

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
            signal.signal(number, handler)
