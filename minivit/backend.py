"""The switch between NumPy (CPU) and CuPy (GPU): the only file that may import cupy.

Every operation takes its array library from the arrays it is given (`xp = array_module(x)`), so the same lines
run on both. CuPy is imported when a GPU is asked for and never before.
"""

import contextlib
import functools
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from .errors import ConfigError, DeviceError

Array: TypeAlias = Any  # np.ndarray, or cupy.ndarray on a GPU
DEVICES = ("cpu", "gpu")

INSTALL = 'pip install "minivit[gpu12]" (CUDA 12) or pip install "minivit[gpu13]" (CUDA 13)'


def array_module(*arrays: Array) -> ModuleType:
    """The library the arrays belong to: `cupy` if any of them lives on a GPU, else `numpy`."""
    cupy = sys.modules.get("cupy")  # an array can only be CuPy's if CuPy is loaded already
    if cupy is not None and any(isinstance(array, cupy.ndarray) or _is_traced(array) for array in arrays):
        return cupy
    return np


def _is_traced(array: Array) -> bool:
    """Whether `cupy.fuse` is reading the lines that an array is used in: it stands for a CuPy array then."""
    return type(array).__module__.startswith("cupy.")


def fused(lines: Callable[..., Any], *arrays: Array) -> Any:
    """lines(*arrays), of which a GPU makes one kernel instead of one for every operation (`cupy.fuse`).

    lines: a function of arrays whose every line is elementwise; it may write into its arguments. What it takes from
    outside (sizes, an eps, a name) becomes part of the kernel, so what changes from step to step must be an argument.
    """
    if array_module(*arrays) is np:
        return lines(*arrays)
    return _kernel(_Lines(lines))(*arrays)


class _Lines:
    """A function, equal to another with the same code and the same values from outside."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.key = function.__code__, tuple(cell.cell_contents for cell in function.__closure__ or ())

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Lines) and self.key == other.key


@functools.cache
def _kernel(lines: _Lines) -> Callable[..., Any]:
    import cupy

    name = lines.function.__name__.strip("<>")  # "<lambda>" is no name for a kernel
    return cupy.fuse(kernel_name=f"minivit_{name}")(lines.function)


def device_module(device: str) -> ModuleType:
    """`numpy` for "cpu", `cupy` for "gpu". Raises DeviceError if there is no usable CuPy or GPU, ConfigError for
    another name."""
    if device == "cpu":
        return np
    if device != "gpu":
        raise ConfigError(f"unknown device {device!r}: choose one of {', '.join(DEVICES)}")
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(f"device 'gpu' needs CuPy, which is not installed here ({error}): {INSTALL}") from None
    try:
        reason = "" if cupy.cuda.is_available() else " none"
    except Exception as error:  # some versions raise where there is no driver
        reason = f": {' '.join(str(error).split())}"
    if reason:
        raise DeviceError(
            f"device 'gpu' needs a CUDA card and its driver; CuPy {cupy.__version__} finds{reason}. "
            "Use --device cpu, or check nvidia-smi"
        )
    return cupy


def device_of(array: Array) -> str:
    """Where an array lives: "gpu" for CuPy's, "cpu" for NumPy's."""
    return "cpu" if array_module(array) is np else "gpu"


def to_device(array: Array, device: str) -> Array:
    """The array on `device` ("cpu" or "gpu"); copied only if it is elsewhere. Errors as in `device_module`."""
    xp = device_module(device)
    return to_host(array) if xp is np else xp.asarray(array)


def to_host(array: Array, out: np.ndarray | None = None) -> np.ndarray:
    """The array as a NumPy array, in `out` if that is given; waits for the GPU if it lives there."""
    if array_module(array) is not np:
        return array.get(out=out)
    if out is None:
        return np.asarray(array)
    out[...] = array
    return out


def host_buffer(size: int, dtype: Any, device: str) -> np.ndarray:
    """A vector (size,) on the host whose values are not set; for a GPU in pinned memory, between which and its own it
    copies without a detour."""
    xp = device_module(device)
    if xp is np:
        return np.empty(size, dtype)
    return np.frombuffer(xp.cuda.alloc_pinned_memory(size * np.dtype(dtype).itemsize), dtype, size)


def same_values(one: Array, other: Array) -> bool:
    """Whether two arrays have the same shape, dtype and values, wherever they live; NaN equals nothing."""
    return one.dtype == other.dtype and bool(np.array_equal(to_host(one), to_host(other)))


def is_host_float(array: Array) -> bool:
    """Whether an entry of this array can be compared without a wait: real and on the host. On a GPU reading it waits
    for the device, and complex numbers (the complex-step check) have no order."""
    return array_module(array) is np and array.dtype.kind == "f"


def errstate(**settings: str) -> contextlib.AbstractContextManager[Any]:
    """`numpy.errstate`; a GPU raises no floating-point warnings, so there it changes nothing."""
    return np.errstate(**settings)  # type: ignore[arg-type]
