"""Training, predictions and files on a card: `pytest -m gpu`."""

import pytest

from tests.tools import second_backend as both

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("gpu")]


@pytest.mark.parametrize("name", both.CONFIGS)
def test_gradients_are_numpys(name):
    both.assert_same_gradients(both.CONFIGS[name])


def test_gradients_of_the_default_model_are_numpys():
    both.assert_same_gradients(both.ViTConfig(dropout=0.1, attention_dropout=0.1, drop_path=0.1), count=128)


@pytest.mark.parametrize("muon", [None, 0.01])
def test_three_steps_are_numpys(muon):
    both.assert_same_training(steps=3, muon=muon)


def test_predictions_are_numpys():
    both.assert_same_predictions()


def test_files_do_not_know_the_device(tmp_path):
    both.assert_files_do_not_know_the_device(tmp_path)


def test_threads_change_nothing(monkeypatch):
    monkeypatch.setattr("minivit.parallel.FLOATS_FOR_THREADS", 0)
    one, two = both.trainer("gpu", threads=1), both.trainer("gpu", threads=2)
    for _ in range(3):
        losses = one.step(*both.batch()), two.step(*both.batch())
        both.assert_agrees("loss", losses[1], losses[0].get(), bound=0)
    both.assert_agrees("parameters", two.model.params.flat, one.model.params.flat.get(), bound=0)


def test_memory_does_not_grow(gpu):
    trainer, pool = both.trainer("gpu"), gpu.get_default_memory_pool()

    def after(steps):
        for _ in range(steps):
            loss = trainer.step(*both.batch())
        float(loss)
        return pool.used_bytes(), pool.total_bytes()

    after(3)
    before = after(1)
    assert after(20) == before
