"""`minivit explain`: the derivations from the docstrings of the operations, formatted for a terminal."""

import ast
import difflib
import importlib
import inspect
import os
import re
import shutil
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

from .. import ops
from ..errors import ConfigError

MARK = re.compile(r"\s*#\s*((?:\(\d\)\s*)+)")  # the steps that a line of code carries: "# (3) (4)"
ITEM = re.compile(r"\s*(\(\d\) |\w+   *(?=\S))")  # what begins an item of a docstring: "(1) ", "Shapes   "
FULL = 120  # columns that docstrings are written for
LONGEST_WORD = 35  # a line this much shorter than FULL was broken on purpose
MARGIN = 9  # columns that the steps take beside the code


def reading_order() -> list[str]:
    """The operations' modules in the order in which to read them, as `minivit.ops` gives it; then the optimiser."""
    return [*ops.READING_ORDER, "optim"]


def explain(name: str | None = None) -> str:
    """What `minivit explain NAME` prints: what a layer is for, then its forward and its backward pass, each with its
    docstring and its code, the steps of the derivation in the margin. Without a name: all of them, in reading order.

    name: a module of `minivit.ops` ("layernorm"), "optim", or a function or pair in one ("softmax_backward",
    "class_token"). Raises ConfigError for another name.
    """
    return _contents() if name is None else _derivation(name)


def _contents() -> str:
    rows = []
    for name in reading_order():
        purpose = " ".join(_docstring(_module(name)).split()).split(". ")[0].rstrip(".") + "."
        rows.append(_wrapped(f"  {_bold(name.ljust(10))}  {purpose}", indent=14))
    return "\n".join(["The derivations, in reading order. `minivit explain NAME` prints one.", "", *rows])


def _derivation(name: str) -> str:
    module, functions = _find(name)
    parts = [_heading(module.__name__.rsplit(".")[-1].upper(), _place(module)), _wrapped(_docstring(module))]
    parts += [_function(module, node) for node in functions]
    return "\n\n".join(parts)


def _function(module: ModuleType, node: ast.FunctionDef) -> str:
    """A function's signature, docstring and code."""
    signature = f"{node.name}({', '.join(a.arg for a in node.args.args)})"
    code = _code(module, node)
    words = _wrapped(ast.get_docstring(node) or "", margin=2)
    return "\n\n".join([_heading(signature, f"{_place(module)}:{node.lineno}"), words, code])


def _code(module: ModuleType, node: ast.FunctionDef) -> str:
    """The lines after the docstring, with the steps they carry moved into the margin."""
    source = inspect.getsource(module).splitlines()
    body = source[node.body[0].end_lineno : node.end_lineno]
    lines = []
    for line in textwrap.dedent("\n".join(body)).strip("\n").splitlines():
        steps = ""
        if mark := MARK.search(line):
            steps, comment = " ".join(mark[1].split()), line[mark.end() :]
            line = line[: mark.start()] + (f"  # {comment}" if comment else "")
        lines.append(f"{_bold(steps.rjust(MARGIN))}  {line}".rstrip())
    return "\n".join(lines)


def _find(name: str) -> tuple[ModuleType, list[ast.FunctionDef]]:
    """The module that a name belongs to, and those of its public functions that the name selects."""
    known = []
    for title in reading_order():
        module = _module(title)
        functions = [n for n in ast.parse(inspect.getsource(module)).body if isinstance(n, ast.FunctionDef)]
        public = [node for node in functions if not node.name.startswith(("_", "check_"))]
        if name == title:
            return module, public
        meant = [node for node in public if name in (node.name, re.sub("_(forward|backward|step)$", "", node.name))]
        if meant:
            return module, meant
        known += [title, *(node.name for node in public)]
    close = difflib.get_close_matches(name, known, 3)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise ConfigError(f"nothing called {name!r} to explain: {hint}`minivit explain` lists what there is")


def _module(title: str) -> ModuleType:
    return importlib.import_module("minivit.optim" if title == "optim" else f"minivit.ops.{title}")


def _docstring(module: ModuleType) -> str:
    """From its source, since python -OO leaves docstrings out."""
    return ast.get_docstring(ast.parse(inspect.getsource(module))) or ""


def _place(module: ModuleType) -> str:
    """The module's file, from the package's folder on."""
    path = Path(inspect.getfile(module))
    return path.relative_to(Path(inspect.getfile(ops)).parents[2]).as_posix()


def _heading(left: str, right: str) -> str:
    gap = max(2, _width() - len(left) - len(right))
    return f"{_bold(left)}{' ' * gap}{right}\n{'-' * (len(left) + gap + len(right))}"


def _wrapped(text: str, indent: int | None = None, margin: int = 0) -> str:
    """Wrap lines that are too long for the terminal, after joining those that the docstring had wrapped. Continuation
    lines are indented to the text of their item ("(1) ...", "Shapes   ..."), or by `indent`; all lines by `margin`."""
    lines: list[str] = []
    for line in _joined(text.splitlines()) if _width() < FULL else text.splitlines():
        hang = _hang(line) if indent is None else indent
        lines += textwrap.wrap(line, _width() - margin, subsequent_indent=" " * hang, break_on_hyphens=False) or [""]
    return textwrap.indent("\n".join(lines), " " * margin)


def _joined(lines: list[str]) -> list[str]:
    """The lines, joined where the docstring had wrapped them: the first is full, the next has its hanging indent."""
    joined: list[str] = []
    full = False
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if full and line.strip() and indent == _hang(joined[-1]) and not ITEM.match(line):
            joined[-1] += " " + line.strip()
        else:
            joined.append(line)
        full = len(line) > FULL - LONGEST_WORD
    return joined


def _hang(line: str) -> int:
    """Where the text of a line begins."""
    mark = ITEM.match(line)
    return mark.end() if mark else len(line) - len(line.lstrip())


def _width() -> int:
    return max(60, min(FULL, shutil.get_terminal_size((FULL, 24)).columns))


def _bold(text: str) -> str:
    styled: Any = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return f"\x1b[1m{text}\x1b[0m" if styled and text.strip() else text
