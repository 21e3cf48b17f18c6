"""benchmarks.accuracy: the twin in PyTorch has the same losses, whatever the settings."""

import subprocess

import pytest

from benchmarks import accuracy
from benchmarks.harness import SLOWING
from minivit.data import load
from minivit.run import start_run
from minivit.train import TrainConfig
from tests.reference import libraries  # noqa: F401
from tests.tools import tiny

pytestmark = pytest.mark.reference
SMALL = dict(depth=2, dim=8, heads=2, mlp_dim=12)
EVERY = dict(dropout=0.1, patch_dropout=0.4, attention_dropout=0.1, drop_path=0.2)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    for name in SLOWING:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "model, train",
    [
        ({}, {}),
        ({}, dict(muon=1e-3, ema=0.99, beta1=0.95)),
        (EVERY, dict(muon=1e-3, patch_dropout_until=0.5, mixup=0.2)),
    ],
)
def test_the_losses_are_the_same(tmp_path, capsys, monkeypatch, model, train):
    data = tiny.write_data(tmp_path, 100)
    config = TrainConfig(epochs=5, batch_size=20, learning_rate=1e-3, **train)
    run = start_run(data, str(tmp_path / "run"), {**SMALL, **model}, config)
    both = accuracy.twins(*accuracy.settings_of(run), load(data).split(config.validation)[0], 22)
    kinds = ["matmul"] if model else ["matmul", "SDPA"]
    assert list(both.peers) == list(both.peer_losses) == kinds
    assert [len(losses) for losses in (both.losses, *both.peer_losses.values())] == [20] * (1 + len(kinds))
    assert both.torch == [min(times) for times in zip(*both.peers.values())]  # the faster one
    assert both.difference < 2e-5
    assert both.losses[0] != both.losses[-1]
    monkeypatch.setattr("sys.argv", ["accuracy", str(run.folder), "--steps", "4", "--plot", str(tmp_path / "a.png")])
    assert accuracy.main() == 0
    said = capsys.readouterr().out
    assert "| 98 %" in said and "4 steps on both sides: the losses differ by" in said
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("train", [dict(batch_size=500), dict(batch_size=8, patience=1)])
def test_operations_and_images_are_those_of_the_run(tmp_path, train):
    """Also where a batch is larger than the data, and where the run ended before its last epoch."""
    data = tiny.write_data(tmp_path, 60)
    config = TrainConfig(epochs=9, learning_rate=1e-9, patch_dropout_until=0.5, **train)
    run = start_run(data, str(tmp_path / "run"), {**SMALL, "patch_dropout": 0.5}, config)
    found = accuracy.curve(run, *accuracy.settings_of(run), 54)
    assert found.operations[-1] == run.result["operations"]
    assert found.images[-1] == found.steps[-1] * min(config.batch_size, 54)
    assert (len(found.steps) < 9) == ("patience" in train)


@pytest.mark.parametrize(
    "flags, train, error",
    [
        ([], dict(layer_decay=0.5), "had --layer-decay"),
        ([], dict(validation=0), "held no images out for validation"),
        (["--steps", "0"], {}, "must be at least 1, not 0"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(tmp_path, capsys, monkeypatch, flags, train, error):
    data = tiny.write_data(tmp_path, 60)
    start_run(data, str(tmp_path / "run"), SMALL, TrainConfig(epochs=1, **train))
    monkeypatch.setattr("sys.argv", ["accuracy", str(tmp_path / "run"), *flags])
    with pytest.raises(SystemExit):
        accuracy.main()
    assert error in capsys.readouterr().err


def test_what_is_no_run_is_refused_in_one_line(tmp_path, capsys, monkeypatch):
    for place in (tmp_path, tmp_path / "nothing"):
        monkeypatch.setattr("sys.argv", ["accuracy", str(place)])
        with pytest.raises(SystemExit):
            accuracy.main()
        assert f"error: {place}" in capsys.readouterr().err


def test_only_a_training_from_the_start_has_a_twin(tmp_path, capsys, monkeypatch):
    data = tiny.write_data(tmp_path, 100)
    first = start_run(data, str(tmp_path / "first"), SMALL, TrainConfig(epochs=1, batch_size=20))
    config = TrainConfig(epochs=1, batch_size=20, freeze=1)
    start_run(data, str(tmp_path / "second"), {}, config, init=str(first.folder))
    monkeypatch.setattr("sys.argv", ["accuracy", str(tmp_path / "second")])
    with pytest.raises(SystemExit):
        accuracy.main()
    assert "is not a training from the start: it had --init or --freeze" in capsys.readouterr().err


def test_what_slows_numpy_is_not_in_the_environment_of_what_is_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "nothing that OpenBLAS knows")
    monkeypatch.setattr("sys.argv", ["accuracy", str(tmp_path / "none")])
    started = []

    def run(command, env):
        started.append((command[1:], set(SLOWING) & set(env)))
        return subprocess.CompletedProcess(command, 7)

    monkeypatch.setattr(accuracy.subprocess, "run", run)
    assert accuracy.main() == 7
    assert started == [(["-m", "benchmarks.accuracy", str(tmp_path / "none")], set())]
