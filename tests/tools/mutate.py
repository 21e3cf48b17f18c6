"""Change the mathematics in every small way there is, and see whether a test notices.

    python -m tests.tools.mutate                    # all of ops/, model.py and optim.py; most of an hour
    python -m tests.tools.mutate ops.layernorm      # one module
    python -m tests.tools.mutate --quick            # the checker's table only, without pytest on what survives it

One mutant at a time: another sign, operator, comparison or numeric constant, or a line left out. First the
checker's rows of that operation (for optim.py the textbook) are asked, in this process; what they let pass goes to
pytest in a copy of the tree. Prints the mutants that survive, then the score.
"""

import argparse
import ast
import contextlib
import copy
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator

from tests.test_planted_bugs import complaints
from tests.tools.changed import PACKAGE, changed_package, source_path

ROOT = PACKAGE.parent
MODULES = [f"ops.{path.stem}" for path in sorted((PACKAGE / "ops").glob("[a-z]*.py"))] + ["model", "optim"]
TESTS = ["test_refusals.py", "test_objects.py", "test_optim.py", "test_model.py", "properties", "ops"]
TESTS += ["standin/test_table.py", "reference/test_ops.py", "reference/test_model.py"]
# Rows that show the mistakes of a module before those of everything that is built on it.
ROWS = {"reductions": "linear layernorm softmax", "patches": "patch_embed", "positions": "add_positions",
        "normal_cdf": "gelu", "loss": "cross_entropy", "attention": "dot_product attention",
        "optim": "optim"}  # fmt: skip

OTHER = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Add,
    ast.Pow: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or,
    ast.Or: ast.And,
}  # fmt: skip


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in a node's place, each in one respect different."""
    other = copy.copy(node)
    if isinstance(node, (ast.BinOp, ast.AugAssign, ast.BoolOp)) and type(node.op) in OTHER:
        other.op = OTHER[type(node.op)]()
        yield other
    elif isinstance(node, ast.Compare):
        other.ops = [OTHER[type(node.ops[0])](), *node.ops[1:]]
        yield other
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not)):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        v = node.value
        yield ast.Constant(not v if isinstance(v, bool) else v + 1 if isinstance(v, int) else v * 1.01 or 0.01)
    if isinstance(node, ast.AugAssign) or (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)):
        yield ast.Pass()


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """(description, source) of every mutant; texts of errors and annotations are left alone."""
    tree = ast.parse(source)

    def places(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
        for field, value in ast.iter_fields(node):
            if isinstance(node, ast.Raise) or field in ("annotation", "returns"):
                continue
            for i, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(child, ast.AST):
                    yield node, field, i
                    yield from places(child)

    for parent, field, i in list(places(tree)):
        child = getattr(parent, field) if i is None else getattr(parent, field)[i]
        for changed in changes(child):
            line = source.splitlines()[child.lineno - 1].strip()
            set_child(parent, field, i, ast.copy_location(changed, child))
            yield f"{child.lineno}: {line}  [{ast.unparse(child)} -> {ast.unparse(changed)}]", ast.unparse(tree)
            set_child(parent, field, i, child)


def set_child(parent: ast.AST, field: str, i: int | None, child: ast.AST) -> None:
    if i is None:
        setattr(parent, field, child)
    else:
        getattr(parent, field)[i] = child


def checker_notices(module: str, source: str) -> bool:
    """Whether a row of the checker's table fails, or cannot even run."""
    name = module.split(".")[-1]
    prefixes = tuple(ROWS.get(name, name).split())
    try:
        with changed_package(module, source), contextlib.redirect_stderr(io.StringIO()):
            from minivit.gradcheck import CASES
            from minivit.gradcheck.model_cases import SWITCHES

            rows = ["optim"] if name == "optim" else [row for row in (CASES | SWITCHES) if row.startswith(prefixes)]
            return any(complaints(row, method) for row in rows for method in ("complex", "differences"))
    except (Exception, RecursionError):
        return True


def pytest_notices(folder: pathlib.Path, module: str, source: str) -> bool:
    """Whether pytest fails in a copy of the tree with this source in it."""
    path = folder / source_path(module).relative_to(ROOT)
    kept = path.read_text(encoding="utf-8")
    path.write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-k", "not entry_by_entry", *TESTS]
    result = subprocess.run(
        command, cwd=folder / "tests", env={**os.environ, "CI": "true"}, capture_output=True, timeout=900
    )
    path.write_text(kept, encoding="utf-8")
    return result.returncode != 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("modules", nargs="*", default=MODULES)
    parser.add_argument("--quick", action="store_true", help="ask the checker's table only")
    arguments = parser.parse_args()
    warnings.simplefilter("error")
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for name in ("minivit", "tests", "benchmarks", "setup.cfg"):
            copier = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copier(ROOT / name, folder / name)
        for module in arguments.modules:
            if checker_notices(module, source_path(module).read_text(encoding="utf-8")):
                sys.exit(f"the checker's rows of {module} fail without a mutant: correct that first")
        if not arguments.quick and pytest_notices(folder, module, source_path(module).read_text(encoding="utf-8")):
            sys.exit("pytest fails without a mutant: correct that first")
        everything, by_checker, by_pytest = 0, 0, 0
        for module in arguments.modules:
            for description, source in mutants(source_path(module).read_text(encoding="utf-8")):
                everything += 1
                if checker_notices(module, source):
                    by_checker += 1
                elif not arguments.quick and pytest_notices(folder, module, source):
                    by_pytest += 1
                else:
                    print(f"{module}:{description}", flush=True)
        missed = everything - by_checker - by_pytest
        print(f"{everything} mutants: {by_checker} noticed by the checker, {by_pytest} by pytest, {missed} not")


if __name__ == "__main__":
    main()
