"""MNIST's test digits, turned into strokes and drawn again, keep their class."""

import numpy as np
import pytest

from minivit.data import load
from minivit.page.strokes import draw
from minivit.preprocess.digit import like_mnist
from minivit.run import load_run
from tests.page.skeletons import strokes_of

pytestmark = pytest.mark.reference


def test_redrawn_digits_keep_their_class():
    pytest.importorskip("skimage")
    test = load("mnist5k").test
    images, labels = test.images[:300], test.labels[:300]
    pictures = np.stack([draw(strokes_of(image[0])).picture for image in images])[:, None]
    assert like_mnist(pictures[:, 0])
    predicted = load_run("pretrained").model.predict(pictures).argmax(-1)
    assert (predicted == labels).mean() >= 0.95
