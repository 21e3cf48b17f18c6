"""Evaluation: accuracy, loss, and which classes are taken for which."""

import numpy as np
import pytest

from minivit.data import Split
from minivit.parallel import WorkerPool
from minivit.preprocess.arrays import normalise
from minivit.rng import TEST_TIME, generator
from minivit.train import random_affine
from minivit.train.evaluate import evaluate, probabilities
from minivit.vit import ViT
from tests.tools import tiny

CONFUSION = np.array(
    [[3, 0, 2, 0], [0, 12, 0, 0], [1, 1, 2, 0], [0, 0, 0, 0]]
)  # no image of class 3, none taken for it


def model(**settings):
    one = ViT(tiny.config(**settings))
    one.params["head.weight"] = one.params["head.weight"] * 40  # otherwise it guesses one class
    return one


def test_evaluation_counts_what_the_model_predicts():
    one, split = model(), Split(*tiny.images(50))
    result, chances = evaluate(one, split, WorkerPool()), one.predict(split.images)
    guesses = chances.argmax(-1)
    assert (result.correct, result.total) == ((guesses == split.labels).sum(), 50)
    assert result.accuracy == result.correct / 50
    assert result.loss == pytest.approx(-np.log(chances[range(50), split.labels].astype("float64")).mean(), rel=1e-5)
    expected = np.zeros((3, 3), int)
    for label, guess in zip(split.labels, guesses):
        expected[label, guess] += 1
    np.testing.assert_array_equal(result.confusion, expected)
    assert len(set(guesses)) > 1, "the test needs a model that does not always say the same"


def test_dropouts_are_off():
    split = Split(*tiny.images(20))
    with_dropouts, without = model(**tiny.DROPOUTS), model()
    assert evaluate(with_dropouts, split, WorkerPool()).loss == evaluate(without, split, WorkerPool()).loss


def test_augmented_copies_are_averaged(monkeypatch):
    """The mean of the probabilities of the images and of their moved copies, the same at every call."""
    monkeypatch.setattr("minivit.train.evaluate.IMAGES_AT_ONCE", 8)
    one, (images, labels) = model(), tiny.images(20)
    found = probabilities(one, images, WorkerPool(2), tta=2, strength=1.3)
    expected = one.predict(images).astype("float64")
    for view in (0, 1):
        parts = [
            random_affine(images[start : start + 8], generator(0, TEST_TIME, view, part), 1.3)
            for part, start in enumerate((0, 8, 16))
        ]
        moved = normalise(np.concatenate(parts), one.config, "float32")
        assert abs(one.predict(moved) - expected).max() > 1e-3
        expected += one.predict(moved)
    np.testing.assert_allclose(found, expected / 3, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found, probabilities(one, images, WorkerPool(1), tta=2, strength=1.3))
    result = evaluate(one, Split(images, labels), WorkerPool(), tta=2, strength=1.3)
    assert result.correct == (found.argmax(-1) == labels).sum()
    assert result.loss == pytest.approx(-np.log(found[range(20), labels]).mean(), rel=1e-12)


@pytest.mark.parametrize("tta", [0, 2])
def test_a_model_that_is_confidently_wrong_has_a_finite_loss(tta):
    one = model()
    one.params["head.weight"] = one.params["head.weight"] * 1e6  # probabilities of 0 and 1
    images, labels = tiny.images(20)
    wrong = (one.predict(images).argmax(-1) + 1) % 3
    assert 100 < evaluate(one, Split(images, wrong), WorkerPool(), tta).loss < 1000


def test_no_copies_are_the_image_itself():
    one, (images, _) = model(), tiny.images(20)
    np.testing.assert_allclose(probabilities(one, images, WorkerPool()), one.predict(images), rtol=0, atol=1e-6)


def test_any_number_of_threads_and_images(monkeypatch):
    tiny.little_shards(monkeypatch, 10)
    one = model()
    for count in (1, 2, 31):
        split = Split(*tiny.images(count))
        results = [evaluate(one, split, WorkerPool(threads)) for threads in (1, 2, 8)]
        assert {(result.loss, result.correct, result.total) for result in results} == {results[0][:3]}
        assert results[0].confusion.sum() == count


def test_classes_that_no_image_has():
    result = evaluate(model(), Split(*tiny.images(1)), WorkerPool())
    assert result.confusion.shape == (3, 3) and result.confusion[1:].sum() == 0


def test_copies_are_of_the_kind_that_the_model_was_trained_with():
    one, (images, _) = model(), tiny.images(20)
    plain, digits, photos, mirrored, none = (
        probabilities(one, images, WorkerPool(), tta, *kind)
        for tta, kind in (
            (0, ()),
            (2, ("digits",)),
            (2, ("photos", False, 4.0)),
            (2, ("photos", True, 4.0)),
            (2, ("none",)),
        )  # of strength 4, since the images are small
    )
    np.testing.assert_array_equal(plain, none)
    for i, chances in enumerate((plain, digits, photos, mirrored)):
        np.testing.assert_allclose(chances.sum(1), 1, atol=1e-12)
        assert all(abs(chances - other).max() > 1e-3 for other in (plain, digits, photos, mirrored)[:i])
