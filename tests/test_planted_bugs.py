"""The tests, tested: every bug of `planted_bugs.py` is planted, and its operation's checks fail and name the tensor."""

import ast
import re

import numpy as np
import pytest

from tests import textbook
from tests.planted_bugs import BUGS
from tests.tools.changed import PACKAGE, changed_package, source_path

PLANTED = [(module, old, bug) for module, places in BUGS.items() for old, bugs in places.items() for bug in bugs]
ROWS = sorted({bug.row for _, _, bug in PLANTED})
SOURCES = {module: source_path(module).read_text(encoding="utf-8") for module in BUGS}
STATEMENTS = (ast.Assign, ast.AugAssign, ast.Expr, ast.Return)
DEFINES_A_BACKWARD = re.compile(r"^def [a-z]\w*_backward\(", re.MULTILINE)
# A line of a backward pass is arithmetic if it has an operator or calls anything but these.
HARMLESS = {"trained",
    "array_module", "empty", "empty_like", "range", "len", "tuple", "isinstance", "reshape",
    "take", "keep", "block_params",
}  # fmt: skip


def complaints(row: str, method: str) -> list[str]:
    """What the row's checks of the minivit that is imported now complain about, a line each."""
    if row == "optim":
        return list(optimiser_complaints())
    if row == "predict":
        return list(prediction_complaints())
    from minivit.gradcheck import CASES, hints
    from minivit.gradcheck.model_cases import SWITCHES

    hints.SAMPLE = 3  # which entry is worst is not asked here
    report = (CASES | SWITCHES)[row].check(row, method)
    return [] if report.passed else report.summary().splitlines()


def optimiser_complaints():
    from minivit import muon, optim

    for check, module in [*((check, optim) for check in textbook.CHECKS.values()), (textbook.check_muon, muon)]:
        try:
            check(module)
        except AssertionError as error:
            yield f"FAILED: {error}"


def prediction_complaints():
    from minivit import ViT, ViTConfig

    images = np.random.default_rng(1).integers(0, 256, (70, 1, 28, 28), dtype=np.uint8)
    plain, dropping = ViT(ViTConfig(depth=1)), ViT(ViTConfig(depth=1, dropout=0.5))
    one, other = plain.predict(images), dropping.predict(images)
    if one.shape != (70, 10):
        yield f"FAILED: probabilities: shape {one.shape}"
    if not np.array_equal(one, other):
        yield "FAILED: probabilities: dropout is on"


@pytest.mark.parametrize("module, old, bug", PLANTED, ids=[f"{module}-{bug.new!r}" for module, _, bug in PLANTED])
def test_a_planted_bug_is_caught_and_its_tensor_named(module, old, bug):
    source = SOURCES[module]
    assert source.count(old) == 1, f"the text to replace must occur once in {module}: {old!r}"
    # a bug that leaves a gradient out leaves whatever was in that memory: any number, overflowing ones included
    with changed_package(module, source.replace(old, bug.new)), np.errstate(all="ignore"):
        found = [*complaints(bug.row, "complex"), *complaints(bug.row, "differences")]
    names = (f"FAILED: {bug.tensor}", f"it writes to {bug.tensor}")
    assert any(name in line for line in found for name in names), f"nothing names {bug.tensor}: {found or 'all passed'}"


@pytest.mark.parametrize("row", ROWS)
def test_without_a_bug_nothing_fails(row):
    with changed_package("ops.linear", SOURCES["ops.linear"]):
        assert [*complaints(row, "complex"), *complaints(row, "differences")] == []


def modules_with_a_backward() -> list[str]:
    """Every module of the package that defines a backward pass: "ops.linear"."""
    paths = [path for path in PACKAGE.rglob("*.py") if DEFINES_A_BACKWARD.search(path.read_text(encoding="utf-8"))]
    return sorted(".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in paths)


def computes(node: ast.AST) -> bool:
    """Whether there is arithmetic in a piece of code, sizes and constants like -1 aside."""
    if isinstance(node, (ast.BinOp, ast.AugAssign)):
        return True
    if isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):
        return True
    parts = ast.iter_child_nodes(node)
    if isinstance(node, ast.Call):
        if ast.unparse(node.func).split(".")[-1] not in HARMLESS:
            return True
        parts = [node.func]  # sizes among the arguments do not count
    return any(map(computes, parts))


@pytest.mark.parametrize("module", modules_with_a_backward())
def test_every_line_of_arithmetic_in_every_backward_has_a_bug(module):
    assert module in BUGS, f"{module} has a backward pass and no planted bugs"
    source = SOURCES[module]
    touched = set()
    for old in BUGS[module]:
        first = source.count("\n", 0, source.index(old)) + 1
        touched |= set(range(first, first + old.rstrip("\n").count("\n") + 1))
    backwards = [f for f in ast.parse(source).body if isinstance(f, ast.FunctionDef) and f.name.endswith("_backward")]
    statements = [node for f in backwards for node in ast.walk(f) if isinstance(node, STATEMENTS) and computes(node)]
    bare = [ast.unparse(s) for s in statements if not touched & set(range(s.lineno, s.end_lineno + 1))]
    assert bare == [], f"{module} has lines without a planted bug"
