"""How the passes of others are called: several outputs, numbers for scalars, arrays that are not NumPy's."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import ConfigTypeError
from .raised import type_name


class NotAnArray(Exception):
    """Something that should be an array of numbers and is not; the message says what it is."""


class Result(NamedTuple):
    """What one forward pass returned."""

    outputs: Any  # as forward returned them: one, a tuple or list of several, or a mapping
    cache: Any

    def leaves(self) -> list[tuple[str, np.ndarray]]:
        """(name, array) of every output. Raises NotAnArray."""
        if isinstance(self.outputs, Mapping):
            named = [(f"y[{key!r}]", y) for key, y in self.outputs.items()]
        elif isinstance(self.outputs, (tuple, list)) and not is_numbers(self.outputs):
            named = [(f"y[{i}]", y) for i, y in enumerate(self.outputs)]
        else:
            named = [("y", self.outputs)]
        if not named:
            raise NotAnArray(f"y is an empty {type_name(self.outputs)}")
        return [(name, as_array(y, name)) for name, y in named]

    def joined(self) -> np.ndarray:
        """The output; several behind each other in one vector."""
        arrays = [y for _, y in self.leaves()]
        return arrays[0] if len(arrays) == 1 else np.concatenate([y.ravel() for y in arrays])

    def split(self, dy: np.ndarray) -> Any:
        """The gradient of the joined outputs in the form of the outputs; a scalar's is a number."""
        parts, start = [], 0
        for _, y in self.leaves():
            part = dy if dy.shape == y.shape else dy[start : start + y.size].reshape(y.shape)
            parts.append(part if y.shape else part[()])
            start += y.size
        if isinstance(self.outputs, Mapping):
            return dict(zip(self.outputs, parts))
        if isinstance(self.outputs, (tuple, list)) and not is_numbers(self.outputs):
            return type(self.outputs)(*parts) if hasattr(self.outputs, "_fields") else tuple(parts)
        return parts[0]


class Pair(NamedTuple):
    """A forward and a backward pass, and how they want to be called."""

    forward: Callable[..., Any]  # y, cache = forward(**inputs)
    backward: Callable[..., Any]  # gradients = backward(dy, cache)
    outputs: int = 1  # y1, y2, cache = forward(**inputs); gradients = backward(dy1, dy2, cache)
    ones: bool = False  # backward takes no dy: it returns the gradient of y, or of its sum
    function: bool = False  # forward is a function that returns (value, gradients)
    numpy_state: Any = None  # of numpy.random, before every forward
    narrow: tuple[str, ...] = ()  # the inputs to hand over as float32

    def run_forward(self, inputs: Mapping[str, Any]) -> Any:
        """What forward returns, as it is; raises what it raises."""
        if self.numpy_state is not None:
            np.random.set_state(self.numpy_state)
        if self.narrow:
            inputs = {name: x.astype("float32") if name in self.narrow else x for name, x in inputs.items()}
        return self.forward(**inputs)

    def result(self, returned: Any) -> Result:
        """The outputs and the cache in what forward returned. Raises ConfigTypeError if they are not there."""
        parts = list(returned) if isinstance(returned, (tuple, list)) else []
        if len(parts) == 2 and self.outputs > 1 and isinstance(parts[0], (tuple, list)):
            parts = [*parts[0], parts[1]]  # (h, c), cache
        if len(parts) == self.outputs + 1:
            result = Result(parts[0] if self.outputs == 1 else tuple(parts[:-1]), parts[-1])
            if self.function:
                _raise_unless_a_number(result.outputs)
            return result
        what = f"{len(parts)} values" if isinstance(returned, (tuple, list)) else type_name(returned)
        if self.function:
            raise ConfigTypeError(f"the function must return a pair (value, gradients), not {what}")
        expected = "a pair (y, cache)" if self.outputs == 1 else f"{self.outputs} outputs and a cache"
        advice = f": for {len(parts) - 1} outputs and a cache, say outputs={len(parts) - 1}" if len(parts) > 2 else ""
        raise ConfigTypeError(f"forward must return {expected}, not {what}{advice}")

    def evaluate(self, **inputs: Any) -> tuple[np.ndarray, Any]:
        """The joined outputs, in float64 if it was handed float32, and the whole result: what a Probe calls."""
        result = self.result(self.run_forward(inputs))
        y = result.joined()
        return y.astype("float64") if self.narrow else y, result

    def run_backward(self, dy: np.ndarray, result: Result) -> Any:
        """What backward returns for a joined gradient; raises what it raises."""
        given = result.split(dy.astype("float32") if self.narrow else dy)
        if self.outputs > 1:
            return self.backward(*given, result.cache)
        return self.backward(given, result.cache)


def _raise_unless_a_number(value: Any) -> None:
    try:
        shape = as_array(value, "the function's value").shape
    except NotAnArray as error:
        raise ConfigTypeError(f"{error}: return one number and its gradients") from error
    if shape not in ((), (1,)):
        raise ConfigTypeError(f"the function's value has shape {shape}: return one number and its gradients")


def is_numbers(tree: Any) -> bool:
    """Whether this is a number, or lists and tuples of nothing else."""
    if isinstance(tree, (tuple, list)):
        return bool(tree) and all(map(is_numbers, tree))
    return isinstance(tree, (int, float, np.number))


def as_array(value: Any, name: str) -> np.ndarray:
    """A value as an array of numbers: NumPy's as they are, Python numbers and lists of them as float64, and those of
    other libraries where they can be read. Raises NotAnArray."""
    if isinstance(value, np.ma.MaskedArray):
        raise NotAnArray(f"{name} is a masked array: give a plain one, .filled(0)")
    try:
        array = np.asarray(value)
    except Exception:
        array = np.asarray(None)
    if array.dtype.kind in "biufc":
        return array.astype(float) if array.dtype.kind in "bi" and is_numbers(value) else array
    raise NotAnArray(f"{name} is a {type_name(value)}, not an array of numbers{to_numpy(value)}")


def is_foreign(value: Any) -> bool:
    """Whether this is an array of another library."""
    return hasattr(value, "dtype") and hasattr(value, "shape") and not isinstance(value, (np.ndarray, np.generic))


def to_numpy(value: Any) -> str:
    """How a foreign array becomes one of NumPy's, as the end of a sentence; empty if this is none."""
    if not is_foreign(value):
        return ""
    for method, call in (("detach", ".detach().cpu().numpy()"), ("numpy", ".numpy()"), ("get", ".get()")):
        if hasattr(value, method):
            return f": give {call}"
    return ": give numpy.asarray() of it"
