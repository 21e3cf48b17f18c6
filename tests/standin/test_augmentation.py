"""Pixels that live on a card are augmented there: the same as NumPy's, on the strict stand-in for CuPy."""

import pytest

from tests.tools import second_backend as both

pytestmark = [pytest.mark.standin, pytest.mark.usefixtures("fakecupy")]


@pytest.mark.parametrize("name", both.AUGMENTATIONS)
def test_pixels_are_numpys_and_stay_where_they_are(name, fakecupy):
    both.assert_same_augmentation(name, fakecupy.stats.clear)
    assert (fakecupy.stats["d2h"], fakecupy.stats["sync"]) == (1, 1), "only what the test reads back"
    assert fakecupy.stats["float64"] == 0
