"""Strokes become pictures of MNIST's form, whatever is drawn, and defined ones for what is no drawing."""

import numpy as np
import pytest

from minivit.errors import DataError
from minivit.page.strokes import MOST_POINTS, draw
from minivit.preprocess.digit import like_mnist
from minivit.run import load_run

CIRCLE = [(0.5 + 0.2 * np.sin(a), 0.5 - 0.3 * np.cos(a)) for a in np.linspace(0, 2 * np.pi, 50)]
DIGITS = {
    0: [CIRCLE],
    1: [[(0.52, 0.2), (0.48, 0.8)]],
    4: [[(0.4, 0.2), (0.3, 0.5), (0.65, 0.5)], [(0.62, 0.25), (0.55, 0.8)]],
    7: [[(0.25, 0.22), (0.75, 0.2), (0.45, 0.8)]],
}


def side_of_ink(picture):
    """The longer side of what is drawn at more than half of the full strength."""
    rows, columns = np.nonzero(picture > 127)
    return max(np.ptp(rows), np.ptp(columns)) + 1


@pytest.mark.parametrize("digit", DIGITS)
def test_a_drawn_digit_has_the_form_of_mnist_and_is_read(digit):
    picture = draw(DIGITS[digit]).picture
    assert picture.shape == (28, 28) and picture.dtype == np.uint8 and picture.max() == 255
    assert side_of_ink(picture) == 20 and like_mnist(picture[None])
    assert load_run("pretrained").model.predict(picture[None, None]).argmax() == digit


@pytest.mark.parametrize("size, place", [(0.2, 0.0), (0.5, 0.5), (0.1, 0.9)])
def test_size_and_place_in_the_field_do_not_matter(size, place):
    moved = [[(place + size * x, place + size * y) for x, y in stroke] for stroke in DIGITS[7]]
    there = [(x, y) for stroke in moved for x, y in stroke if max(x, y) <= 1]
    assert len(there) == 3
    assert abs(draw(moved).picture.astype(int) - draw(DIGITS[7]).picture).max() <= 1


@pytest.mark.parametrize("side", [14, 28, 56])
def test_a_larger_picture_is_the_same_drawing(side):
    picture = draw(DIGITS[7], side).picture
    assert picture.shape == (side, side) and side_of_ink(picture) == round(20 / 28 * side)


def test_how_the_picture_was_made():
    drawing = draw(DIGITS[7])
    moved = np.roll(drawing.boxed, drawing.shift, axis=(1, 0))
    assert np.array_equal(moved[4:-4, 4:-4], drawing.picture[4:-4, 4:-4])
    assert drawing.boxed.sum() >= drawing.picture.sum() > 0.97 * drawing.boxed.sum()
    ink = drawing.picture.astype(float)
    y, x = np.mgrid[:28, :28]
    centre = np.array([(ink * x).sum(), (ink * y).sum()]) / ink.sum()
    assert abs(centre - 14).max() <= 0.5  # pixel number 14, as in MNIST
    assert np.allclose(np.add(drawing.mass, drawing.shift), centre + 0.5, atol=0.05)
    (stroke,) = drawing.scaled
    assert stroke[:, 0].max() - stroke[:, 0].min() < stroke[:, 1].max() - stroke[:, 1].min() == pytest.approx(20 - 2.4)


def test_the_pen_is_round_and_fades_over_its_edge():
    dot = draw([[(0.3, 0.7)]]).picture
    assert np.array_equal(dot, dot.T) and 0 < dot[14, 13] and dot[14, 14] == dot.max()
    assert 3 < dot.sum() / 255 < 6  # π·1.2² = 4.5
    line = draw([[(0.0, 0.5), (1.0, 0.5)]]).picture
    assert line[:, 14].sum() / 255 == pytest.approx(2.4, abs=0.3)


@pytest.mark.parametrize("jitter", [0.0, 1e-9, 0.001])
def test_a_dot_stays_a_dot(jitter):
    dot = draw([[(0.3, 0.7), (0.3 + jitter, 0.7)]]).picture
    assert side_of_ink(dot) <= 3


@pytest.mark.parametrize("strokes", [[], [[]], [[], []], [np.zeros((0, 2))]])
def test_nothing_is_an_empty_picture(strokes):
    drawing = draw(strokes)
    assert not drawing.picture.any() and drawing.scaled == () and drawing.shift == (0, 0)


def test_points_outside_the_field_are_moved_to_its_edge():
    outside = draw([[(-3, 0.5), (0.5, 0.2), (1e300, 0.8)]]).picture
    assert np.array_equal(outside, draw([[(0, 0.5), (0.5, 0.2), (1, 0.8)]]).picture)


@pytest.mark.parametrize(
    "strokes, said",
    [
        ([[(0.1, float("nan"))]], "not finite"),
        ([[(float("inf"), 0)]], "not finite"),
        ([[(0.1, 0.2, 0.3)]], "list of points"),
        ([[0.1, 0.2]], "list of points"),
        ([[("a", "b")]], "list of points"),
        ([[(0.1, 0.2), (0.1,)]], "list of points"),
        ([[{}]], "list of points"),
        ([[(0.5, 0.5)] * (MOST_POINTS + 1)], "too long"),
    ],
)
def test_what_is_no_drawing_is_refused_in_one_line(strokes, said):
    with pytest.raises(DataError, match=said) as caught:
        draw(strokes)
    assert "\n" not in str(caught.value)


def test_no_stroke_makes_an_edge_or_a_number_that_is_none():
    rng = np.random.default_rng(0)
    for _ in range(100):
        strokes = [rng.random((int(rng.integers(1, 9)), 2)) ** 3 for _ in range(rng.integers(1, 5))]
        drawing = draw(strokes)
        assert drawing.picture.max() > 200 and drawing.picture.sum() > 0.9 * drawing.boxed.sum()
