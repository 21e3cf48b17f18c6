"""Which branch softmax takes: without the maximum where that is safe and can be seen for free."""

import numpy as np
import pytest

from minivit.ops.softmax import _with_maximum, _without_maximum, softmax_forward

ROWS = np.random.default_rng(8).standard_normal((50, 7))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("level", [-35, 0, 35])
def test_ordinary_rows_do_without_the_maximum(level, dtype):
    """The branches round differently, so their last bits tell which of them ran."""
    x = (ROWS + level).astype(dtype)
    default, fast, safe = softmax_forward(x)[0], _without_maximum(x), _with_maximum(x)
    np.testing.assert_array_equal(default, fast)
    assert (fast != safe).any()


@pytest.mark.parametrize("rows", [1, 50])
@pytest.mark.parametrize("level", [-80, -50, 50, 80, 1e4, -1e4])
def test_rows_near_the_edge_take_the_maximum(level, rows):
    x = (ROWS[:rows] + level).astype("float32")
    assert _without_maximum(x) is None
    np.testing.assert_array_equal(softmax_forward(x)[0], _with_maximum(x))


def test_one_row_near_an_edge_is_enough():
    for level in (-50, 50):
        x = ROWS.copy()
        x[3] += level
        assert _without_maximum(x) is None
        np.testing.assert_array_equal(softmax_forward(x)[0], _with_maximum(x))


def test_complex_rows_take_the_maximum():
    x = (ROWS + 1e4).astype(complex)
    np.testing.assert_allclose(softmax_forward(x)[0], _with_maximum(x.real), rtol=1e-14)


def test_nan_stays_where_it_is():
    x = ROWS.copy()
    x[3, 2] = np.nan
    assert _without_maximum(x) is None
    y, _ = softmax_forward(x)
    assert np.isnan(y[3]).all() and np.isfinite(np.delete(y, 3, 0)).all()
