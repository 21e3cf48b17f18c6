"""What the page knows of a model before any picture: its tensors and how they hang together, and the code of the
operations with their derivations."""

import ast
import functools
from typing import Any

from ..config import ViTConfig
from ..learn.copies import Bug, source_of
from ..learn.operations import THROUGH_NORM
from ..learn.tape import Step, Tape

PARTS = ("q", "k", "v")


def tensors(tape: Tape) -> list[dict[str, Any]]:
    """Every tensor of a tape, in the order of the forward pass, with what the page needs to draw it and to multiply
    out its entries: the kind of its operation, its inputs, and by which steps it is used."""
    steps = tape.steps
    uses: dict[str, list[tuple[Step, int]]] = {name: [] for name in steps}
    for step in steps.values():
        for which, name in enumerate(step.inputs):
            uses[name].append((step, which))
    return [
        {
            "name": name,
            "op": kind_of(step),
            "shape": list(step.value.shape),
            "block": step.block,
            "inputs": list(step.inputs),
            "formula": _any_label(step.formula, tape) if step.kind not in ("input", "parameter") else "",
            "gradformula": _any_label(step.grad_formula, tape),
            "place": _place(step.file, step.line, step.op) if step.kind not in ("input", "parameter") else None,
            "gradplace": _place(step.grad_file, step.grad_line, (uses[name][-1][0] if uses[name] else step).op),
            "uses": [
                {
                    "step": user.name,
                    "which": which,
                    "formula": _any_label(_contribution(user, step, len(uses[name]) == 1), tape),
                }
                for user, which in uses[name]
            ],
            **_details(step, tape.config),
        }
        for name, step in steps.items()
    ]


def kind_of(step: Step) -> str:
    """How the page multiplies a tensor out: "linear", "softmax", ..."""
    last = step.name.rpartition(".")[2]
    if step.kind in ("input", "parameter"):
        return "image" if step.kind == "input" else "parameter"
    if step.op == "layernorm":
        return "normalise" if last == "xhat" else "affine"
    if step.op == "attention":
        return "heads" if last in PARTS else "join"
    if step.op == "positions":
        return "add" if len(step.inputs) == 2 else "fixed"
    if step.op == "dot_product":
        return "scores" if last == "scores" else "attended"
    return {"class_token": "prepend", "registers": "prepend", "block": "add", "layer_scale": "scale"}.get(
        step.op, step.op
    )


def sources(described: list[dict[str, Any]], bug: Bug | None = None) -> dict[str, Any]:
    """The code of every function that computes a tensor or a gradient, and its docstring, by the names that the
    tensors' places give them. With a bug: those of the changed module only, as they ran."""
    found = {}
    for place in (node[key] for node in described for key in ("place", "gradplace") if node[key] is not None):
        module = place["source"].split(":")[0]
        if place["source"] not in found and (bug is None or bug.module == module):
            text = bug.changed_source if bug is not None else source_of(module)
            found[place["source"]] = _code(module, text, place["source"].split(":")[1], place["explain"])
    return found


def _any_label(formula: str, tape: Tape) -> str:
    """A formula in which the page writes the label of its own run."""
    return formula.replace(f"logits[{tape.label}]", "logits[{label}]").replace(
        f"minus 1 at {tape.label}", "minus 1 at {label}"
    )


def _contribution(user: Step, step: Step, alone: bool) -> str:
    """The formula of what a tensor receives through a step that uses it; through the only one, its gradient's."""
    if alone:
        return step.grad_formula
    return THROUGH_NORM if kind_of(user) == "normalise" else f"d{user.name.rpartition('.')[2]}"


def _details(step: Step, config: ViTConfig) -> dict[str, Any]:
    if step.op == "attention" and (last := step.name.rpartition(".")[2]) in PARTS:
        return {"part": PARTS.index(last)}
    if step.op == "registers":
        return {"behind": int(config.has_class_token)}
    return {}


def _place(file: str, line: int, explain: str) -> dict[str, Any]:
    module = file.removesuffix(".py").replace("/", ".")
    function = _function_at(source_of(module), line)
    return {"source": f"{module}:{function}", "line": line, "explain": explain}


def _function_at(source: str, line: int) -> str:
    return next(node.name for node in _functions(source) if node.lineno <= line <= (node.end_lineno or 0))


@functools.lru_cache(maxsize=64)
def _functions(source: str) -> list[ast.FunctionDef]:
    return [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]


def _code(module: str, source: str, name: str, explain: str) -> dict[str, Any]:
    """A function's lines without its docstring, and the docstring; of a private function that of the pair it is for."""
    functions = {node.name: node for node in _functions(source)}
    node, lines = functions[name], source.splitlines()
    public = functions.get(f"{explain}_forward", node) if name.startswith("_") else node
    has_doc = ast.get_docstring(node) is not None
    first = node.body[0]
    skipped = range(first.lineno, (first.end_lineno or 0) + 1) if has_doc else range(0)
    numbers = [n for n in range(node.lineno, (node.end_lineno or 0) + 1) if n not in skipped]
    return {
        "file": f"minivit/{module.replace('.', '/')}.py",
        "explain": explain,
        "doc": (ast.get_docstring(public) or "").partition("\n>>>")[0].rstrip(),
        "lines": [{"number": n, "text": lines[n - 1]} for n in numbers],
    }
