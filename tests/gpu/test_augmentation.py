"""Pixels that live on a card are augmented there: `pytest -m gpu`."""

import pytest

from tests.tools import second_backend as both

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("gpu")]


@pytest.mark.parametrize("name", both.AUGMENTATIONS)
def test_pixels_are_numpys(name):
    both.assert_same_augmentation(name)
