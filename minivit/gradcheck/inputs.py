"""Which inputs are differentiated, which cannot be, and which are passed on without a word of theirs being checked."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ConfigError, ConfigTypeError
from .contract import first_bad
from .convention import is_foreign, is_numbers, to_numpy
from .raised import type_name

BOUNDS = {"differences": 1e-8, "complex": 1e-12, "dense": 1e-8}
Zero = str | tuple[str, Any]  # a tensor, or a tensor and an index into it


def choose_inputs(
    inputs: Mapping[str, Any], fixed: Sequence[str], zeros: Sequence[Zero], method: str, dtype: str
) -> tuple[str, ...]:
    """The names of the inputs to differentiate. Raises ConfigError or ConfigTypeError for what cannot be checked."""
    if method not in BOUNDS:
        raise ConfigError(f"unknown method {method!r}: choose one of {', '.join(BOUNDS)}")
    if dtype not in ("float64", "float32"):
        raise ConfigError(f"unknown dtype {dtype!r}: choose float64 or float32")
    if dtype == "float32" and method == "complex":
        raise ConfigError("the complex step does not help where everything is rounded to float32: use differences")
    if not isinstance(inputs, Mapping):
        raise ConfigTypeError(f"inputs is a {type_name(inputs)}: give a dictionary of what forward takes, by name")
    named = [*fixed, *map(tensor_of, zeros)]
    if missing := [name for name in named if name not in inputs]:
        raise ConfigError(f"no input is called {missing[0]!r}: they are {', '.join(inputs)}")
    arrays = {name: x for name, x in inputs.items() if isinstance(x, np.ndarray) and x.dtype.kind in "fc"}
    checked = tuple(name for name in arrays if name not in fixed)
    if not checked:
        others = [words for name, x in inputs.items() if name not in fixed and (words := unchecked(name, x))]
        why = f" ({'; '.join(others)})" if others else ""
        raise ConfigError(f"nothing to check: no float64 array among the inputs {', '.join(inputs)}{why}")
    for name in checked:
        _raise_if_uncheckable(name, arrays[name], dtype)
    return checked


def _raise_if_uncheckable(name: str, x: np.ndarray, dtype: str) -> None:
    if isinstance(x, (np.ma.MaskedArray, np.matrix)):
        raise ConfigTypeError(f"{name} is a {type_name(x)}: give a plain array")
    if x.dtype.kind == "c":
        raise ConfigTypeError(f"{name} is {x.dtype}: give real inputs; the complex step makes its own complex numbers")
    if x.dtype == np.float32 and dtype == "float32":
        pass
    elif x.dtype.itemsize > 8:
        raise ConfigTypeError(f"{name} is {x.dtype}: give float64")
    elif x.dtype != np.float64:
        raise ConfigTypeError(
            f"{name} is {x.dtype}: rounding leaves differences in {x.dtype} with an error of about 1e-3, which "
            "hides real bugs (minivit gradcheck --plot FILE draws it). Check float64, and compare float32 with it; "
            "a layer that computes in float32 only is checked with dtype='float32'"
        )
    if x.size == 0:
        raise ConfigError(f"{name} has shape {x.shape}, with no entries to check")
    if not np.isfinite(x).all():
        raise ConfigError(f"{name} holds {first_bad(x)}: a gradient exists at finite inputs only")


def tensor_of(zero: Zero) -> str:
    """The tensor that an entry of `zeros` speaks of."""
    return zero if isinstance(zero, str) else zero[0]


def notes_on(
    inputs: Mapping[str, Any], checked: Sequence[str], fixed: Sequence[str], extra: Sequence[str]
) -> list[str]:
    """What the reader of a green report should know: what was not checked, and values that hide mistakes.

    extra: names under which backward returned gradients that belong to no checked input.
    """
    notes = []
    others = {name: x for name, x in inputs.items() if name not in checked and name not in fixed}
    skipped = [words for name, x in others.items() if (words := unchecked(name, x))]
    skipped += [f"the gradient for {name}, which is no input" for name in extra if name not in inputs]
    if skipped:
        notes.append(f"not checked: {'; '.join(skipped)}")
    for name in checked:
        if words := _hiding(inputs[name]):
            notes.append(f"{name} is {words}, which hides missing terms and factors: give it random values")
    return notes


def unchecked(name: str, x: Any) -> str:
    """What an input is that might have a gradient and is not checked, and how it would be; empty for settings."""
    if isinstance(x, (float, np.floating)):
        return f"{name} is a {type(x).__name__} (np.array({float(x)!r}) is checked)"
    if isinstance(x, np.ndarray):
        return f"{name} is {x.dtype} (float64 is checked)" if x.dtype.kind in "iu" else ""
    if is_foreign(x):
        return f"{name} is a {type_name(x)}{to_numpy(x)}"
    if isinstance(x, (tuple, list)) and is_numbers(x):
        return f"{name} is a {type_name(x)} (np.array({name}) is checked)"
    if isinstance(x, (Mapping, tuple, list)):
        return f"{name} is a {type_name(x)} (its arrays are checked as inputs of their own)" if _holds_arrays(x) else ""
    if any(isinstance(value, np.ndarray) for value in getattr(x, "__dict__", {}).values()):
        return f"{name} is a {type_name(x)} (check_layer checks its arrays)"
    return ""


def _holds_arrays(tree: Any) -> bool:
    if isinstance(tree, (Mapping, tuple, list)):
        return any(map(_holds_arrays, tree.values() if isinstance(tree, Mapping) else tree))
    return is_foreign(tree) or (isinstance(tree, np.ndarray) and tree.dtype.kind == "f")


def _hiding(x: np.ndarray) -> str:
    """ "all ones", if an array's values are such that a missing factor or term changes nothing."""
    first = x.flat[0]
    if not (x == first).all() or (x.size == 1 and first not in (0, 1)):
        return ""
    if first in (0, 1):
        word = "zero" if first == 0 else "one"
        return word if x.size == 1 else f"all {word}s"
    return f"{first:.6g} everywhere"
