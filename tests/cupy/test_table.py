"""Every row of the checker's table on the stock CuPy wheel, executed on the CPU."""

import pytest

from tests.tools import second_backend as both

pytestmark = [pytest.mark.cupy, pytest.mark.usefixtures("cupysim")]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", both.CASES)
def test_values_and_gradients_are_numpys(name, dtype):
    both.assert_same_row(name, dtype)


@pytest.mark.parametrize("name", [name for name in both.CASES if name not in both.READS])
def test_nothing_moves_and_nothing_waits(name, cupysim):
    both.run_row(name, "gpu", "float32", cupysim.counters.reset)
    moved = cupysim.counters.snapshot()
    assert [moved[name] for name in ("h2d", "d2h", "sync")] == [0, 0, 0]
