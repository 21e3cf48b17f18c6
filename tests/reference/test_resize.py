"""Interpolated positions and their gradients against PyTorch's, in float64; Google's way against SciPy's zoom."""

from typing import Any

import numpy as np
import pytest

from minivit.ops.resize import DIALECTS, interpolation_matrix, resize_backward, resize_forward
from minivit.weights.positions import resize_positions

from .agreement import torch, torch_pair

pytestmark = pytest.mark.reference
BOUND = 1e-12  # absolute, of values of size 1
B, D = 2, 3
GRIDS = [
    ((14, 14), (16, 16)), ((14, 14), (7, 9)), ((37, 37), (16, 16)), ((37, 37), (32, 20)), ((7, 5), (14, 13)),
    ((7, 5), (7, 9)), ((5, 7), (9, 7)), ((1, 5), (4, 1)), ((3, 2), (1, 1)), ((1, 1), (3, 2)),
]  # fmt: skip


def interpolate(x: Any, old: tuple[int, int], new: tuple[int, int], dialect: str) -> Any:
    """torch.nn.functional.interpolate as the libraries call it, of tokens (B, N, D)."""
    how: dict[str, Any] = {"size": new, "mode": "bicubic", "align_corners": False}
    if dialect == "bicubic-antialias":
        how["antialias"] = True
    elif dialect == "bicubic+0.1":
        del how["size"]
        how["scale_factor"] = tuple((after + 0.1) / before for before, after in zip(old, new))
    elif dialect != "bicubic":
        how |= {"mode": "bilinear", "align_corners": dialect == "corner"}
    images = x.reshape(len(x), *old, -1).permute(0, 3, 1, 2)  # (B, rows·columns, D) -> (B, D, rows, columns)
    return torch.nn.functional.interpolate(images, **how).permute(0, 2, 3, 1).flatten(1, 2)


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(20_260_103).standard_normal(shape)


@pytest.mark.parametrize("old, new", GRIDS, ids=str)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_values_and_gradients_are_torchs(dialect, old, new):
    x, dy = draw(B, old[0] * old[1], D), draw(B, new[0] * new[1], D)
    vertical, horizontal = (interpolation_matrix(np, *sizes, dialect) for sizes in zip(old, new))
    y, cache = resize_forward(x, vertical, horizontal)
    expected, (dx,) = torch_pair(lambda tokens: interpolate(tokens, old, new, dialect), [x], dy)
    np.testing.assert_allclose(y, expected, rtol=0, atol=BOUND)
    np.testing.assert_allclose(resize_backward(dy, cache), dx, rtol=0, atol=BOUND)
    np.testing.assert_allclose(resize_positions(x[:1], old, new, dialect), expected[:1], rtol=0, atol=BOUND)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_float32_table_is_torchs_of_float32(dialect):
    """PyTorch computes in float32 there, the places included; a table of a trained model has deviations near 0.05."""
    x = (0.05 * draw(1, 37 * 37, D)).astype("float32")
    expected = interpolate(torch.from_numpy(x), (37, 37), (16, 20), dialect).numpy()
    found = resize_positions(x, (37, 37), (16, 20), dialect)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("old, new", [((14, 14), (16, 16)), ((14, 14), (7, 9)), ((5, 7), (9, 7))], ids=str)
def test_corners_are_scipys_zoom(old, new):
    ndimage = pytest.importorskip("scipy.ndimage", reason='compares with SciPy: pip install ".[reference]"')
    x = draw(*old, D)
    expected = ndimage.zoom(x, (new[0] / old[0], new[1] / old[1], 1), order=1)
    found = resize_positions(x.reshape(1, -1, D), old, new, "corner")
    np.testing.assert_allclose(found, expected.reshape(1, -1, D), rtol=0, atol=BOUND)
