"""The house rules that a reader relies on: who imports whom, no hidden state, nothing happens on import."""

import ast
import pathlib
import subprocess
import sys
from typing import NamedTuple

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "minivit"
FILES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


class Unit(NamedTuple):
    """A folder of the package, or a file beside the folders: what it may import."""

    inside: str  # of minivit; "..." is everything in the rows above
    outside: str = "numpy"  # of what is installed


# In an order in which they can be understood: each row imports only what stands above it.
TABLE = {
    "errors": Unit("", ""),
    "counted": Unit("", ""),
    "backend": Unit("errors", "numpy cupy"),
    "settings": Unit("errors"),
    "rng": Unit(""),
    "atomic": Unit("errors", ""),
    "plotting": Unit("errors atomic", "numpy matplotlib"),
    "ops": Unit("errors backend", "einops"),
    "params": Unit("errors backend"),
    "optim": Unit("backend params"),
    "muon": Unit("backend", ""),
    "config": Unit("counted settings ops", ""),
    "shapes": Unit("config", ""),
    "masks": Unit("backend config ops"),
    "layers": Unit("config counted muon params settings", ""),
    "embedding": Unit("errors backend config masks ops params", ""),
    "model": Unit("backend config embedding layers masks ops params", ""),
    "initial": Unit("config params rng shapes"),
    "preprocess": Unit("errors counted backend settings atomic config ops", "numpy PIL"),
    "checkpoint": Unit("errors atomic config params preprocess shapes", "numpy safetensors"),
    "weights": Unit("...", "numpy safetensors einops tqdm onnx"),
    "machine": Unit("", ""),
    "data": Unit("errors counted atomic machine preprocess", "numpy tqdm PIL"),
    "blas": Unit("", "threadpoolctl"),
    "ranks": Unit("errors backend machine blas", "numpy mpi4py"),
    "parallel": Unit("..."),
    "vit": Unit("..."),
    "__init__": Unit("...", ""),
    "insight": Unit("..."),
    "pictures": Unit("...", "numpy tqdm"),
    "neighbours": Unit("errors settings"),
    "train": Unit("..."),
    "gradcheck": Unit("errors counted backend rng plotting ops params config masks model vit", "numpy tqdm"),
    "run": Unit("...", "numpy tqdm"),
    "learn": Unit("..."),
    "page": Unit("...", "numpy starlette uvicorn"),
    "cli": Unit("..."),
    "__main__": Unit("...", ""),
}
APART = {("train", "gradcheck"), ("run", "gradcheck"), ("learn", "train"), ("learn", "run"), ("learn", "gradcheck")}
PURE = {"ops", "model", "layers", "params", "optim", "muon"}  # mathematics: no files, no clocks, no threads
PURE_STANDARD_LIBRARY = {"collections", "dataclasses", "functools", "itertools", "math", "types", "typing"}


def unit(name):
    """The row of TABLE that a file belongs to."""
    return name.split("/")[0].removesuffix(".py")


def imports(name):
    """(what of minivit, what from outside) the file imports, functions included; top-level names only."""
    inside, outside = set(), set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ImportFrom) and node.level:
            package = ["minivit", *name.split("/")[:-1]][: -node.level + 1 or None]
            path = package + (node.module.split(".") if node.module else [])
            modules = [path] if node.module else [[*path, alias.name] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module.split(".")]
        elif isinstance(node, ast.Import):
            modules = [alias.name.split(".") for alias in node.names]
        else:
            continue
        for first, *rest in modules:
            if first != "minivit":
                outside.add(first)
            else:
                inside.add(rest[0] if rest and rest[0] in map(unit, FILES) else "__init__")
    return inside - {unit(name)}, outside


@pytest.mark.parametrize("name", FILES)
def test_imports_only_what_it_may(name):
    assert unit(name) in TABLE, f"{name} is new: give it a row in TABLE"
    row = TABLE[unit(name)]
    above = list(TABLE)[: list(TABLE).index(unit(name))]
    may_inside = set(above) if row.inside == "..." else set(row.inside.split())
    may_inside -= {other for importer, other in APART if importer == unit(name)}
    may_outside = set(row.outside.split())
    may_outside |= PURE_STANDARD_LIBRARY if unit(name) in PURE else set(sys.stdlib_module_names)
    assert may_inside <= set(above), f"the row of {unit(name)} lets it import what stands below it"
    inside, outside = imports(name)
    assert not inside - may_inside, f"{name} may not import {sorted(inside - may_inside)} of minivit"
    assert not outside - may_outside, f"{name} may not import {sorted(outside - may_outside)}"


def test_only_the_backend_names_cupy():
    assert [name for name, path in FILES.items() if "cupy" in path.read_text(encoding="utf-8")] == ["backend.py"]


def test_only_ranks_names_mpi4py():
    assert [name for name, path in FILES.items() if "mpi4py" in path.read_text(encoding="utf-8")] == ["ranks.py"]


@pytest.mark.parametrize("name", FILES)
def test_no_file_needs_scrolling(name):
    lines = len(FILES[name].read_text(encoding="utf-8").splitlines())
    assert lines <= 250, f"{name} has {lines} lines: split it"


@pytest.mark.parametrize("name", FILES)
def test_no_mutable_state_in_a_module(name):
    containers = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.Call)
    for node in TREES[name].body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, containers):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in map(ast.unparse, targets):
                assert target.isupper() or target == "__all__", f"line {node.lineno}: {target} could be changed"
    assert not [node.lineno for node in ast.walk(TREES[name]) if isinstance(node, (ast.Global, ast.Nonlocal))]


def test_every_generator_comes_from_one_place():
    def draws(tree):
        attributes = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        return any(
            a.split(".", 1)[1] in ("random.default_rng", "random.seed", "random.RandomState") for a in attributes
        )

    assert [name for name, tree in TREES.items() if draws(tree)] == ["rng.py"]


@pytest.mark.parametrize("name", FILES)
def test_public_signatures_are_annotated(name):
    for function in public_functions(TREES[name]):
        arguments = function.args
        named = arguments.posonlyargs + arguments.args + arguments.kwonlyargs + [arguments.vararg, arguments.kwarg]
        bare = [a.arg for a in named if a and a.annotation is None and a.arg not in ("self", "cls")]
        assert not bare, f"line {function.lineno}: {function.name} does not say what {', '.join(bare)} is"
        assert function.returns is not None, f"line {function.lineno}: {function.name} does not say what it returns"


def public_functions(tree):
    """The functions and methods of a module that others may call."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node)
        elif isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name == "__init__"):
            yield node


def test_importing_minivit_does_nothing_else():
    program = "import sys, minivit; print(*sys.modules, file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == ""
    modules = run.stderr.split()
    loaded = {module.split(".")[0] for module in modules} | set(modules)
    assert "minivit" in loaded
    assert not loaded & {
        "cupy",
        "mpi4py",
        "torch",
        "scipy",
        "matplotlib",
        "PIL",
        "tkinter",
        "tqdm",
        "urllib.request",
        "http",
        "ssl",
    }
