"""What a person sees while a model trains."""

import contextlib
import sys
import time
from collections.abc import Callable
from types import TracebackType

from tqdm import tqdm

from ..train import Metrics, StepResult, Trainer

TIMED_STEPS = 4
LONG = 600.0  # seconds
Say = Callable[[str], object]  # what shows a line to a person; the command line hands in one that prints


def silent(line: str) -> None:
    """A `say` for those who want to hear nothing."""


class Display:
    """A progress bar on stderr with loss, accuracy, images/s and time left, where `bar` is asked for and stderr is a
    terminal; and a plain line an epoch through `say`, unless the terminal that shows the bar would show it, too."""

    def __init__(
        self,
        trainer: Trainer,
        epochs: int,
        epoch_steps: int,
        images: int,
        say: Say = silent,
        bar: bool = False,
    ) -> None:
        self.epochs, self.epoch_steps, self.steps = epochs, epoch_steps, epochs * epoch_steps
        self.first = trainer.state.step
        self.batch = min(trainer.config.batch_size, images)
        self.say = say
        total, done = self.steps * self.batch, trainer.state.step * self.batch
        self.bar = tqdm(
            total=total,
            initial=done,
            unit=" images",
            unit_scale=True,
            disable=None if bar and sys.stderr is not None else True,  # None: where stderr is no terminal
            dynamic_ncols=True,
        )
        self.lines = self.bar.disable or not (sys.stdout is not None and sys.stdout.isatty())
        self.accuracy: tuple[str, float] | None = None
        self.seen, self.clock = 0, 0.0  # steps, and the time of the second of them

    def __enter__(self) -> "Display":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(OSError):  # a terminal that is gone
            self.bar.close()

    def step(self, result: StepResult) -> None:
        """Move the bar by a batch; the loss is read only when the bar is drawn, since a GPU would have to wait. Say so
        after the first steps if the training will take long."""
        self.seen += 1
        if self.seen == 2:  # after the first the state is saved
            self.clock = time.perf_counter()
        if self.seen == 2 + TIMED_STEPS:
            self._forecast((time.perf_counter() - self.clock) / TIMED_STEPS)
        if self.bar.update(self.batch):
            known = f", {self.accuracy[0]} {100 * self.accuracy[1]:.1f} %" if self.accuracy else ""
            self.bar.set_postfix_str(f"loss {float(result.loss):.3f}{known}", refresh=False)

    def _forecast(self, seconds: float) -> None:
        left = (self.steps - self.first - self.seen) * seconds
        if left > LONG:
            self.say(f"note: this will take about {left / 60:.0f} minutes; a run with fewer --epochs takes less")

    def report(self, report: Metrics) -> None:
        """Show a report: in the bar and, if it is that of a whole epoch, as a line of its own."""
        self.bar.set_description_str(f"epoch {report.epoch}/{self.epochs}", refresh=False)
        self.accuracy = ("training", report.accuracy)
        valid = ""
        if report.valid_loss is not None and report.valid_accuracy is not None:
            self.accuracy = ("validation", report.valid_accuracy)
            valid = f", valid loss {report.valid_loss:.4f} accuracy {100 * report.valid_accuracy:.2f} %"
        if self.lines and report.step % self.epoch_steps == 0:
            left = (self.steps - report.step) * self.batch / report.images_per_second
            self.say(
                f"epoch {report.epoch}/{self.epochs}: loss {report.loss:.4f} accuracy {100 * report.accuracy:.2f} %"
                f"{valid}, {report.images_per_second:.0f} images/s, {left:.0f} s left"
            )
