"""The overfitting check."""

import numpy as np
import pytest

import minivit.run.overfit
from minivit.errors import DataError, TrainingError
from minivit.run.overfit import overfit
from tests.tools import tiny

SETTINGS = {**tiny.MODEL, "dim": 32, "mlp_dim": 32, **tiny.DROPOUTS}
FAST = {"learning_rate": 0.01, "threads": 1, "label_smoothing": 0.3, "weight_decay": 0.5, "freeze": "all"}


def test_a_sound_model_memorises_a_batch(tmp_path):
    said = []
    overfit(tiny.write_data(tmp_path, 100), SETTINGS, FAST, say=said.append)
    note, *steps, end = said
    unused = "dropout, attention_dropout, drop_path, label_smoothing, weight_decay, freeze"
    assert note == f"note: this check makes no use of {unused}"
    assert steps[0].startswith("step 1: loss 1.") and steps[1].startswith("step 2: loss")
    assert float(steps[-1].split()[-1]) < 1e-3
    assert end.startswith("64 images memorised in ") and "the model, its gradients and the data work" in end


def test_labels_that_contradict_each_other_cannot_be_memorised(tmp_path, monkeypatch):
    monkeypatch.setattr("minivit.run.overfit.OVERFIT_STEPS", 40)
    data = tiny.write_data(tmp_path)
    images = np.zeros((60, 8, 8), "uint8")
    minivit.data.idx.write_idx(tmp_path / "train-images-idx3-ubyte", images)
    with pytest.raises(
        TrainingError, match="60 images should be memorised.* after 40 steps. Look at: the learning rate"
    ):
        overfit(data, SETTINGS, FAST)


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered")
def test_a_loss_that_is_not_finite_is_explained(tmp_path):
    settings = {**FAST, "learning_rate": 1e30, "patch_dropout_until": 0.5}
    said = []
    with pytest.raises(TrainingError, match="_forward.* produced the first of them: start again with a lower --learn"):
        overfit(tiny.write_data(tmp_path), SETTINGS, settings, say=said.append)
    assert "patch_dropout_until" in said[0]


def test_what_cannot_be_learned_from_is_refused(tmp_path):
    with pytest.raises(DataError):
        overfit(str(tmp_path), SETTINGS, FAST)
    with pytest.raises(ValueError, match="heads 5 must divide dim 32"):
        overfit(tiny.write_data(tmp_path), {**SETTINGS, "heads": 5}, FAST)
