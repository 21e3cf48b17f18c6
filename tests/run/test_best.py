"""`--patience`: a run stops when it gets no better, its model is the best one, and a resumed run agrees."""

import json
import shutil

import pytest

from minivit.data import load, split_validation
from minivit.errors import ConfigError
from minivit.run import Interrupted, resume_run
from minivit.run.best import best_of, is_best, out_of_patience
from minivit.run.records import read_metrics
from minivit.train import TrainConfig, Trainer, fit
from minivit.vit import ViT
from tests.tools import runs

UNSTEADY = {"patience": 2, "epochs": 30, "learning_rate": 0.3, "validation": 20}


def reports(*pairs):
    return [{"epoch": i + 1, "valid_accuracy": pair[0], "valid_loss": pair[1]} for i, pair in enumerate(pairs)]


def test_the_best_epoch_has_the_highest_accuracy_then_the_lowest_loss_then_comes_first():
    found = reports((0.5, 1.0), (0.8, 0.9), (0.8, 0.7), (0.8, 0.7), (0.6, 0.1))
    assert [is_best(found[: i + 1]) for i in range(5)] == [True, True, True, False, False]
    assert best_of(found)["epoch"] == 3


def test_a_run_waits_for_a_better_accuracy_or_loss():
    found = reports((0.5, 1.0), (0.8, 0.9), (0.7, 0.7), (0.7, 0.7), (0.6, 0.8), (0.9, 2.0), (0.9, 3.0), (0.8, 0.7))
    over = [out_of_patience(found[: i + 1], 2) for i in range(8)]
    assert over == [False, False, False, False, True, False, False, True]
    assert not out_of_patience(found, 3) and not out_of_patience(found, None) and not out_of_patience([], 1)


def test_reports_between_epochs_do_not_count():
    between = {"epoch": 2, "valid_accuracy": None, "valid_loss": None}
    found = [*reports((0.5, 1.0)), between]
    assert best_of(found)["epoch"] == 1 and not is_best(found) and not out_of_patience([between], 1)


@pytest.fixture(scope="module")
def stopped_early(data, tmp_path_factory):
    said = []
    run = runs.start(data, tmp_path_factory.mktemp("early") / "run", say=said.append, **UNSTEADY)
    return run, said


def test_the_model_is_the_best_one_and_it_is_said(data, stopped_early):
    run, said = stopped_early
    metrics = read_metrics(run.folder)
    best = best_of(metrics)
    assert run.result["best_epoch"] == best["epoch"] < metrics[-1]["epoch"] == len(metrics) < 30
    waited = "2 epochs without a better validation accuracy or loss"
    assert said[-2] == f"stopped after epoch {metrics[-1]['epoch']}: {waited}"
    assert said[-1].startswith(f"the model is that of epoch {best['epoch']}, the best one: valid loss ")
    config = TrainConfig.from_dict(run.settings["train"])
    train, valid = split_validation(load(data).train, config.validation)
    again = Trainer(ViT(run.model.config), config, total_steps=30 * (len(train.labels) // 18))
    *_, (_, report) = fit(again, train, valid, best["epoch"])
    assert report.valid_accuracy == best["valid_accuracy"]
    assert again.averaged_model().params.flat.tobytes() == run.model.params.flat.tobytes()


@pytest.mark.parametrize("step", [1, 3, 4, 6])
def test_a_run_that_was_stopped_ends_as_if_it_was_not(step, data, tmp_path, stopped_early, at_step):
    whole, said = stopped_early
    runs.stop_after(at_step, data, tmp_path / "run", step, **UNSTEADY)
    assert resume_run(tmp_path / "run").result["best_epoch"] == whole.result["best_epoch"]
    assert runs.same_model(tmp_path / "run", whole.folder)
    assert runs.steps_of(tmp_path / "run") == runs.steps_of(whole.folder)


@pytest.mark.parametrize("save_every", [1, 7])
def test_a_run_that_was_killed_while_it_was_tested_does_not_train_on(
    save_every, data, tmp_path, stopped_early, monkeypatch
):
    """When its patience was at an end already, whether that had been saved or not."""
    whole, _ = stopped_early

    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("minivit.run.training.evaluate", stop)
        with pytest.raises(Interrupted):
            runs.start(data, tmp_path / "run", **UNSTEADY, save_every=save_every)
    again = shutil.copytree(tmp_path / "run", tmp_path / "again")
    (again / "model.safetensors").unlink()
    said = []
    for folder in (tmp_path / "run", again):
        assert resume_run(folder, say=said.append).result["best_epoch"] == whole.result["best_epoch"]
        assert runs.same_model(folder, whole.folder) and runs.steps_of(folder) == runs.steps_of(whole.folder)
    assert said[-1].startswith("the model is that of epoch ")


def test_a_run_to_its_last_epoch_keeps_the_best_one_too(data, tmp_path):
    said = []
    run = runs.start(data, tmp_path / "run", say=said.append, patience=9, learning_rate=0.01)
    assert run.result["best_epoch"] == best_of(read_metrics(run.folder))["epoch"] <= 3
    assert said[-1].startswith("the model is that of epoch ") and "without a better" not in " ".join(said)
    assert "best_epoch" in json.loads((run.folder / "result.json").read_text())


def test_without_validation_images_there_is_nothing_to_wait_for(data, tmp_path):
    with pytest.raises(ConfigError, match="no images are held out for validation"):
        runs.start(data, tmp_path / "run", patience=2, validation=0)
    assert not (tmp_path / "run").exists()
