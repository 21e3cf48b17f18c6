"""--minutes: the number of epochs follows from the measured step."""

import json

import pytest

from minivit import ViT, ViTConfig
from minivit.cli import main
from minivit.errors import ConfigError, TrainingError
from minivit.run import pace, start_run
from minivit.train import TrainConfig, Trainer
from tests.tools import tiny


@pytest.fixture
def clock(monkeypatch):
    """A clock that only steps move: 0.5 s with all patches, 0.25 s with patch dropout."""
    now = [0.0]
    update = Trainer.update

    def slow(self, *batch):
        now[0] += 0.25 if self.step_config.patch_dropout else 0.5
        return update(self, *batch)

    monkeypatch.setattr(Trainer, "update", slow)
    monkeypatch.setattr(pace.time, "perf_counter", lambda: now[0])
    return now


def test_as_many_epochs_as_fit_and_they_are_recorded(tmp_path, clock):
    data = tiny.write_data(tmp_path, 100)
    said = []
    config = TrainConfig(minutes=0.2, batch_size=20, validation=20, augment=None)
    settings = {"depth": 1, "dim": 8, "heads": 2, "mlp_dim": 8}
    run = start_run(data, str(tmp_path / "run"), settings, config, say=said.append)
    # 4 steps of 0.5 s, and one batch of validation at a third of one: 12 s hold 5 epochs of 2.17 s
    assert "a step takes 500 ms here, an epoch of 4 steps 2.17 s: 5 epochs in 0.2 minutes" in said
    recorded = json.loads((tmp_path / "run" / "config.json").read_text())["train"]
    assert (recorded["minutes"], recorded["epochs"]) == (0.2, 5)
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 5
    assert run.settings["train"]["epochs"] == 5


@pytest.mark.parametrize("kind", [None, "photos"])
def test_an_automatic_strength_follows_the_epochs_that_fit(tmp_path, clock, kind):
    data = tiny.write_data(tmp_path, 100)
    said = []
    config = TrainConfig(
        minutes=0.2, batch_size=20, validation=20, augmentation=kind, augment="auto", images_seen=8000
    )  # 100 epochs of 80 images, but for the minutes
    run = start_run(data, str(tmp_path / "run"), {"depth": 1, "dim": 8}, config, say=said.append)
    trained = run.settings["train"]
    assert (trained["epochs"], trained["augment"]) == (5, 0.45)  # √5 / 5
    assert [line for line in said if "of strength 0.45 for 5 epochs" in line]


def test_the_model_that_is_measured_does_not_learn(tmp_path, clock):
    from minivit.data import load

    dataset = load(tiny.write_data(tmp_path, 100))
    model = ViT(ViTConfig(image_size=dataset.train.images.shape[2:], patch_size=2, depth=1, patch_dropout=0.5))
    before = model.params.copy()
    config = TrainConfig(minutes=1, batch_size=20, patch_dropout_until=0.5)
    _, line = pace.within_minutes(config, model, dataset.train, dataset.test)
    assert model.params == before
    assert line.startswith("a step takes 375 ms")  # half of them with patch dropout


def test_what_does_not_fit_is_refused_in_one_line(tmp_path, clock, capsys):
    data = tiny.write_data(tmp_path, 100)
    with pytest.raises(ConfigError, match="which is more than --minutes 0.001: give it more, or fewer images"):
        start_run(data, str(tmp_path / "run"), {"depth": 1}, TrainConfig(minutes=0.001))
    assert main(["train", "--data", data, "--minutes", "1", "--epochs", "2", "--out", str(tmp_path / "run")]) == 2
    assert "leave out --epochs, or --minutes" in capsys.readouterr().err
    assert main(["train", "--data", data, "--minutes", "1", "--images-seen", "9", "--epochs", "auto"]) == 2
    assert "leave out --images-seen, or --minutes" in capsys.readouterr().err
    for beside in (["--epochs", "2"], ["--recipe", "quick"]):
        assert main(["train", "--data", data, "--images-seen", "9", *beside]) == 2
        assert "leave it out, or say --epochs auto" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="minutes must be positive"):
        TrainConfig(minutes=0)
    with pytest.raises(ConfigError, match="give epochs instead"):
        start_run(data, str(tmp_path / "run"), {"depth": 1}, TrainConfig(minutes=1, freeze="all", augment=None))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("flags", [("--minutes", "off", "--epochs", "5"), ("--minutes", "0.2", "--epochs", "auto")])
def test_what_is_off_or_automatic_contradicts_nothing(tmp_path, clock, flags):
    data, folder = tiny.write_data(tmp_path, 100), tmp_path / "run"
    more = ("--batch-size", "20", "--validation", "20", "--depth", "1", "--dim", "8", "--heads", "2", "--threads", "1")
    assert main(["train", "--data", data, "--out", str(folder), *more, *flags]) == 0
    assert json.loads((folder / "config.json").read_text())["train"]["epochs"] == 5


def test_there_are_never_more_epochs_than_an_automatic_number_has(tmp_path, clock):
    data, said = tiny.write_data(tmp_path, 20), []
    config = TrainConfig(minutes=100, batch_size=20, validation=0, augment=None, threads=1)
    start_run(data, str(tmp_path / "run"), {"depth": 1, "dim": 8, "heads": 2, "mlp_dim": 8}, config, say=said.append)
    assert "an epoch of 1 step 0.5 s: 500 epochs in 100 minutes, at most 500" in " ".join(said)


def test_a_measured_step_that_is_not_finite_is_explained(tmp_path):
    data = tiny.write_data(tmp_path, 100)
    config = TrainConfig(minutes=1, batch_size=20, learning_rate=1e30, muon=1e-3, threads=1)
    with pytest.raises(TrainingError, match="_forward.*start again with a lower --muon and --learning-rate or a"):
        start_run(data, str(tmp_path / "run"), {"depth": 1}, config)
    assert not (tmp_path / "run").exists()


def test_a_run_of_so_many_minutes_is_resumed_with_its_own_flags(tmp_path, clock):
    data, folder = tiny.write_data(tmp_path, 100), tmp_path / "run"
    flags = ["--minutes", "0.2", "--epochs", "auto", "--validation", "20", "--batch-size", "20", "--threads", "1"]
    assert main(["train", "--data", data, "--out", str(folder), *flags, *tiny.flags()]) == 0
    assert main(["train", "--resume", str(folder), *flags]) == 0
    assert main(["train", "--resume", str(folder), *flags, "--epochs", "4"]) == 2
