"""What a picture holds is one digit, or it is said that it hardly is."""

import warnings

import numpy as np
import pytest

from minivit.data import load
from minivit.errors import DataError, DataWarning
from minivit.preprocess import Preprocessing, read_picture
from minivit.preprocess.digit import find_ink
from minivit.preprocess.doubts import doubt

Image = pytest.importorskip("PIL.Image", reason="pictures need pillow")

from tests.preprocess.photos import NOT_ONE_DIGIT  # noqa: E402

DIGITS = load("mnist5k").test.images[:, 0]


def test_hardly_a_digit_of_mnist_is_doubted():
    """One of these 1,000 at most."""
    doubts = [reason for digit in DIGITS if (reason := doubt(find_ink(digit.astype(np.float32))))]
    assert len(doubts) <= 1, doubts


@pytest.mark.parametrize("kind", NOT_ONE_DIGIT, ids=lambda kind: kind.__name__)
def test_what_is_not_one_digit_is_doubted_or_refused(kind, tmp_path):
    rng, doubted = np.random.default_rng(0), 0
    for digit in DIGITS[::100]:
        Image.fromarray(kind(digit, rng)).save(tmp_path / "a.png")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                read_picture(tmp_path / "a.png", 1, Preprocessing("digit", "dark"))
                doubted += len(caught)
            except DataError as error:
                assert "no digit stands out in" in str(error)
                doubted += 1
        assert all(w.category is DataWarning and str(tmp_path / "a.png") in str(w.message) for w in caught)
    assert doubted == 10


SHAPES = {
    "several strokes apart from each other": ("#..#", "#..#", "#..#"),
    "wider than a digit": ("########",),
    "a solid patch": ("####", "####", "####"),
    "more strokes than a digit": (
        "#.#.#.#.#.#",
        "###########",
        "#.#.#.#.#.#",
        "#.#.#.#.#.#",
        "#.#.#.#.#.#",
        "#.#.#.#.#.#",
    ),
    "lines run across it": ("####", ".#..", "####", ".#..", "...."),
}


@pytest.mark.parametrize("words", SHAPES)
def test_what_is_said(words):
    ink = np.array([[float(c == "#") for c in row] for row in SHAPES[words]], np.float32)
    assert words in doubt(np.pad(ink.repeat(2, 0), 0 if words.startswith("lines") else 1))


@pytest.mark.parametrize("rows", [("###", "..#", "..#", ".#.", ".#."), ("#",), ("##", "..", "##", ".#", ".#", "##")])
def test_what_may_be_a_digit(rows):
    """A seven; a one; a five whose upper stroke stands apart."""
    ink = np.array([[float(c == "#") for c in row] for row in rows], np.float32)
    assert doubt(np.pad(ink.repeat(3, 0), 2)) is None
