"""The switch between NumPy (CPU) and CuPy (GPU): the only file that may import cupy.

Every operation takes its array library from the arrays it is given (`xp = array_module(x)`), so the same lines
run on both. CuPy is imported when a GPU is asked for and never before.
"""

import contextlib
import sys
from types import ModuleType
from typing import Any, TypeAlias

import numpy

Array: TypeAlias = Any  # numpy.ndarray, or cupy.ndarray on a GPU
DEVICES = ("cpu", "gpu")

INSTALL = 'pip install cupy-cuda12x (CUDA 12) or pip install "cupy-cuda13x[ctk]" (CUDA 13)'


class DeviceError(RuntimeError):
    """The device that was asked for cannot be used; the message says what to install or change."""


def array_module(*arrays: Array) -> ModuleType:
    """The library the arrays belong to: `cupy` if any of them lives on a GPU, else `numpy`."""
    cupy = sys.modules.get("cupy")  # an array can only be CuPy's if CuPy is loaded already
    if cupy is not None and any(isinstance(array, cupy.ndarray) for array in arrays):
        return cupy
    return numpy


def device_module(device: str) -> ModuleType:
    """`numpy` for "cpu", `cupy` for "gpu". Raises DeviceError if there is no usable CuPy or GPU, ValueError for
    another name."""
    if device == "cpu":
        return numpy
    if device != "gpu":
        raise ValueError(f"unknown device {device!r}: choose one of {', '.join(DEVICES)}")
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(f"device 'gpu' needs CuPy, which is not installed here ({error}): {INSTALL}") from None
    if not cupy.cuda.is_available():
        raise DeviceError(
            f"device 'gpu' needs a CUDA card and its driver; CuPy {cupy.__version__} finds none. "
            "Use --device cpu, or check nvidia-smi"
        )
    return cupy


def device_of(array: Array) -> str:
    """ "gpu" for a CuPy array, "cpu" for a NumPy array."""
    return "cpu" if array_module(array) is numpy else "gpu"


def to_device(array: Array, device: str) -> Array:
    """The array on `device` ("cpu" or "gpu"); copied only if it is elsewhere. Errors as in `device_module`."""
    xp = device_module(device)
    return to_host(array) if xp is numpy else xp.asarray(array)


def to_host(array: Array) -> numpy.ndarray:
    """The array as a NumPy array; waits for the GPU if it lives there."""
    return array.get() if array_module(array) is not numpy else numpy.asarray(array)


def sync(array: Array) -> None:
    """Wait until the device that holds `array` has done all its work. Nothing to wait for on a CPU."""
    xp = array_module(array)
    if xp is not numpy:
        xp.cuda.get_current_stream().synchronize()


def reads_freely(array: Array) -> bool:
    """Whether a number of this array can be looked at for free: real and on the host. On a GPU it would wait for
    the device, and complex numbers (the complex-step check) have no order."""
    return array_module(array) is numpy and array.dtype.kind == "f"


def errstate(**settings: str) -> contextlib.AbstractContextManager[Any]:
    """`numpy.errstate`; a GPU raises no floating-point warnings, so there it changes nothing."""
    return numpy.errstate(**settings)  # type: ignore[arg-type]
