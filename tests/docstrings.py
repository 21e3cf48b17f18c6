"""Reading docstrings of `minivit.ops`: their shapes as tuples of numbers, and arguments made from them."""

import importlib
import inspect
import re
from typing import NamedTuple

from minivit.learn.explain import reading_order
from minivit.rng import INITIAL_WEIGHTS, generator

SIZES = {"B": 2, "C": 3, "P": 4, "T": 5, "N": 6, "D": 12, "H": 3, "Dh": 4, "F": 7, "E": 9, "K": 11, "Sh": 8, "Sw": 12}
SIZES |= {"rows": 3, "columns": 8, "M": 10, "R": 13, "Tq": 2, "Tk": 4}
SIZES |= {"new_rows": 14, "new_columns": 15, "before": 6, "after": 4}
BATCH = (2, 3)  # what "..." stands for
SHAPE = re.compile(r"((?:\w+, )*)(\w+) \(([^()]*)\)")  # "q, k, v (B, H, T, Dh)": names and a shape
MODULES = {name: importlib.import_module(f"minivit.ops.{name}") for name in [*reading_order()[:-1], "reductions"]}


class Call(NamedTuple):
    """A function of minivit.ops, and the arguments that its docstring gives no shape for."""

    module: str
    function: str
    extra: dict = {}


def docstring(function):
    """The docstring, without its indentation."""
    return inspect.getdoc(function)


def shapes_line(function):
    """What stands after "Shapes": (the inputs, the output)."""
    found = re.search(r"^Shapes +(.*?)(?=^Formula|^Cache|^[A-Z][a-z]+|\Z)", docstring(function), re.M | re.S)
    assert found, f"{function.__name__} has no line of shapes"
    before, after = " ".join(found[1].split()).split("->")
    return before, after


def size(dimension):
    """A size from words: "T", "3D", "N + 1", "C·P·P"; "..." is several."""
    text = re.sub(r"(\d)([A-Za-z])", r"\1*\2", dimension.strip().replace("·", "*"))
    return eval(text, {}, SIZES)


def read_shapes(text):
    """{name: shape}, in order, of every "names (shape)"."""
    shapes = {}
    for others, name, inside in SHAPE.findall(text.replace("None, ", "None; ").replace(", each (", " (")):
        if name == "or":
            continue  # "labels (B,) integers or (B, K) probabilities": the first will do
        try:
            dimensions = [d for d in inside.split(",") if d.strip()]
            shape = tuple(n for d in dimensions for n in (BATCH if d.strip() == "..." else (size(d),)))
        except (NameError, SyntaxError):
            continue  # a remark in brackets
        for one in [*filter(None, others.split(", ")), name]:
            shapes.setdefault(one, shape)
    return shapes


def arrays(shapes):
    """Random arrays of these shapes, by name."""
    draw = generator(0, INITIAL_WEIGHTS, len(shapes)).standard_normal
    return {name: draw(shape) for name, shape in shapes.items()}


def make_arguments(call, forward):
    """The arguments of a call, made from the shapes that its docstring states."""
    before, _ = shapes_line(forward)
    arguments = {}
    for part in before.split(";"):
        groups, _, members = part.rpartition("=")
        made = arrays(read_shapes(members))
        if groups:  # norm1, norm2 = gamma (D,), beta (D,): tuples
            arguments |= {group.strip(): tuple(made.values()) for group in groups.split(",")}
        else:
            arguments |= made
    arguments = {**arguments, **call.extra}
    parameters = inspect.signature(forward).parameters
    assert set(arguments) <= set(parameters), f"{forward.__name__} has no argument {set(arguments) - set(parameters)}"
    required = {name for name, p in parameters.items() if p.default is p.empty}
    assert required <= set(arguments), f"the docstring gives no shape for {required - set(arguments)}"
    return arguments


def given_and_returned(backward):
    """The shapes that a backward pass says it is given and returns."""
    text = " ".join(docstring(backward).split("\n\n")[0].split())
    found = re.match(r"Given (.*?),? return (.*)", text)
    assert found, f"{backward.__name__} must begin with Given ..., return ..."
    return read_shapes(found[1]), read_shapes(found[2])


def flatten(tree):
    """The leaves of nested tuples, in order."""
    return [leaf for part in tree for leaf in flatten(part)] if isinstance(tree, tuple) else [tree]
