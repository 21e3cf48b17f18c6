"""The k-nearest-neighbour classifier."""

import math

import numpy as np
import pytest

from minivit import neighbours
from minivit.errors import ConfigError
from minivit.neighbours import neighbour_votes

RNG = np.random.default_rng(0)
FEATURES, QUERIES = RNG.standard_normal((23, 5)), RNG.standard_normal((7, 5))
LABELS = RNG.integers(0, 4, 23)


def by_hand(features, labels, queries, classes, k, temperature):
    """The same in loops, a pair at a time."""
    votes = []
    for query in queries:
        cosines = [
            sum(a * b for a, b in zip(query, f)) / math.sqrt(sum(a * a for a in query) * sum(b * b for b in f))
            for f in features
        ]
        nearest = sorted(range(len(features)), key=lambda j: -cosines[j])[:k]
        row = [sum(math.exp(cosines[j] / temperature) for j in nearest if labels[j] == c) for c in range(classes)]
        votes.append([value / sum(row) for value in row])
    return votes


@pytest.mark.parametrize("k", [1, 6, 23])
@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_the_votes_are_those_of_the_formula(k, temperature, monkeypatch):
    expected = by_hand(FEATURES, LABELS, QUERIES, 4, k, temperature)
    for at_once in (1, 50, 1 << 24):  # queries are compared one by one, two at a time, all together
        monkeypatch.setattr(neighbours, "VALUES_AT_ONCE", at_once)
        votes = neighbour_votes(FEATURES, LABELS, QUERIES, 4, k, temperature)
        np.testing.assert_allclose(votes, expected, rtol=1e-12, atol=1e-15)


def test_only_directions_count():
    lengths = RNG.uniform(0.1, 1000, (23, 1))
    votes = neighbour_votes(FEATURES * lengths, LABELS, QUERIES * 1e-3, 4, 6)
    np.testing.assert_allclose(votes, neighbour_votes(FEATURES, LABELS, QUERIES, 4, 6), rtol=1e-9)


def test_an_image_is_its_own_nearest_neighbour():
    votes = neighbour_votes(FEATURES.astype("float32"), LABELS, FEATURES.astype("float32"), 4, 1)
    assert votes.dtype == np.float32 and (votes.argmax(1) == LABELS).all() and set(votes.ravel()) == {0.0, 1.0}


def test_zeros_are_near_to_nothing():
    votes = neighbour_votes(np.zeros((3, 5)), np.array([0, 1, 1]), QUERIES, 2, 3)
    np.testing.assert_allclose(votes, [[1 / 3, 2 / 3]] * 7)


def test_nothing_is_modified():
    before = FEATURES.copy(), LABELS.copy(), QUERIES.copy()
    neighbour_votes(FEATURES, LABELS, QUERIES, 4, 6)
    for now, then in zip((FEATURES, LABELS, QUERIES), before):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize(
    "k, words", [(0, "k must be at least 1"), (24, "24 nearest neighbours .* there are 23"), (2.0, "k")]
)
def test_k_must_fit(k, words):
    with pytest.raises(ConfigError, match=words):
        neighbour_votes(FEATURES, LABELS, QUERIES, 4, k)
