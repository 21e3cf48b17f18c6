"""Training, evaluation and augmentation work on pixels of 0..255: what is not, or does not fit, is refused."""

import dataclasses

import numpy as np
import pytest

from minivit import ViT
from minivit.data import Split
from minivit.errors import DataError
from minivit.parallel import WorkerPool
from minivit.train import TrainConfig, Trainer, fit
from minivit.train.evaluate import evaluate, probabilities
from tests.tools import tiny

IMAGES, LABELS = tiny.images(6)
MODEL = ViT(tiny.config())
ODD = {
    "floats of 0..1": (IMAGES / 255, LABELS, "images must be a uint8 array here, pixels of 0..255, not float64"),
    "whole numbers": (IMAGES.astype("int64"), LABELS, "images must be a uint8 array here, .* not int64"),
    "a list": (IMAGES.tolist(), LABELS, "images must be a uint8 array here, .* not list"),
    "no images": (IMAGES[:0], LABELS[:0], "an empty batch was passed"),
    "images of another size": (IMAGES[..., :4], LABELS, "do not fit this model"),
    "fewer labels": (IMAGES, LABELS[:5], r"labels of shape \(5,\) do not fit 6 images"),
    "more labels": (IMAGES[:5], LABELS, r"labels of shape \(6,\) do not fit 5 images"),
    "other classes": (IMAGES, LABELS + 1, "labels must lie in 0..2"),
    "labels that are no integers": (IMAGES, LABELS / 1, "class numbers must be integers, not float64"),
}


@pytest.mark.parametrize("what", ODD)
def test_what_cannot_be_trained_on_is_refused(what):
    images, labels, message = ODD[what]
    one = ViT(tiny.config())
    before = one.params.flat.copy()
    with pytest.raises(DataError, match=message):
        next(fit(Trainer(one, TrainConfig(threads=1)), Split(images, labels)))
    np.testing.assert_array_equal(one.params.flat, before)


@pytest.mark.parametrize("what", [what for what in ODD if what != "no images"])
def test_what_cannot_be_validated_on_is_refused_before_the_first_step(what):
    images, labels, message = ODD[what]
    steps = fit(Trainer(ViT(tiny.config()), TrainConfig(threads=1)), Split(IMAGES, LABELS), Split(images, labels))
    with pytest.raises(DataError, match=message):
        next(steps)


@pytest.mark.parametrize("what", ODD)
def test_what_cannot_be_evaluated_is_refused(what):
    images, labels, message = ODD[what]
    with pytest.raises(DataError, match=message):
        evaluate(MODEL, Split(images, labels), WorkerPool(1), tta=1)
    if np.shape(images)[0] == len(labels) and "label" not in message and "class" not in message:
        with pytest.raises(DataError, match=message):
            probabilities(MODEL, images, WorkerPool(1), tta=1)


def test_probabilities_are_no_classes_to_compare_with():
    with pytest.raises(DataError, match=r"use labels.argmax\(1\)"):
        evaluate(MODEL, Split(IMAGES, np.eye(3)[LABELS]), WorkerPool(1))


def test_a_model_without_a_head_is_not_trained():
    headless = ViT(dataclasses.replace(tiny.config(), classes=None))
    with pytest.raises(DataError, match="has no head, so labels teach it nothing"):
        next(fit(Trainer(headless, TrainConfig(threads=1)), Split(IMAGES, LABELS)))
