"""What it means that minivit and PyTorch agree, and how PyTorch's side is asked. Skips where torch is missing."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='compares with PyTorch: pip install ".[reference]"')

from benchmarks import torch_vit  # noqa: E402 - after the line above, which skips where PyTorch is missing

__all__ = ["assert_agrees", "relative_error", "tensor", "torch", "torch_pair", "torch_vit"]
torch.set_num_threads(1)  # the tensors are small, and other tests may be running beside these
BOUND = 1e-10  # relative, in float64
FLOOR = 1e-6  # tensors with a norm below this are compared with it: BOUND x FLOOR is rounding


def relative_error(ours: Any, theirs: Any) -> float:
    """|ours - theirs| / max(|ours|, |theirs|, FLOOR), in the 2-norm of the whole tensor."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    return np.linalg.norm(ours - theirs) / max(np.linalg.norm(ours), np.linalg.norm(theirs), FLOOR)


def assert_agrees(name: str, ours: Any, theirs: Any, bound: float = BOUND) -> None:
    """Fail, naming the tensor, unless its relative error is within the bound. NaN is never within it."""
    error = relative_error(ours, theirs)
    assert error <= bound, f"{name}: relative error {error:.2e}, allowed {bound:.0e}"


def tensor(array: np.ndarray) -> Any:
    """A leaf tensor with a copy of the array, asking for its gradient."""
    return torch.tensor(array, requires_grad=True)


def torch_pair(function: Callable, inputs: Sequence[np.ndarray], dy: np.ndarray | float) -> tuple[np.ndarray, list]:
    """PyTorch's output and its gradients for all inputs, given dy."""
    leaves = [tensor(value) for value in inputs]
    y = function(*leaves)
    y.backward(torch.as_tensor(dy, dtype=y.dtype))
    return y.detach().numpy(), [leaf.grad.numpy() for leaf in leaves]
