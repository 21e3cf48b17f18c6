"""Measure contenders in fresh child processes, one at a time, and compare them within each round.

Timings are noisy: the same program can take 50 % longer a minute later. So every round runs every contender once
(A B C A B C), and ratios are formed within a round before their median over the rounds is taken.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from minivit.machine import available_cores, processor

from .contenders import CONTENDERS, PRODUCTS, PYTORCH
from .workload import BATCHES, MODELS, Job

ROOT = Path(__file__).resolve().parent.parent
SLOWING = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
)  # some machines set them, which makes a current NumPy several times slower
Report = dict[str, Any]  # what a child prints, or {"error": one line}


class Ratio(NamedTuple):
    """Paired ratios over the rounds."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def clean_environment() -> dict[str, str]:
    """The environment for a child process that is measured."""
    return {name: value for name, value in os.environ.items() if name not in SLOWING}


def run_child(job: Job, root: Path | None = None) -> Report:
    """The report of a fresh process about a job, or its failure as a report. root: another checkout to measure."""
    environment = clean_environment()
    measuring = ["-m", "benchmarks.contenders"]
    if root is not None:
        measuring, environment["PYTHONPATH"] = [str(ROOT / "benchmarks" / "clock.py")], str(root)
    command = [sys.executable, *measuring, json.dumps(job._asdict())]
    child = subprocess.run(command, cwd=root or ROOT, env=environment, capture_output=True, text=True)
    if child.returncode == 0:
        return json.loads(child.stdout.splitlines()[-1])
    return {"error": f"the process ended with status {child.returncode}"}


def run_rounds(jobs: list[Job], rounds: int) -> list[list[Report]]:
    """The reports of every job, one for each round. A job that failed is not run again."""
    reports: list[list[Report]] = [[] for _ in jobs]
    for number in range(1, rounds + 1):
        for job, own in zip(jobs, reports):
            own.append(own[-1] if own and "error" in own[-1] else run_child(job))
            outcome = own[-1].get("error") or f"{own[-1]['milliseconds']:.2f} ms"
            print(f"round {number} of {rounds}: {job.contender}, batch {job.batch}: {outcome}", file=sys.stderr)
    return reports


def paired(values: list[float], references: list[float]) -> Ratio | None:
    """The ratios of two lists of measurements, round by round; None where one of them is missing."""
    if not values or len(values) != len(references):
        return None
    ratios = [value / reference for value, reference in zip(values, references)]
    return Ratio(median(ratios), min(ratios), max(ratios))


def series(reports: list[Report], key: str) -> list[float]:
    """One value from each round's report; empty if any of them is missing."""
    values = [report.get(key) for report in reports]
    return [] if None in values else values


def best(candidates: list[list[float]]) -> list[float]:
    """The smallest value of each round, over the candidates that have values."""
    return [min(of_round) for of_round in zip(*filter(None, candidates))]


def comparison(jobs: list[Job], reports: list[list[Report]]) -> list[list[str]]:
    """The rows of the table: for each job its medians and its ratios, paired with those of the same batch."""
    rows = []
    for job, own in zip(jobs, reports):
        error = own[-1].get("error")
        if error:
            rows.append([str(job.batch), job.contender, f"did not run: {error}", "", "", "", ""])
            continue
        rivals = [(other, theirs) for other, theirs in zip(jobs, reports) if other.batch == job.batch]
        torch = [theirs for other, theirs in rivals if other.contender.startswith(PYTORCH)]
        floor = [theirs for other, theirs in rivals if other.contender == PRODUCTS]
        time, peak = series(own, "milliseconds"), series(own, "peak_bytes")
        ratios = [
            paired(time, best([series(each, "milliseconds") for each in torch])),
            paired(time, best([series(each, "milliseconds") for each in floor])),
            paired(peak, best([series(each, "peak_bytes") for each in torch])),
        ]
        of_torch, of_floor, of_leanest = ["" if ratio is None else str(ratio) for ratio in ratios]
        megabytes = f"{median(peak) / 1e6:.0f}" if peak else ""
        rows.append([str(job.batch), job.contender, f"{median(time):.2f}", of_torch, of_floor, megabytes, of_leanest])
    return rows


HEADER = ["batch", "contender", "median ms", "of the fastest PyTorch", "of the bare products", "peak MB",
          "of the leanest PyTorch"]  # fmt: skip


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, its columns padded so that it reads in a terminal."""
    rows = [header, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def machine(reports: list[list[Report]]) -> str:
    """One line: processor, cores, system, versions and the BLAS kernels that the children used."""
    done = [report for own in reports for report in own if "error" not in report]
    versions: dict[str, str] = {}
    for report in done:
        versions |= report["versions"]
    kernels = sorted({kernel for report in done for kernel in report["blas"]})
    software = ", ".join(f"{name} {version}" for name, version in versions.items())
    system = f"{platform.system()} {platform.machine()}"
    return f"{processor()}, {available_cores()} cores, {system}; {software}; {', '.join(kernels)}"


def arguments(description: str, steps: int) -> argparse.ArgumentParser:
    """The flags that every command has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="small", help="small: 206,000 parameters; tiny: ViT-Tiny/16")
    parser.add_argument("--threads", type=positive, default=available_cores(), help="worker threads of every contender")
    parser.add_argument("--rounds", type=positive, default=5, help="fresh processes per contender")
    parser.add_argument("--steps", type=positive, default=steps, help="timed steps in each process")
    parser.add_argument("--json", action="store_true", help="print every measurement as JSON instead of the table")
    return parser


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def settings(args: argparse.Namespace) -> str:
    """The flags in words, for the line below a table."""
    return f"{args.model} model; threads: {args.threads}, rounds: {args.rounds}, steps in each: {args.steps}"


def compare(task: str, description: str, steps: int, more_batches: list[int]) -> None:
    """The command that measures every contender at one task and prints the table."""
    parser = arguments(description, steps)
    usual = "batch sizes (default: the model's usual ones)"
    parser.add_argument("--batch", type=positive, nargs="+", default=argparse.SUPPRESS, help=usual)
    parser.add_argument(
        "--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), metavar="NAME", help="which to measure"
    )
    args = parser.parse_args()
    batches = vars(args).get("batch") or [BATCHES[args.model], *more_batches]
    jobs = [
        Job(contender, task, MODELS[args.model], batch, args.threads, args.steps)
        for batch in batches
        for contender in args.contenders
    ]
    reports = run_rounds(jobs, args.rounds)
    if args.json:
        print(json.dumps([{**job._asdict(), "rounds": own} for job, own in zip(jobs, reports)], indent=1))
        return
    print(markdown(HEADER, comparison(jobs, reports)))
    print(f"\n{settings(args)}; paired ratios as median (lowest to highest)\n{machine(reports)}")
