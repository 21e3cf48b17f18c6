"""The fixed split: stratified, the same for any order of the images, nothing lost and nothing twice."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from minivit.data import DataError, Pictures, Split, digests_of, load, parts, sample, split_validation


def make(sizes, seed=0):
    """A split with sizes[k] images of class k, all different, shuffled."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return Split(rng.integers(0, 256, (len(labels), 2, 3, 4), np.uint8), labels)


def rows(split):
    return [(image.tobytes(), label) for image, label in zip(split.images, split.labels)]


@hypothesis.given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.data())
def test_shares(sizes, data):
    whole = make(sizes)
    hypothesis.assume(sum(sizes))
    count = data.draw(st.integers(0, sum(sizes) - 1))
    train, valid = split_validation(whole, count)
    assert len(valid.labels) == len(valid.images) == count
    assert sorted(rows(train) + rows(valid)) == sorted(rows(whole))
    given = np.bincount(valid.labels, minlength=len(sizes))
    assert np.all(np.abs(given - np.array(sizes) * count / sum(sizes)) < 1)
    for part in (train, valid):
        assert [row for row in rows(whole) if row in rows(part)] == rows(part)  # in the old order
    assert train.images.dtype == np.uint8 and valid.labels.dtype == np.int64
    assert valid.images.shape[1:] == (2, 3, 4)


def test_order_does_not_matter():
    whole = make([9, 20, 13])
    order = np.random.default_rng(1).permutation(42)
    shuffled = Split(whole.images[order], whole.labels[order])
    valid, other = split_validation(whole, 11)[1], split_validation(shuffled, 11)[1]
    assert rows(valid) != rows(other) and sorted(rows(valid)) == sorted(rows(other))


def test_two_copies_of_an_image_stay_together():
    once = make([10, 10])
    twice = Split(np.repeat(once.images, 2, axis=0), np.repeat(once.labels, 2))
    train, valid = split_validation(twice, 8)
    assert not set(rows(train)) & set(rows(valid))


@pytest.mark.parametrize("total, expected", [(9, 0), (10, 1), (4000, 400), (60000, 5000)])
def test_default_size(total, expected):
    images = np.arange(total, dtype=np.uint32).view(np.uint8).reshape(total, 1, 2, 2)
    train, valid = split_validation(Split(images, np.zeros(total, np.int64)))
    assert (len(train.labels), len(valid.labels)) == (total - expected, expected)


def test_zero_holds_out_nothing():
    whole = make([3, 4])
    train, valid = split_validation(whole, 0)
    assert rows(train) == rows(whole) and valid.images.shape == (0, 2, 3, 4) and valid.labels.shape == (0,)


@pytest.mark.parametrize("count", [-1, 7, 100])
def test_something_must_be_left(count):
    with pytest.raises(DataError, match=f"validation split of {count} images of 7: expected 0 to 6"):
        split_validation(make([3, 4]), count)


def test_the_choice_is_fixed_for_ever():
    """The first images of mnist5k that are held out, by number: with others, results could not be compared."""
    train = load("mnist5k").train
    valid = split_validation(train)[1]
    assert np.bincount(valid.labels).tolist() == [40] * 10
    position = {image.tobytes(): i for i, image in enumerate(train.images)}
    assert [position[image.tobytes()] for image in valid.images[:12]] == [
        2,
        19,
        25,
        38,
        47,
        71,
        77,
        79,
        86,
        96,
        98,
        105,
    ]


@pytest.mark.parametrize(
    "key", [2, -1, slice(1, 5, 2), [3, 0], np.array([True, False, True, True, False]), (2, 1), (slice(2), 1, 2), ...]
)
def test_pictures_are_indexed_like_the_array_of_their_rows(key):
    pixels = np.random.default_rng(3).integers(0, 256, (7, 2, 3, 4), np.uint8)
    rows = np.array([6, 0, 3, 5, 1])
    pictures = Pictures(pixels, rows)
    np.testing.assert_array_equal(pictures[key], pixels[rows][key], strict=True)
    np.testing.assert_array_equal(np.asarray(pictures), pixels[rows], strict=True)
    assert (pictures.shape, pictures.dtype, pictures.ndim, len(pictures)) == ((5, 2, 3, 4), np.uint8, 4, 5)


def test_splitting_copies_no_image():
    whole = make([6, 8, 5])
    train, valid = split_validation(whole, 4)
    again, rest = split_validation(train, 3)
    for part in (train, valid, again, rest):
        assert part.images.pixels is whole.images
    assert sorted(np.concatenate([part.images.rows for part in (again, rest, valid)])) == list(range(19))


def test_digests_that_are_known_are_not_computed_again():
    whole = make([6, 7])
    invented = np.random.default_rng(4).integers(0, 256, (13, 32), np.uint8)
    known = Split(Pictures(whole.images, digests=invented), whole.labels)
    part = known.take(np.array([5, 2]))
    assert digests_of(part.images).tolist() == invented[[5, 2]].tolist()
    assert digests_of(Pictures(whole.images, np.array([5, 2]))).tolist() == digests_of(whole.images)[[5, 2]].tolist()


def test_parts_and_samples(monkeypatch):
    monkeypatch.setattr("minivit.data.split.VALUES_AT_ONCE", 80)
    images = make([5, 6]).images
    found = list(parts(images))
    assert [len(part) for part in found] == [3, 3, 3, 2] and (np.concatenate(found) == images).all()
    assert sample(images, 4).tolist() == images[::3].tolist() and sample(images) is not images
    assert sample(images, 11).tolist() == images.tolist()
