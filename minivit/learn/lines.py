"""Lines of the package, found in its source: by the function they are in and the text that they begin with."""

import functools
import inspect
import linecache
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

PACKAGE = Path(__file__).parents[1]


class Line(NamedTuple):
    """A line of the package: its function, and the text that the line begins with."""

    function: Callable[..., Any]
    begins: str

    @property
    def module(self) -> str:
        """The module, below the package: "ops.linear"."""
        return self.function.__module__.partition(".")[2]

    @property
    def file(self) -> str:
        """The file, below the package's folder: "ops/linear.py"."""
        return self.module.replace(".", "/") + ".py"

    @property
    def number(self) -> int:
        """The line's number in its file. Raises ValueError unless exactly one line begins so."""
        (number,) = numbers(self)
        return number


@functools.cache
def numbers(line: Line) -> tuple[int, ...]:
    """The numbers of all lines of the function that begin with the text. Raises ValueError if there is none."""
    code = inspect.unwrap(line.function).__code__
    first, last = code.co_firstlineno, max(number or 0 for *_, number in code.co_lines())
    lines = linecache.getlines(code.co_filename)[first - 1 : last]
    found = tuple(number for number, text in enumerate(lines, first) if text.strip().startswith(line.begins))
    if not found:
        raise ValueError(f"no line of {line.file}, {line.function.__name__}, begins with {line.begins!r}")
    return found
