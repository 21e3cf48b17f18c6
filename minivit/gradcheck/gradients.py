"""What backward returned, tensor by tensor: alone, in tuples, in dictionaries by name, or several of these together."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..counted import counted
from .convention import NotAnArray, as_array, is_numbers
from .report import Row


class Matched(NamedTuple):
    """The gradients by the name of their tensor, and what is wrong with them."""

    gradients: dict[str, np.ndarray | None]
    wrong: list[Row]
    extra: list[str]  # the names under which gradients came that nobody asked for


def match(returned: Any, inputs: Mapping[str, Any], checked: Sequence[str]) -> Matched:
    """Find the gradient of every checked input in what backward returned, as a copy.

    One that comes by name is found under the input's name, or "d" and its name. Those that come in order belong to the
    checked inputs that are left, or to all inputs; those of inputs that are None or integers may be None or missing.
    """
    named, positional = _parts(returned)
    keys = {name: next((key for key in (name, f"d{name}") if key in named), None) for name in checked}
    values = {name: named[key] for name, key in keys.items() if key is not None}
    extra = [str(key) for key in named if key not in keys.values()]
    rest = [name for name in checked if name not in values]
    wrong = []
    if rest and named and not positional:
        returned_names = ", ".join(map(str, named)) or "nothing"
        problem = f"backward returned no gradient for it, but for {returned_names}"
        wrong = [Row.failed(name, np.shape(inputs[name]), problem) for name in rest]
    else:
        ordered = _in_order(positional, rest, inputs)
        if ordered is None:
            wrong = [_miscounted(len(positional) + len(named), checked)]
        else:
            extra += [name for name, g in ordered.items() if name not in rest and g is not None]
            values |= {name: ordered[name] for name in rest}
    gradients: dict[str, np.ndarray | None] = {}
    for name in checked:
        try:
            if name in values:
                value = values[name]
                gradients[name] = None if value is None else np.array(as_array(value, "its gradient"))
        except NotAnArray as error:
            wrong.append(Row.failed(name, np.shape(inputs[name]), str(error)))
    return Matched(gradients, wrong, extra)


def flatten(tree: Any) -> list[Any]:
    """The leaves of nested tuples and lists, in order."""
    return [leaf for part in tree for leaf in flatten(part)] if isinstance(tree, (tuple, list)) else [tree]


def _parts(returned: Any) -> tuple[dict[Any, Any], list[Any]]:
    """The gradients that come by name, and those that come in order."""
    named: dict[Any, Any] = {}
    positional = []
    for leaf in _leaves(returned):
        if isinstance(leaf, Mapping):
            named.update(leaf)
        else:
            positional.append(leaf)
    return named, positional


def _leaves(tree: Any) -> list[Any]:
    """As `flatten`, but a list of plain numbers inside the outermost list is a leaf: an array, or a row of one."""
    if not isinstance(tree, (tuple, list)):
        return [tree]
    if is_numbers(tree):
        return list(tree)
    return [leaf for part in tree for leaf in ([part] if is_numbers(part) else _leaves(part))]


def _in_order(values: list[Any], rest: list[str], inputs: Mapping[str, Any]) -> dict[str, Any] | None:
    """The gradients that come in order, by name; None if their number fits neither `rest` nor the inputs."""
    if len(rest) == 1 and len(values) > 1 and is_numbers(values) and _is_array_of(values, np.shape(inputs[rest[0]])):
        return {rest[0]: values}
    given = [name for name, x in inputs.items() if x is not None]
    for names in (rest, list(inputs), given):
        for candidate in (values, [g for g in values if g is not None], flatten(values)):
            if len(candidate) == len(names):
                return dict(zip(names, candidate))
    return None


def _is_array_of(lists: list[Any], shape: tuple[int, ...]) -> bool:
    try:
        return as_array(lists, "").shape == shape
    except NotAnArray:
        return False


def _miscounted(count: int, checked: Sequence[str]) -> Row:
    gradients, inputs = counted(count, "gradient"), counted(len(checked), "input")
    return Row.failed(
        "gradients", (count,),
        f"backward returned {gradients} for {inputs} ({', '.join(checked)}): return one for each, "
        "in this order or in a dictionary by name, and name the arrays that have none in `fixed`",
    )  # fmt: skip
