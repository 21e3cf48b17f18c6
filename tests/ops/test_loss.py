"""The loss in plain numbers, and what it refuses."""

import math

import numpy as np
import pytest

from minivit.ops.loss import check_labels, cross_entropy_backward, cross_entropy_forward

LOGITS = np.array([[1.0, 2.0, -1.0, 0.5], [0.0, -3.0, 2.0, 2.0]])


def by_hand(logits, targets):
    """-sum t·log(p), averaged over the images."""
    losses = []
    for row, target in zip(logits, targets, strict=True):
        total = sum(math.exp(z) for z in row)
        losses.append(-sum(t * math.log(math.exp(z) / total) for z, t in zip(row, target, strict=True)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_class_numbers(smoothing):
    targets = np.eye(4)[[3, 0]] * (1 - smoothing) + smoothing / 4
    loss, _ = cross_entropy_forward(LOGITS, np.array([3, 0]), smoothing)
    assert loss == pytest.approx(by_hand(LOGITS, targets), rel=1e-14)


def test_no_smoothing_by_default():
    loss, cache = cross_entropy_forward(LOGITS, np.array([3, 0]))
    np.testing.assert_array_equal(cache.targets, np.eye(4)[[3, 0]])
    assert loss == pytest.approx(by_hand(LOGITS, np.eye(4)[[3, 0]]), rel=1e-14)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_probabilities(smoothing):
    p = np.array([[0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 1.0, 0.0]])
    loss, _ = cross_entropy_forward(LOGITS, p, smoothing)
    assert loss == pytest.approx(by_hand(LOGITS, p * (1 - smoothing) + smoothing / 4), rel=1e-14)


@pytest.mark.parametrize("B", [1, 2])
def test_logits_of_any_size(B):
    """No overflow, and the same loss, wherever the logits lie."""
    labels = np.array([3, 0])[:B]
    loss, cache = cross_entropy_forward(LOGITS[:B], labels)
    for shift in (-1e4, 1e4):
        moved, moved_cache = cross_entropy_forward(LOGITS[:B] + shift, labels)
        assert moved == pytest.approx(loss, rel=1e-10)
        dlogits, moved_dlogits = (cross_entropy_backward(1.0, c) for c in (cache, moved_cache))
        np.testing.assert_allclose(moved_dlogits, dlogits, rtol=1e-10)
        np.testing.assert_allclose(moved_dlogits.sum(-1), 0, atol=1e-12)


def test_one_image_counts_whole_and_two_count_half():
    _, one = cross_entropy_forward(LOGITS[:1], np.array([3]))
    _, two = cross_entropy_forward(LOGITS, np.array([3, 0]))
    np.testing.assert_allclose(cross_entropy_backward(1.0, two)[0], cross_entropy_backward(1.0, one)[0] / 2, rtol=1e-15)
    np.testing.assert_allclose(cross_entropy_backward(3.0, one), 3 * cross_entropy_backward(1.0, one), rtol=1e-15)


REFUSED = {
    "no images": (np.zeros(0, int), "empty batch"),
    "three labels": (np.array([0, 1, 2]), r"labels of shape \(3,\) do not fit logits of shape \(2, 4\)"),
    "three classes": (np.ones((2, 3)) / 3, r"expected \(2,\) class numbers or \(2, 4\) probabilities"),
    "below zero": (np.array([-1, 3]), r"0\.\.3 \(4 classes\), but run from -1 to 3"),
    "too large": (np.array([0, 4]), r"but run from 0 to 4"),
    "not whole": (np.array([0.0, 1.0]), "class numbers must be integers, not float64"),
    "a negative probability": (np.array([[1.5, -0.5, 0, 0], [0, 0, 0, 1]]), "at least 0 and sum to 1"),
    "a sum of 1.001005": (np.array([[0.5, 0.501005, 0, 0], [0, 0, 0, 1]]), "at least 0 and sum to 1"),
    "NaN": (np.array([[np.nan, 0, 0, 0], [0, 0, 0, 1.0]]), "at least 0 and sum to 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_labels_that_are_refused(name):
    labels, message = REFUSED[name]
    logits = LOGITS[:0] if name == "no images" else LOGITS
    with pytest.raises(ValueError, match=message):
        cross_entropy_forward(logits, labels)


def test_labels_at_the_edge_are_taken():
    check_labels(np.array([0, 3]), 4)
    check_labels(np.array([0, 3], np.uint8), 4)
    check_labels(np.array([[0.5, 0.5009, 0, 0], [0, 0, 0, 1]]), 4)
