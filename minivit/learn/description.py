"""What is known of a tape's tensors before the passes run: their order, formulas, and lines."""

import functools
import re
from typing import NamedTuple

from ..config import ViTConfig
from . import operations
from .graph import Node, graph

PARAMETERS = (".weight", ".bias", ".gamma")
SLOT = re.compile(r"\b(x\d|dy|y)(?=\b|ᵀ)")


class Known(NamedTuple):
    """A step of the tape without its numbers; the fields are explained there."""

    name: str
    kind: str
    formula: str
    grad_formula: str
    inputs: tuple[str, ...]
    op: str
    file: str
    line: int
    grad_file: str
    grad_line: int
    block: int | None


@functools.lru_cache(maxsize=64)
def description(config: ViTConfig, label: int) -> tuple[Known, ...]:
    """Every tensor from the image to the loss, in the order of the forward pass, each parameter before it is used."""
    nodes = graph(config)
    loss = operations.cross_entropy(label) if config.predicts else operations.minus_feature(label)
    nodes.append(Node("loss", loss, (nodes[-1].name,), nodes[-1].value, None))
    makers = {node.name: node for node in nodes}
    readers = {name: (node, i) for node in nodes for i, name in enumerate(node.inputs)}  # the last reader of each
    order = dict.fromkeys(name for node in nodes for name in (*node.inputs, node.name))
    return tuple(_known(name, makers.get(name), *readers.get(name, (None, 0))) for name in order)


def _known(name: str, maker: Node | None, reader: Node | None, i: int) -> Known:
    """A tensor that is computed by `maker`, and is input number i of `reader`; the loss has no reader."""
    node = maker or reader
    assert node is not None
    kind = "loss" if reader is None else "activation" if maker else "input" if name == "image" else "parameter"
    formula = _filled(node.operation.formula, node)
    gradient = (reader or node).operation.gradients[i]
    return Known(
        name,
        kind,
        formula if maker else f"{_short(node.name)} = {formula}",
        _filled(gradient.formula, reader) if reader else "1",
        maker.inputs if maker else (),
        node.operation.title,
        node.operation.line.file,
        node.operation.line.number,
        gradient.line.file,
        gradient.line.number,
        _block_of(name),
    )


def _filled(formula: str, node: Node) -> str:
    """The formula of an operation with the names of a node's tensors in it."""
    names = {f"x{i}": _symbol(name, node) for i, name in enumerate(node.inputs)}
    names |= {"y": _short(node.name), "dy": f"d{_short(node.name)}"}
    return SLOT.sub(lambda found: names[found[1]], formula)


def _block_of(name: str) -> int | None:
    """The number of the block that a tensor is in."""
    found = re.match(r"blocks\.(\d+)\.", name)
    return int(found[1]) if found else None


def _symbol(name: str, reader: Node) -> str:
    """What a tensor is called in a formula of the operation that reads it: x for what a block reads from outside."""
    inside = _block_of(reader.name)
    if inside is not None and _block_of(name) != inside:
        return "x"
    return _short(name)


def _short(name: str) -> str:
    """A tensor's name without its block; of an activation, the last part."""
    return re.sub(r"^blocks\.\d+\.", "", name) if name.endswith(PARAMETERS) else name.rpartition(".")[2]
