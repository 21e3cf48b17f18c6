"""MNIST's test digits, turned into strokes and drawn again, keep their class."""

import pytest

from minivit.data import load
from minivit.preprocess.digit import like_mnist
from tests.page.skeletons import kept, redrawn

pytestmark = pytest.mark.reference


def test_redrawn_digits_keep_their_class():
    pytest.importorskip("skimage")
    test = load("mnist5k").test
    pictures = redrawn(test.images[:300])
    assert like_mnist(pictures[:, 0])
    assert kept(pictures, test.labels[:300]) >= 0.95 * 300
