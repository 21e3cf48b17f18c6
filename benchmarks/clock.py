"""Time a contender step by step. As a script it measures one of the `benchmarks` package that it finds, which may be
that of another checkout: `python benchmarks/clock.py '{"contender": ...}'` (a workload.Job) prints a line of JSON.
"""

import json
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

WARM_UP = 3  # untimed calls for caches, threads and compilers


def timed(run: Callable[[], Any], steps: int) -> dict[str, float]:
    """The medians of `steps` calls after the warm-up, in milliseconds: of the time that passed, and of the processor
    time of all threads, which other processes of a busy machine disturb less."""
    for _ in range(WARM_UP):
        run()
    passed, processor = [], []
    for _ in range(steps):
        start, used = time.perf_counter(), time.process_time()
        run()
        passed.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return {"milliseconds": 1e3 * median(passed), "processor_milliseconds": 1e3 * median(processor)}


if __name__ == "__main__":
    from benchmarks.contenders import CONTENDERS, peak_memory, software  # type: ignore[import-not-found,unused-ignore]
    from benchmarks.workload import Job  # type: ignore[import-not-found,unused-ignore]

    job = Job(**json.loads(sys.argv[1]))
    try:
        report = {**timed(CONTENDERS[job.contender](job), job.steps), "peak_bytes": peak_memory(), **software()}
    except Exception as error:
        report = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    print(json.dumps(report))
