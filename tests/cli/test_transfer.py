"""`minivit train --init MODEL`, with the recipes `probe` and `finetune`, as commands."""

import json

import pytest

from minivit.cli import main
from minivit.run import load_run
from minivit.vit import ViT
from tests.tools import tiny


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIVIT_DATA", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path):
    return tiny.write_data(tmp_path / "data", classes=5)


@pytest.fixture
def init(tmp_path):
    path = tmp_path / "model.safetensors"
    ViT(tiny.config(), seed=4).save(path)
    return str(path)


def train(*flags):
    return main(["train", "--epochs", "3", "--threads", "1", *map(str, flags)])


def test_probe(data, init, tmp_path, capsys):
    for _ in range(2):
        assert train("--data", data, "--init", init, "--recipe", "probe", "--out", tmp_path / "run", "--overwrite") == 0
    out = capsys.readouterr().out
    assert out.count("the embeddings of 60 images are computed once") == 1
    assert out.count("the embeddings of 60 images were computed before") == 1
    assert out.count(f"starts from {init}, with a new head of zeros for 5 classes") == 2
    assert "of which 45 learn" in out and "the model is that of epoch " in out
    run = load_run(tmp_path / "run")
    assert run.settings["train"]["freeze"] == "all" and run.settings["init"] == init
    before = ViT.load(init).params
    assert all(run.model.params[name].tobytes() == before[name].tobytes() for name in before if "head" not in name)


def test_finetune(data, init, tmp_path, capsys):
    assert train("--data", data, "--init", init, "--recipe", "finetune", "--out", tmp_path / "run") == 0
    out = capsys.readouterr().out
    assert "computed once" not in out and " learn" not in out and "the model is that of epoch " in out
    settings = json.loads((tmp_path / "run" / "config.json").read_text())["train"]
    assert settings["layer_decay"] == 0.75 and settings["epochs"] == 3 and settings["learning_rate"] == 5e-5


@pytest.mark.parametrize("recipe", ["probe", "finetune"])
def test_without_a_model_to_start_from_they_are_refused(recipe, data, tmp_path, capsys):
    assert train("--data", data, "--recipe", recipe, "--out", tmp_path / "run") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"--recipe {recipe} starts from a trained model: say which with --init PATH")


@pytest.mark.parametrize("freeze, status", [("3", 2), ("0", 2), ("2", 0), ("off", 0)])
def test_how_many_blocks_can_be_frozen(freeze, status, data, init, tmp_path, capsys):
    flags = ("--data", data, "--init", init, "--freeze", freeze, "--out", tmp_path / "run")
    assert train(*flags) == status
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == (status > 0) and all("freeze" in line for line in errors)
    assert (tmp_path / "run").exists() == (not status)
