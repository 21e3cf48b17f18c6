"""check_layer: an object that keeps what its backward pass needs, its parameters and their gradients."""

import copy
import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import ConfigError
from ..rng import GRADIENT_CHECK, generator
from .checker import Options, check
from .convention import NotAnArray, Pair, as_array
from .numeric import rms
from .paths import read, write
from .report import Report

RATES = ("lr", "learning_rate", "rate", "alpha", "eta", "step_size")  # what a learning rate is called


def check_layer(
    layer: Any,
    inputs: Mapping[str, Any],
    params: Mapping[str, str | None] | None = None,
    *,
    forward: str = "forward",
    backward: str = "backward",
    rate: float | None = None,
    move: float = 0.1,
    outputs: int = 1,
    name: str | None = None,
    **options: Any,
) -> Report:
    """Check the gradients of an object that keeps state: y = layer.forward(x), dx = layer.backward(dy).

        check_layer(Linear(4, 3), {"x": x}, {"params.w": "grads.w", "params.b": "grads.b"})   # dictionaries
        check_layer(Affine(W, b), {"x": x}, {"params.0": "grads.0", "params.1": "grads.1"})   # lists
        check_layer(Dense(4, 3), {"x": x}, {"W.data": "W.grad", "b.data": "b.grad"})          # objects with a gradient
        check_layer(Head(), {"x": x}, {"Wq": None, "Wk": None}, rate=1e-3)                    # backward takes a step
        check_layer(MeanSquaredError(), {"y": y, "target": t}, fixed=["target"])              # backward() of a loss

    inputs   what forward takes, by its parameters' names, or in order where the names are others.
    params   where each parameter is, and where its gradient is after backward: paths of attributes, keys and indices.
             None takes the gradient from the step that backward makes, `rate` being its learning rate. An input may
             stand here too, if backward leaves its gradient somewhere instead of returning it.
    forward, backward  the names of the methods. Without a method "forward" the layer itself is called.
    rate     is also given to a backward that asks for a learning rate after dy.
    move     every parameter is cast to float64 and moved by this part of its size, at random: at initial values, ones
             and zeros above all, wrong gradients may look right. 0 leaves them where they are.
    outputs  2 for `h, c = layer.forward(x)` and `layer.backward(dh, dc)`, and so on.

    The layer is left alone: every forward runs on a deep copy, in which the gradients are set to zero. A backward that
    takes nothing returns the gradient of y, or of the sum of y. One that takes dy and a second argument is given the
    cache, which forward then returns beside y. options: as in `check_function`; the errors are those of `check_pair`,
    and ConfigError for a method or a path that leads nowhere and for a layer that cannot be copied.
    """
    places = dict(params or {})
    if any(place is None for place in places.values()) and not rate:
        raise ConfigError("a gradient of None is taken from the step that backward makes: give rate, its learning rate")
    forward = forward if hasattr(layer, forward) or not callable(layer) else "__call__"
    for method in (forward, backward):
        if not callable(getattr(layer, method, None)):
            kind = type(layer)
            there = [key for key in dir(kind) if not key.startswith("_") and callable(getattr(kind, key, None))]
            raise ConfigError(f"the layer has no method {method}: its methods are {', '.join(there) or 'none'}")
    try:
        copy.deepcopy(layer)
    except Exception as error:
        raise ConfigError(f"the layer cannot be copied ({error}): leave out what copy.deepcopy cannot copy") from error
    chosen = Options.of(options)
    rng = generator(chosen.seed, GRADIENT_CHECK, 0, 6)
    tensors = {path: _moved(_parameter(layer, path), move, rng) for path in places if path not in inputs}
    extra = _extra_argument(getattr(layer, backward), outputs, rate)
    owner = _Layer(layer, tuple(inputs), tuple(tensors), places, forward, backward, extra, rate, outputs)
    pair = Pair(owner.run_forward, owner.run_backward, outputs, ones=extra == "no dy")
    return check(pair, {**inputs, **tensors}, chosen, name or type(layer).__name__)


class _State(NamedTuple):
    """A layer after its forward pass: the cache of the pair."""

    layer: Any
    values: dict[str, np.ndarray]  # of the parameters before it
    cache: Any


