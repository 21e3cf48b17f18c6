"""What makes the measurement of a model doubtful."""

import numpy as np
import pytest

from minivit.data import Pictures
from minivit.preprocess import Preprocessing
from minivit.run.doubts import other_kind

SQUASH = Preprocessing("squash", "light", (8, 8))


@pytest.mark.parametrize("channels, lines", [(1, 1), (3, 0)])
def test_the_ground_of_grey_images(channels, lines):
    """Photos in colour have borders of all kinds."""
    dark = np.zeros((9, channels, 8, 8), np.uint8)
    found = other_kind(SQUASH, dark)
    assert found == ["these images have a dark ground, the model's a light one"][:lines]
    assert other_kind(SQUASH, 255 - dark) == [] and other_kind(None, dark) == []


def test_pictures_from_files_of_their_own_have_been_made_by_the_models_rule():
    dark, names = np.zeros((9, 1, 8, 8), np.uint8), np.array([f"cat/{k}.png" for k in range(9)])
    assert other_kind(SQUASH, Pictures(dark, names=names)) == [] and len(other_kind(SQUASH, Pictures(dark))) == 1


def test_digits_that_are_not_placed_as_mnists():
    rng = np.random.default_rng(2)
    strewn = np.zeros((20, 1, 28, 28), np.uint8)
    for image in strewn:
        top, left = rng.integers(1, 20, 2)
        image[0, top : top + 6, left : left + 6] = 255
    (line,) = other_kind(Preprocessing("digit", "dark", (28, 28)), strewn)
    assert line == "these images are not centred and scaled as MNIST's digits are, and the model's were"
