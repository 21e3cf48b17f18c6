"""The switch between NumPy (CPU) and CuPy (GPU): the only file that may import cupy.

Every operation takes its array library from the arrays it is given (`xp = array_module(x)`), so the same lines
run on both. CuPy is imported when a GPU is asked for and never before.
"""

import contextlib
import sys
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from .errors import ConfigError, DeviceError

Array: TypeAlias = Any  # np.ndarray, or cupy.ndarray on a GPU
DEVICES = ("cpu", "gpu")

INSTALL = 'pip install cupy-cuda12x (CUDA 12) or pip install "cupy-cuda13x[ctk]" (CUDA 13)'


def array_module(*arrays: Array) -> ModuleType:
    """The library the arrays belong to: `cupy` if any of them lives on a GPU, else `numpy`."""
    cupy = sys.modules.get("cupy")  # an array can only be CuPy's if CuPy is loaded already
    if cupy is not None and any(isinstance(array, cupy.ndarray) for array in arrays):
        return cupy
    return np


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


def to_host(array: Array) -> np.ndarray:
    """The array as a NumPy array; waits for the GPU if it lives there."""
    return array.get() if array_module(array) is not np else np.asarray(array)


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
