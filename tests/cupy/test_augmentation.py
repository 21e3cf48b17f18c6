"""Pixels that live on a card are augmented there: on the stock CuPy wheel, executed on the CPU."""

import pytest

from tests.tools import second_backend as both

pytestmark = [pytest.mark.cupy, pytest.mark.usefixtures("cupysim")]


@pytest.mark.parametrize("name", both.AUGMENTATIONS)
def test_pixels_are_numpys_and_stay_where_they_are(name, cupysim):
    both.assert_same_augmentation(name, cupysim.counters.reset)
    assert cupysim.counters.snapshot()["d2h"] == 1, "only what the test reads back"
