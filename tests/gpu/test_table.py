"""Every row of the checker's table on a card: `pytest -m gpu`."""

import pytest

from tests.tools import second_backend as both

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("gpu")]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", both.CASES)
def test_values_and_gradients_are_numpys(name, dtype):
    both.assert_same_row(name, dtype)
