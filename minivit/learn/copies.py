"""Copies of the model's modules in which every tensor can be watched, moved, and a line replaced.

The passes that a tape shows are those of `minivit.model` and `minivit.ops` themselves: their sources are compiled a
second time, into modules of their own, with a call to `observed` after each line that computes a tensor of the tape. A
planted bug is another text for one of the lines. The installed modules and the files stay as they are.
"""

import ast
import builtins
import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from .graph import SITES, VALUES, Site
from .lines import PACKAGE, numbers

COPIED = ("model", "embedding", *sorted(f"ops.{path.stem}" for path in (PACKAGE / "ops").glob("[a-z]*.py")))
Watcher = Callable[[Site, Any], Any]  # is given a site and the tensor there, and returns what to go on with
WATCHER: ContextVar[Watcher] = ContextVar("WATCHER")


class Bug(NamedTuple):
    """A line of a backward pass, and what is planted in its place."""

    name: str  # "layernorm-mean", different for each
    title: str  # what is wrong, in a few words
    module: str  # "ops.layernorm"
    old: str  # occurs once in the module, within a line
    new: str
    hint: str  # where to look, without telling
    reason: str  # why the gradient is wrong, and which tensors show it

    @property
    def file(self) -> str:
        """The file, below the package's folder: "ops/layernorm.py"."""
        return self.module.replace(".", "/") + ".py"

    @property
    def line(self) -> int:
        """The number of the line in its file."""
        source = source_of(self.module)
        return source.count("\n", 0, source.index(self.old)) + 1

    @property
    def changed_source(self) -> str:
        """The module's source with the bug in it. Raises ValueError unless the old text occurs once, in a line."""
        source = source_of(self.module)
        if source.count(self.old) != 1 or "\n" in self.old + self.new:
            raise ValueError(f"{self.name}: the text to replace must occur once in {self.file}, within a line")
        return source.replace(self.old, self.new)


class Copies(NamedTuple):
    """The copied modules that are called from outside."""

    model: ModuleType
    loss: ModuleType


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Inside the block, this thread's calls of copied modules hand their tensors to the watcher."""
    token = WATCHER.set(watcher)
    try:
        yield
    finally:
        WATCHER.reset(token)


@functools.lru_cache(maxsize=32)
def copies(bug: Bug | None = None) -> Copies:
    """The modules of the model, with a bug if one is given: compiled once, and shared from then on."""
    modules: dict[str, ModuleType] = {}

    def load(name: str) -> ModuleType:
        if name not in modules:
            full = f"{PACKAGE.name}.{name}"
            modules[name] = module = ModuleType(full)
            module.__dict__.update(
                __package__=full.rpartition(".")[0],
                __builtins__={**vars(builtins), "__import__": import_copy},
                observed=lambda number, tensor: WATCHER.get()(SITES[number], tensor),
            )
            changed = bug is not None and bug.module == name
            exec(_watched(name, bug.changed_source if changed and bug else source_of(name)), module.__dict__)
        return modules[name]

    def import_copy(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if level:
            full = importlib.util.resolve_name("." * level + name, globals["__package__"])
            if full.partition(".")[2] in COPIED:
                return load(full.partition(".")[2])
        return importlib.__import__(name, globals, locals, fromlist, level)

    return Copies(load("model"), load("ops.loss"))


@functools.cache
def source_of(module: str) -> str:
    """The source of a module below the package: "ops.linear"."""
    return _path(module).read_text(encoding="utf-8")


def _path(module: str) -> Path:
    return PACKAGE.joinpath(*module.split(".")).with_suffix(".py")


def _watched(module: str, source: str) -> Any:
    """The compiled source, with a call to `observed` after the line of each site: forward, its tensor is replaced by
    what the call returns. Line numbers stay."""
    calls: dict[int, list[ast.stmt]] = {}
    forward = set(VALUES.values())
    for number, site in enumerate(SITES):
        if site.line.module == module:
            call = f"observed({number}, {site.variable})"
            text = f"{site.variable} = {call}" if site in forward else call
            for line in numbers(site.line):
                calls.setdefault(line, []).extend(ast.parse(text).body)
    tree = ast.parse(source)
    for node in list(ast.walk(tree)):
        for field in ("body", "orelse"):
            statements = getattr(node, field, None)
            if isinstance(statements, list):
                setattr(node, field, [each for s in statements for each in (s, *_placed(calls, s))])
    return compile(tree, str(_path(module)), "exec")


def _placed(calls: dict[int, list[ast.stmt]], statement: ast.stmt) -> list[ast.stmt]:
    """The calls that follow a statement, on its line."""
    found = calls.get(statement.lineno, [])
    for call in found:
        for node in ast.walk(call):
            if "lineno" in node._attributes:
                ast.copy_location(node, statement)
    return found
