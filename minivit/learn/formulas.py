"""The formulas of the tape, with the names of its tensors in them."""

import re

from .graph import Node
from .operations import Gradient

PARAMETERS = (".weight", ".bias", ".gamma")
SLOT = re.compile(r"\b(x\d|dy|y)(?=\b|ᵀ)")


def block_of(name: str) -> int | None:
    """The number of the block that a tensor is in."""
    found = re.match(r"blocks\.(\d+)\.", name)
    return int(found[1]) if found else None


def symbol(name: str, reader: Node) -> str:
    """What a tensor is called in a formula of the operation that reads it: x for what a block reads from outside."""
    inside = block_of(reader.name)
    if inside is not None and block_of(name) != inside:
        return "x"
    return short(name)


def short(name: str) -> str:
    """A tensor's name without its block; of an activation, the last part."""
    return re.sub(r"^blocks\.\d+\.", "", name) if name.endswith(PARAMETERS) else name.rpartition(".")[2]


def value_formula(node: Node) -> str:
    """The formula of a node's value."""
    return _filled(node.operation.formula, node)


def gradient_formula(gradient: Gradient, reader: Node) -> str:
    """The formula of a gradient that the operation of `reader` computes."""
    return _filled(gradient.formula, reader)


def _filled(formula: str, node: Node) -> str:
    names = {f"x{i}": symbol(name, node) for i, name in enumerate(node.inputs)}
    names |= {"y": short(node.name), "dy": f"d{short(node.name)}"}
    return SLOT.sub(lambda found: names[found[1]], formula)
