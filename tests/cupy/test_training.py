"""Whole training steps, predictions and files on the stock CuPy wheel, executed on the CPU, and what they cost."""

import pytest

from tests.tools import second_backend as both

pytestmark = [pytest.mark.cupy, pytest.mark.usefixtures("cupysim")]


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


def test_a_step_uploads_images_labels_and_masks_and_waits_for_nothing(cupysim):
    trainer, (images, labels) = both.trainer("gpu"), both.batch()
    for _ in range(2):
        trainer.step(images, labels)  # CuPy's memory pool fills
    cupysim.counters.reset()
    loss = trainer.step(images, labels)
    moved = cupysim.counters.snapshot()
    expected = {"h2d": both.uploads(both.DROPPING), "d2h": 0, "sync": 0, "malloc": 0}
    assert {name: moved[name] for name in expected} == expected
    float(loss)
    assert cupysim.counters.snapshot()["d2h"] == 1
