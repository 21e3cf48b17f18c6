"""A fresh minivit in which one module has another source: how bugs are planted without touching a file."""

import contextlib
import importlib.machinery
import importlib.util
import pathlib
import sys
from collections.abc import Iterator

import minivit

PACKAGE = pathlib.Path(minivit.__file__).parent


def source_path(module: str) -> pathlib.Path:
    """The file of a module: "ops.linear" is minivit/ops/linear.py."""
    return PACKAGE.joinpath(*module.split(".")).with_suffix(".py")


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles the source it was given in place of the file's."""

    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str):
        return compile(self._source, self.path, "exec")


class _Finder:
    def __init__(self, name: str, path: str, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(self, fullname, path, target=None):
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, loader=_Loader(fullname, self.path, self.source))


@contextlib.contextmanager
def changed_package(module: str, source: str) -> Iterator[None]:
    """Inside the block, `import minivit...` gives a fresh package in which `module` ("ops.linear") has this source.
    Afterwards everything is as it was."""
    finder = _Finder(f"minivit.{module}", str(source_path(module)), source)
    kept = _take_out()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _take_out()
        sys.modules.update(kept)


def _take_out() -> dict:
    names = [name for name in sys.modules if name == "minivit" or name.startswith("minivit.")]
    return {name: sys.modules.pop(name) for name in names}
