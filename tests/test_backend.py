"""The switch without a GPU: NumPy stays NumPy, and what is missing is named. With one: tests/standin, tests/cupy."""

import sys

import numpy as np
import pytest

from minivit import ViT, backend
from minivit.backend import array_module, device_module, device_of, is_host_float, to_device, to_host
from minivit.errors import DeviceError

X = np.arange(6.0).reshape(2, 3)


def test_on_the_cpu_arrays_are_left_where_they_are():
    assert device_module("cpu") is np and array_module(X) is np and array_module(X, X) is np
    assert device_of(X) == "cpu"
    assert to_device(X, "cpu") is X and to_host(X) is X
    with backend.errstate(over="raise"), pytest.raises(FloatingPointError):
        np.exp(np.array([1e4]))


def test_real_numbers_on_the_host_can_be_read_freely():
    assert is_host_float(X) and is_host_float(X.astype("float32"))
    assert not is_host_float(X.astype(complex))


def test_a_missing_cupy_names_the_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError) as error:
        device_module("gpu")
    message = str(error.value)
    assert message.startswith("device 'gpu' needs CuPy, which is not installed here")
    assert '"minivit[gpu12]" (CUDA 12)' in message and '"minivit[gpu13]" (CUDA 13)' in message
    with pytest.raises(DeviceError):
        ViT(device="gpu")
    with pytest.raises(DeviceError):
        to_device(X, "gpu")


def test_a_cupy_without_a_card_says_so(fakecupy, monkeypatch):
    monkeypatch.setattr(fakecupy.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="needs a CUDA card and its driver; CuPy .* finds none. Use --device cpu"):
        device_module("gpu")


def test_a_cupy_that_raises_without_a_driver_says_so(fakecupy, monkeypatch):
    """CuPy 13 does, the first time it is asked."""

    def fail():
        raise RuntimeError("cudaErrorInsufficientDriver: CUDA driver version\nis insufficient")

    monkeypatch.setattr(fakecupy.cuda, "is_available", fail)
    with pytest.raises(
        DeviceError, match="finds: cudaErrorInsufficientDriver: CUDA driver version is insufficient. Use"
    ):
        device_module("gpu")


def test_another_name_is_no_device():
    with pytest.raises(ValueError, match="unknown device 'cuda': choose one of cpu, gpu"):
        device_module("cuda")
