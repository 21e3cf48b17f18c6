"""`python -m benchmarks.step --against DIR`: our overhead beside that of another checkout, in the same rounds.

What a machine's matrix products cost is not ours; the overhead is what stands between them: a contender's step minus
the bare products of the same round. DIR is a checkout of minivit with its own `benchmarks`, which measure it.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from .contenders import ALL_TOKENS, MINIVIT, PRODUCTS, PYTORCH
from .harness import ROOT, Report, machine, markdown, run_child, series
from .workload import BATCHES, MODELS, Job

ROUNDS = 11
STEPS = {"small": 20, "default": 40, "tiny": 5}  # timed ones in each process
TORCH = [f"{PYTORCH}, matmul", f"{PYTORCH}, SDPA"]
HEADER = [
    "model",
    "contender",
    "step ms",
    "overhead ms",
    "of that of DIR",
    "processor ms",
    "overhead",
    "of that of DIR",
    "peak MB",
]

# What another version calls the same: its first two contenders are it as it runs, and with every block in full.
PROBE = """
import dataclasses, json
from benchmarks.contenders import CONTENDERS
from minivit import ViTConfig
print(json.dumps([*list(CONTENDERS)[:2], [field.name for field in dataclasses.fields(ViTConfig)]]))
"""


class Entry(NamedTuple):
    """A job, the checkout that runs it, and the row that its overhead is divided by."""

    name: str
    job: Job
    root: Path
    reference: str


class Spread(NamedTuple):
    """The median and the middle half of one value for each round."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def spread(values: list[float]) -> Spread:
    """Their median and quartiles."""
    low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return Spread(median(values), low, high)


def entries(model: str, other: Path, probe: list[Any], threads: int, steps: int | None) -> list[Entry]:
    """What is measured in every round of one model, the bare products last."""
    as_it_runs, in_full, fields = probe
    count = STEPS.get(model, 5) if steps is None else steps

    def job(contender: str, settings: dict[str, Any]) -> Job:
        return Job(contender, "step", settings, BATCHES[model], threads, count)

    ours = MODELS[model]
    theirs = {name: value for name, value in ours.items() if name in fields}
    pairs = [(ALL_TOKENS, in_full), (MINIVIT, as_it_runs)]
    rows = []
    for own, another in pairs:
        rows.append(Entry(own, job(own, ours), ROOT, f"DIR, {own}"))
        rows.append(Entry(f"DIR, {own}", job(another, theirs), other, f"DIR, {own}"))
    rows += [Entry(name, job(name, ours), ROOT, f"DIR, {ALL_TOKENS}") for name in TORCH]
    return [*rows, Entry(PRODUCTS, job(PRODUCTS, ours), ROOT, "")]


def table(model: str, rows: list[Entry], reports: list[list[Report]]) -> list[list[str]]:
    """The rows of one model: medians, overheads, and overheads paired with those of DIR, for either clock; peaks."""
    cells = [[model, row.name] for row in rows]
    for clock in ("milliseconds", "processor_milliseconds"):
        times = {row.name: series(own, clock) for row, own in zip(rows, reports)}
        floor = times[PRODUCTS]
        overheads = {name: [step - bare for step, bare in zip(own, floor)] for name, own in times.items()}
        for row, own, cell in zip(rows, reports, cells):
            mine, theirs = overheads[row.name], overheads.get(row.reference, [])
            if not times[row.name]:
                cell += ["did not run: " + own[-1].get("error", ""), "", ""]
            else:
                paired = [a / b for a, b in zip(mine, theirs)]
                whole = mine if row.name != PRODUCTS else []
                cell += [
                    f"{median(times[row.name]):.1f}",
                    *(str(spread(each)) if each else "" for each in (whole, paired)),
                ]
    for own, cell in zip(reports, cells):
        peak = series(own, "peak_bytes")
        cell.append(f"{median(peak) / 1e6:.0f}" if peak else "")
    return cells


def probe_of(other: Path) -> list[Any]:
    """The contenders and the model's fields of the other checkout. SystemExit where there is none."""
    child = subprocess.run([sys.executable, "-c", PROBE], cwd=other, env={**os.environ, "PYTHONPATH": str(other)},
                           capture_output=True, text=True)  # fmt: skip
    if child.returncode:
        raise SystemExit(f"{other} is no checkout of minivit with benchmarks: {child.stderr.strip().splitlines()[-1]}")
    return json.loads(child.stdout)


def compare_with(args: argparse.Namespace) -> None:
    """Measure every model of the command, print one table of all."""
    other = Path(args.against).resolve()
    if not other.is_dir():
        raise SystemExit(f"--against {args.against}: there is no such folder")
    probe, rounds = probe_of(other), args.rounds or ROUNDS
    cells, everything, measured = [], [], []
    for model in [args.model] if args.model else STEPS:
        rows = entries(model, other, probe, args.threads, args.steps)
        reports: list[list[Report]] = [[] for _ in rows]
        for number in range(1, rounds + 1):
            for row, own in zip(rows, reports):
                own.append(own[-1] if own and "error" in own[-1] else run_child(row.job, row.root))
                outcome = own[-1].get("error") or f"{own[-1]['milliseconds']:.2f} ms"
                print(f"{model}, round {number} of {rounds}: {row.name}: {outcome}", file=sys.stderr)
        cells += table(model, rows, reports)
        everything += reports
        measured += [{"name": row.name, **row.job._asdict(), "rounds": own} for row, own in zip(rows, reports)]
    if args.json:
        print(json.dumps(measured, indent=1))
        return
    print(markdown(HEADER, cells))
    print(f"\nthreads: {args.threads}, rounds: {rounds}; overhead = step - bare products of the same round; "
          f"medians (middle half);\n"
          f"processor ms: of all threads together\n{machine(everything)}")  # fmt: skip
