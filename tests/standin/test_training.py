"""Whole training steps, predictions and files on the strict stand-in for CuPy, and what they cost."""

import pytest

from minivit.parallel import shards
from tests.tools import second_backend as both
from tests.tools import tiny

pytestmark = [pytest.mark.standin, pytest.mark.usefixtures("fakecupy")]


@pytest.mark.parametrize("name", both.CONFIGS)
def test_gradients_are_numpys(name):
    both.assert_same_gradients(both.CONFIGS[name])


@pytest.mark.parametrize("muon", [None, 0.01])
def test_three_steps_are_numpys(muon):
    both.assert_same_training(steps=3, muon=muon)


def test_predictions_are_numpys():
    both.assert_same_predictions()


def test_files_do_not_know_the_device(tmp_path):
    both.assert_files_do_not_know_the_device(tmp_path)


def test_a_step_uploads_images_labels_and_masks_and_waits_for_nothing(fakecupy):
    trainer, (images, labels) = both.trainer("gpu"), both.batch()
    fakecupy.stats.clear()
    loss = trainer.step(images, labels)
    expected = {**dict.fromkeys(both.COSTS, 0), "h2d": both.uploads(both.DROPPING)}
    assert {cost: fakecupy.stats[cost] for cost in both.COSTS} == expected
    float(loss)
    assert (fakecupy.stats["d2h"], fakecupy.stats["sync"]) == (1, 1)


def test_a_prediction_comes_back_once(fakecupy, monkeypatch):
    tiny.little_shards(monkeypatch, 1600)
    model, (images, _) = both.ViT(both.BASE, device="gpu"), both.batch(700)
    parts = len(shards(len(images), both.BASE))
    assert parts > 2
    fakecupy.stats.clear()
    model.predict(images)
    assert (fakecupy.stats["h2d"], fakecupy.stats["d2h"], fakecupy.stats["sync"]) == (parts, 1, 1)
