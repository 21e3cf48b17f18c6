"""Where the wall time of an epoch goes: `minivit train` unchanged, with its parts timed. Augmentation runs in another
thread during the step, so its time is not part of the sum."""

import argparse
import contextlib
import io
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from .contenders import software
from .harness import ROOT, clean_environment, machine, markdown

STEP = "the step: gradients, clipping, AdamW and Muon"
WAITING = "waiting for the next batch"
OTHER = "the loop itself"
BESIDE = "random affine maps, during the step"


class Clock:
    """Seconds by name."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def timed(self, name: str, function: Callable) -> Callable:
        """The function, with its time added to `name`."""

        def run(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[name] += time.perf_counter() - start

        return run

    def whole(self, name: str, function: Callable) -> Callable:
        """The generator function, with the time from its start to its end, the caller's included, added to `name`."""

        def run(*args: Any) -> Iterator:
            start = time.perf_counter()
            yield from function(*args)
            self.seconds[name] += time.perf_counter() - start

        return run


def watched(flags: list[str]) -> Counter[str]:
    """Run `minivit train` with these flags in this process; the seconds of its parts, and of the whole loop."""
    from minivit.cli import main
    from minivit.run import training
    from minivit.run.display import Display
    from minivit.train import Prefetcher, Trainer, batches, loop

    clock = Clock()
    Trainer.update = clock.timed(STEP, Trainer.update)  # type: ignore[method-assign]
    Prefetcher.__getitem__ = clock.timed(WAITING, Prefetcher.__getitem__)  # type: ignore[method-assign]
    loop.evaluate = clock.timed("validation", loop.evaluate)
    batches.augmented = clock.timed(BESIDE, batches.augmented)
    Display.step = clock.timed("progress bar", Display.step)  # type: ignore[method-assign]
    Display.report = clock.timed("progress bar", Display.report)  # type: ignore[method-assign]
    training.Saves.save_state = clock.timed("saving the state", training.Saves.save_state)  # type: ignore[method-assign]
    training.fit = clock.whole("all", training.fit)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        status = main(["train", "--out", f"{folder}/run", *flags])
    if status or "all" not in clock.seconds:
        raise SystemExit(status or "no epoch was trained: give the flags of a new run")
    return clock.seconds


def table(seconds: Counter[str]) -> str:
    """The parts of the loop, largest first, and what ran in parallel."""
    parts = Counter(seconds)
    whole, beside = parts.pop("all"), parts.pop(BESIDE, 0.0)
    parts[OTHER] = whole - sum(parts.values())
    rows = [[name, f"{spent:.2f}", f"{100 * spent / whole:.1f} %"] for name, spent in parts.most_common()]
    rows += [["together", f"{whole:.2f}", "100.0 %"], [BESIDE, f"{beside:.2f}", f"{100 * beside / whole:.1f} %"]]
    return markdown(["part", "seconds", "of the loop"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.epoch",
        description=__doc__,
        epilog="All other flags are those of a new run of minivit train, except --out.",
    )
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in the child process
    args, flags = parser.parse_known_args()
    if args.here:
        print(table(watched(flags)))
        print(f"\n{' '.join(flags)}\n{machine([[software()]])}")
        return
    command = [sys.executable, "-m", "benchmarks.epoch", "--here", *flags]
    sys.exit(subprocess.run(command, cwd=ROOT, env=clean_environment()).returncode)


if __name__ == "__main__":
    main()
