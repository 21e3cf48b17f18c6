"""Every row of the checker's table on the strict stand-in for CuPy."""

import pytest

from tests.tools import second_backend as both

pytestmark = [pytest.mark.standin, pytest.mark.usefixtures("fakecupy")]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", both.CASES)
def test_values_and_gradients_are_numpys(name, dtype):
    both.assert_same_row(name, dtype)


@pytest.mark.parametrize("name", [name for name in both.CASES if name not in both.READS])
def test_nothing_moves_and_nothing_waits(name, fakecupy):
    both.run_row(name, "gpu", "float32", fakecupy.stats.clear)
    assert fakecupy.stats["launch"] > 0 or "none" in name
    assert {cost: fakecupy.stats[cost] for cost in both.COSTS} == dict.fromkeys(both.COSTS, 0)
