"""What a gradient check found: one row for each tensor, a table to print, one error that says everything."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ..counted import counted
from ..errors import MinivitError

TITLES = {
    "differences": "central differences",
    "complex": "complex step",
    "dense": "central differences, entry by entry",
    "float32": "float32 against float64",
}


EXPLAINED = 3  # things that fail whose cause is sought: the first ones, operations before models


class GradientError(MinivitError, AssertionError):
    """A gradient is wrong, or cannot be checked; the message names the tensor, the entry and both numbers."""


class Row(NamedTuple):
    """The verdict on one tensor.

    analytic and numeric are the two numbers compared: the derivative in one random direction (for "dense" the entry
    where the two gradients differ most, for "float32" the two norms). For a tensor declared zero, analytic is the
    gradient's largest entry, and relative_error relates it to the largest gradient entry of all tensors.
    """

    tensor: str
    shape: tuple[int, ...]
    analytic: float
    numeric: float
    relative_error: float
    cosine: float | None  # between the two whole gradients, where both are known
    passed: bool
    problem: str = ""  # what is wrong, in words; empty if nothing is
    note: str = ""  # what else to know about the numbers: a bound of its own, say
    sought: bool = True  # whether the cause of a failure was sought

    def cells(self) -> tuple[str, str, str, str]:
        """analytic, numeric, relative_error and cosine as they are printed."""
        if math.isnan(self.analytic) and math.isnan(self.numeric):
            return "-", "-", "-", ""
        cosine = "" if self.cosine is None else f"{self.cosine:.6f}"
        return f"{self.analytic:+.9e}", f"{self.numeric:+.9e}", self.error, cosine

    @property
    def error(self) -> str:
        """relative_error as it is printed."""
        return "-" if math.isnan(self.relative_error) else f"{self.relative_error:.1e}"

    @classmethod
    def failed(cls, tensor: str, shape: tuple[int, ...], problem: str) -> "Row":
        """A row without numbers."""
        return cls(tensor, shape, math.nan, math.nan, math.nan, None, False, problem)


class Report(NamedTuple):
    """The rows of one check. `print(report)` shows the table; `report.raise_if_failed()` makes it a test."""

    name: str
    method: str
    bound: float
    seed: int
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()  # what was not checked, and what else a reader of a green report should know

    @property
    def passed(self) -> bool:
        """Whether every tensor passed."""
        return all(row.passed for row in self.rows)

    @property
    def worst(self) -> Row:
        """The row with the largest relative error; a failed one first, and NaN before any number."""
        return max(self.rows, key=badness)

    def raise_if_failed(self) -> None:
        """Raise GradientError, with a line for every problem and the seed that shows it again, if anything failed."""
        if not self.passed:
            raise GradientError("\n".join([self.summary(), *(f"note: {note}" for note in self.notes)]))

    @property
    def title(self) -> str:
        """What was checked, and how."""
        return f"{self.name} ({TITLES[self.method]}, seed {self.seed}, bound {self.bound:.0e})"

    @property
    def failed(self) -> list[Row]:
        """The rows that failed."""
        return [row for row in self.rows if not row.passed]

    def summary(self) -> str:
        """The verdict without the table: the worst error, or every problem on a line of its own."""
        if self.passed:
            return f"{self.title}: passed, worst relative error {self.worst.error} ({self.worst.tensor})"
        return "\n".join(f"{self.title}: FAILED: {row.tensor}: {row.problem}" for row in self.failed)

    def short_summary(self) -> str:
        """The summary, but the tensors whose cause was not sought share a line."""
        lines = [f"{self.title}: FAILED: {row.tensor}: {row.problem}" for row in self.failed if row.sought]
        if rest := [row for row in self.failed if not row.sought]:
            worst = max(rest, key=badness).error
            lines.append(f"{self.title}: FAILED: {_some(rest, len(self.rows))}: relative errors of up to {worst}")
        return "\n".join(lines)

    def __str__(self) -> str:
        header = ("tensor", "shape", "analytic", "numeric", "relative error", "cosine")
        lines = [(row.tensor, str(row.shape), *row.cells()) for row in self.rows]
        first, *others = table(header, lines, left=2).splitlines()
        rows = [f"{line}  {row.note}".rstrip() for line, row in zip(others, self.rows)]
        return "\n".join([first, *rows, *(f"note: {note}" for note in self.notes), self.summary()])

    def to_list(self) -> list[dict[str, Any]]:
        """A dictionary of plain JSON values for each row; a number that does not exist is None, no problem ""."""
        return [
            {"op": self.name, "tensor": row.tensor, "method": self.method,
             "relative_error": row.relative_error if math.isfinite(row.relative_error) else None,
             "passed": row.passed, "problem": row.problem}
            for row in self.rows
        ]  # fmt: skip


class Results(NamedTuple):
    """Many reports. `print(results)` shows a line for each thing checked, and ends with the worst error."""

    reports: tuple[Report, ...]

    @property
    def passed(self) -> bool:
        """Whether everything passed."""
        return all(report.passed for report in self.reports)

    def worst(self, method: str) -> tuple[str, Row]:
        """(name of the check, row) of the largest relative error by this method, as in `Report.worst`."""
        reports = {report.name: report for report in self.reports if report.method == method}
        rows = {name: report.worst for name, report in reports.items()}
        name = max(rows, key=lambda name: badness(rows[name]))
        return name, rows[name]

    def to_json(self) -> str:
        """A JSON list of {op, tensor, method, relative_error, passed, problem}."""
        return json.dumps([row for report in self.reports for row in report.to_list()], indent=2)

    def __str__(self) -> str:
        methods = list(dict.fromkeys(report.method for report in self.reports))
        found = {(report.name, report.method): report for report in self.reports}
        lines = []
        for name in dict.fromkeys(report.name for report in self.reports):
            reports = [found[name, method] for method in methods]
            worst = [report.worst for report in reports]
            verdicts = [f"{row.error} {'' if row.passed else 'FAILED '}{row.tensor}" for row in worst]
            lines.append([name, str(len(reports[0].rows)), *verdicts])
        header = ["checked", "tensors", *(f"worst by {TITLES[method]}" for method in methods)]
        return "\n".join([table(header, lines, left=len(header)), *self._failures(), self._last_line(methods)])

    def _failures(self) -> Iterator[str]:
        """The problems of the first things that fail, and a line for each of the others."""
        failed: dict[str, list[Report]] = {}
        for report in self.reports:
            if not report.passed:
                failed.setdefault(report.name, []).append(report)
        for name in list(failed)[:EXPLAINED]:
            yield from (report.short_summary() for report in failed.pop(name))
        if failed:
            more = "1 more fails" if len(failed) == 1 else f"{len(failed)} more fail"
            yield f"{more}; causes were sought for the first {EXPLAINED} (--op NAME asks for another):"
        for name, reports in failed.items():
            rows = {row.tensor: row for report in reports for row in report.failed}
            yield f"{name}: FAILED: {_some(list(rows.values()), len(reports[0].rows))}"

    def _last_line(self, methods: list[str]) -> str:
        failed = sum(not report.passed for report in self.reports)
        checks = counted(len(self.reports), "check")
        verdict = f"FAILED: {failed} of {checks}" if failed else f"{checks} passed"
        worst = ((method, *self.worst(method)) for method in methods)
        errors = [f"{row.error} by {TITLES[method]} ({name}: {row.tensor})" for method, name, row in worst]
        return f"{verdict}; worst relative error {', '.join(errors)}"


def table(header: Sequence[str], lines: Iterable[Sequence[str]], left: int) -> str:
    """Aligned columns, the first `left` of them to the left and the rest to the right."""
    cells = [header, *lines]
    widths = [max(map(len, column)) for column in zip(*cells)]
    align = [str.ljust if i < left else str.rjust for i in range(len(header))]
    return "\n".join("  ".join(f(cell, w) for f, cell, w in zip(align, line, widths)).rstrip() for line in cells)


def _some(rows: Sequence[Row], total: int) -> str:
    """Tensors in words: their names, or how many of all they are with the first and the last."""
    names = [row.tensor for row in rows]
    return ", ".join(names) if len(names) <= 5 else f"{len(names)} of {total}, {names[0]} to {names[-1]}"


def badness(row: Row) -> tuple[bool, bool, float]:
    """Sorts rows from good to bad: failed ones last, and among them those without a number."""
    return not row.passed, math.isnan(row.relative_error), row.relative_error
