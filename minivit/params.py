"""Parameters: one flat vector, and a named view into it for each tensor.

The optimiser, clipping, averaging and checkpoints each work on the one vector in a few lines; the model reads and
fills the views by name.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .backend import Array, array_module, same_values, to_device

WEIGHT_BIAS = ("weight", "bias")


class Params(Mapping[str, Array]):
    """A mapping from parameter names to arrays that share one vector.

    `params[name]` is a view, (shape); `params[name] = value` copies the value into it; `params.flat` is the whole
    vector, (size,), in the order of `shapes`; assigning to it copies, too, so that the views stay views. Copies, deep
    copies and unpickled ones have a vector and views of their own. Two are equal if their names, shapes, dtypes and
    values are, in the same order. Names and shapes are fixed for good.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], flat: Array) -> None:
        """shapes: {name: shape}, in order; flat: a contiguous vector of that many values, used and not copied.

        Raises ValueError if the vector's size does not match.
        """
        self.shapes = dict(shapes)
        size = sum(map(math.prod, self.shapes.values()))
        if flat.shape != (size,) or not flat.flags.c_contiguous:
            gaps = "" if flat.flags.c_contiguous else ", with gaps"
            raise ValueError(f"the parameters need a contiguous vector of shape ({size},), not {flat.shape}{gaps}")
        self._flat = flat
        self._views: dict[str, Array] = {}
        start = 0
        for name, shape in self.shapes.items():
            self._views[name] = flat[start : start + math.prod(shape)].reshape(shape)
            start += math.prod(shape)

    @classmethod
    def zeros(cls, shapes: Mapping[str, tuple[int, ...]], dtype: Any = "float32") -> "Params":
        """All zeros, of these shapes and this dtype, on the host. Raises MemoryError where they do not fit."""
        size = sum(map(math.prod, shapes.values()))
        if size * np.dtype(dtype).itemsize > np.iinfo(np.intp).max:  # NumPy would call it a wrong value
            raise MemoryError(f"{size} parameters")
        return cls(shapes, np.zeros(size, dtype))

    @property
    def flat(self) -> Array:
        """The whole vector, (size,)."""
        return self._flat

    @flat.setter
    def flat(self, values: Array) -> None:
        if values is not self._flat:  # `flat += x` has written to it already
            if getattr(values, "shape", None) != self._flat.shape:
                shape = np.shape(values)
                raise ValueError(f"flat has shape {self._flat.shape}, and cannot take a value of shape {shape}")
            self._flat[...] = values

    def __reduce__(self) -> tuple[Any, ...]:
        return Params, (self.shapes, self._flat)

    def __copy__(self) -> "Params":
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Params":
        return self.copy()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Params):
            return NotImplemented
        return list(self.shapes.items()) == list(other.shapes.items()) and same_values(self._flat, other._flat)

    def __getitem__(self, name: str) -> Array:
        return self._views[name]

    def __setitem__(self, name: str, value: Array) -> None:
        """Copy value into the named view. Raises KeyError for an unknown name, ValueError for another shape."""
        view = self._views[name]
        shape = np.shape(value)
        if shape != view.shape:
            raise ValueError(f"{name} has shape {view.shape}, and cannot take a value of shape {shape}")
        view[...] = value

    def get(self, name: str, default: Any = None) -> Any:
        """The named view, or `default` without one: what Mapping does, without an exception for a missing name."""
        return self._views.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __repr__(self) -> str:
        return f"Params({len(self)} tensors, {self.flat.size} values, {self.flat.dtype})"

    def empty_like(self) -> "Params":
        """The same names and shapes over a new vector whose values are not set."""
        return Params(self.shapes, array_module(self.flat).empty_like(self.flat))

    def copy(self) -> "Params":
        """The same values in a vector of their own."""
        return Params(self.shapes, self.flat.copy())

    def astype(self, dtype: Any) -> "Params":
        """A copy in another dtype."""
        return Params(self.shapes, self.flat.astype(dtype))

    def to(self, device: str) -> "Params":
        """The parameters on "cpu" or "gpu"; the same object if they are there already."""
        flat = to_device(self.flat, device)
        return self if flat is self.flat else Params(self.shapes, flat)


def take(params: Params, prefix: str, names: tuple[str, ...]) -> tuple:
    """The views prefix + name, in order; None for a bias that the model does not have."""
    return tuple(params.get(prefix + name) for name in names)


def keep(gradients: Sequence[Array], views: Sequence[Array]) -> None:
    """Make sure that the views hold these gradients. Our operations write them there; an edited one may return new
    arrays, which are copied. Raises ValueError if the numbers of gradients and of views differ."""
    for gradient, view in zip(gradients, views, strict=True):
        if gradient is not view:
            view[...] = gradient