class _Layer(NamedTuple):
    """A layer as a pair of functions that keep no state."""

    layer: Any
    inputs: tuple[str, ...]
    tensors: tuple[str, ...]
    places: dict[str, str | None]
    forward: str
    backward: str
    extra: str
    rate: float | None
    outputs: int

    def run_forward(self, **given: Any) -> tuple[Any, ...]:
        values = {path: given[path] for path in self.tensors}
        layer = self._copy(values)
        method = getattr(layer, self.forward)
        inputs = [given[name] for name in self.inputs]
        named = set(self.inputs) <= set(_parameters(method))
        y = method(**dict(zip(self.inputs, inputs))) if named else method(*inputs)
        cache = None
        if self.extra == "cache":
            y, cache = y
        state = _State(layer, values, cache)
        return (y, state) if self.outputs == 1 else (*y, state)

    def run_backward(self, *given: Any) -> tuple[Any, dict[str, Any]]:
        *dy, state = given
        method = getattr(state.layer, self.backward)
        extra = {"cache": [state.cache], "rate": [self.rate]}.get(self.extra, [])
        returned = method() if self.extra == "no dy" else method(*dy, *extra)
        gradients = {}
        for path, place in self.places.items():
            if place is not None:
                gradients[path] = read(state.layer, place)
            else:
                before, after = state.values[path], np.asarray(read(state.layer, path))
                gradients[path] = _from_step(before, after, self.rate or 1.0)
        return returned, gradients

    def _copy(self, values: Mapping[str, np.ndarray]) -> Any:
        """A deep copy with these parameters, wherever the layer refers to them, and gradients of zero."""
        fresh = {path: np.array(value) for path, value in values.items()}
        dtype = np.result_type(*fresh.values()) if fresh else np.dtype("float64")
        gradients = [_read_if_there(self.layer, place) for place in self.places.values() if place is not None]
        old = [*gradients, *(read(self.layer, path) for path in fresh)]
        new = [*(np.zeros(np.shape(g), dtype) for g in gradients), *fresh.values()]
        memo: dict[int, Any] = {id(a): b for a, b in zip(old, new) if isinstance(a, np.ndarray)}
        layer = copy.deepcopy(self.layer, memo)  # with the arrays of the memo in the places of the old ones
        for path, value in fresh.items():
            if read(layer, path) is not value:
                write(layer, path, value if value.shape else value[()])
        return layer


def _parameter(layer: Any, path: str) -> np.ndarray:
    try:
        value = as_array(read(layer, path), path)
        if value.dtype.kind != "c":
            return value.astype("float64")
        raise ConfigError(f"{path} is {value.dtype}: a parameter is real")
    except (LookupError, AttributeError) as error:
        raise ConfigError(f"the layer has no {path} ({type(error).__name__}: {error})") from error
    except NotAnArray as error:
        raise ConfigError(str(error)) from error


def _moved(value: np.ndarray, part: float, rng: np.random.Generator) -> np.ndarray:
    if value.size == 0 or not np.isfinite(value).all():
        return value  # refused in a moment
    return np.asarray(value + part * (rms(value) or 1.0) * rng.standard_normal(value.shape))


def _read_if_there(layer: Any, path: str) -> Any:
    try:
        return read(layer, path)
    except (LookupError, AttributeError, ValueError):
        return None  # made by backward


def _from_step(before: np.ndarray, after: np.ndarray, rate: float) -> np.ndarray:
    """The gradient that a step of plain descent used: what is lost in rounding the parameters is zero."""
    gradient = (before - after) / rate
    return np.where(abs(gradient) <= 2 * np.finfo(before.dtype).eps * abs(before) / rate, 0, gradient)


def _parameters(method: Any) -> dict[str, inspect.Parameter]:
    """The parameters of a method; nothing is known of those that are not written in Python."""
    try:
        return dict(inspect.signature(method).parameters)
    except (TypeError, ValueError):
        return {"*": inspect.Parameter("given", inspect.Parameter.VAR_POSITIONAL)}


def _extra_argument(method: Any, outputs: int, rate: float | None) -> str:
    """What backward takes beside dy: "cache", "rate", "nothing", or "no dy" if it takes nothing at all."""
    parameters = _parameters(method).values()
    ordered = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not ordered and not any(p.kind == p.VAR_POSITIONAL for p in parameters):
        return "no dy"
    if len(ordered) <= outputs:
        return "nothing"
    second = ordered[outputs]
    if second.name in RATES:
        if rate is None and second.default is second.empty:
            raise ConfigError(f"backward takes {second.name}: give rate")
        return "rate" if rate is not None else "nothing"
    return "cache" if second.default is second.empty else "nothing"
