"""`--init`: the weights of a run as the beginning of another."""

import dataclasses
import json
import shutil
import signal

import numpy as np
import pytest

from minivit.cli import main
from minivit.data import load_split
from minivit.data.idx import write_idx
from minivit.errors import ConfigError
from minivit.preprocess import resized_image
from minivit.run import Interrupted, evaluation_split, load_run, overlap, resume_run, start_run
from minivit.train import TrainConfig
from minivit.vit import ViT
from tests.tools import runs, tiny

ONE_STEP = TrainConfig(epochs=1, batch_size=60, threads=1, learning_rate=1e-30, validation=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def first(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    start_run(data, str(folder), tiny.MODEL, TrainConfig(epochs=3, batch_size=18, threads=1))
    return folder


def test_training_starts_from_the_weights_of_the_run(data, first, tmp_path):
    """A step so small that it moves nothing leaves them as they were; a start without them is elsewhere."""
    run = start_run(data, str(tmp_path / "second"), {}, ONE_STEP, init=str(first))
    expected = load_run(first).model
    np.testing.assert_allclose(run.model.params.flat, expected.params.flat, rtol=0, atol=1e-6)
    assert run.model.config == expected.config and run.model.preprocessing == expected.preprocessing
    other = start_run(data, str(tmp_path / "third"), tiny.MODEL, ONE_STEP)
    assert abs(other.model.params.flat - expected.params.flat).max() > 0.001


def test_the_dropouts_may_change(data, first, tmp_path):
    run = start_run(data, str(tmp_path / "run"), {"dropout": 0.25, "patch_dropout": 0.5}, ONE_STEP, init=str(first))
    assert (run.model.config.dropout, run.model.config.patch_dropout) == (0.25, 0.5)
    again = start_run(data, str(tmp_path / "again"), {}, ONE_STEP, init=str(run.folder))
    assert (again.model.config.dropout, again.model.config.patch_dropout) == (0.25, 0.0), "all patches unless asked"
    assert json.loads((tmp_path / "run" / "config.json").read_text())["init"] == str(first)


def test_the_schedule_is_its_own(data, first, tmp_path):
    config = TrainConfig(epochs=2, batch_size=30, threads=1, learning_rate=0.002, warmup_fraction=0.0)
    start_run(data, str(tmp_path / "run"), {}, config, init=str(first))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["step"] == 1 and lines[0]["learning_rate"] == 0.002


def test_a_run_from_another_is_resumed_to_the_same_bytes(data, first, tmp_path, monkeypatch):
    config = TrainConfig(epochs=3, batch_size=30, threads=1)
    whole = start_run(data, str(tmp_path / "whole"), {}, config, init=str(first))

    def stop(line):
        if line.startswith("epoch 1/3"):
            raise BrokenPipeError

    with pytest.raises(Interrupted, match="stopped after step 1 of 3"):
        start_run(data, str(tmp_path / "run"), {}, config, init=str(first), say=stop)
    begun = shutil.copytree(tmp_path / "run", tmp_path / "begun")
    for name in ("state.safetensors", "metrics.jsonl"):  # as if it was killed before they were there
        (begun / name).unlink()
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path / "run", begun):
        resume_run(str(folder))
        assert (folder / "model.safetensors").read_bytes() == (whole.folder / "model.safetensors").read_bytes()


def test_a_relative_path_means_the_same_from_elsewhere(data, first, tmp_path, monkeypatch):
    monkeypatch.chdir(first.parent)
    monkeypatch.setattr("minivit.run.start.train_in", lambda folder, settings, *arguments, **more: settings["init"])
    assert start_run(data, str(tmp_path / "run"), {}, ONE_STEP, init=first.name) == str(first)
    assert start_run("mnist5k", str(tmp_path / "run"), {}, ONE_STEP, init="pretrained") == "pretrained"


def test_what_does_not_fit_is_named(data, first, tmp_path):
    with pytest.raises(ConfigError, match="the model settings do not fit .* has another shape there"):
        start_run(data, str(tmp_path / "run"), {"dim": 16}, ONE_STEP, init=str(first))
    four = tiny.write_data(tmp_path / "four", shape=(4, 8, 8))
    with pytest.raises(ConfigError, match=r"reads images of \(1, 8, 8\).*, the data have \(4, 8, 8\): choose another"):
        start_run(four, str(tmp_path / "run"), {}, ONE_STEP, init=str(first))
    assert not (tmp_path / "run").exists()


# A new head, another size


def more_classes(folder, shape=(1, 8, 8)):
    return tiny.write_data(folder, shape=shape, classes=5)


@pytest.mark.parametrize("head_hidden", [None, 6])
def test_other_classes_get_a_new_head_of_zeros(head_hidden, data, first, tmp_path):
    said, settings = [], {} if head_hidden is None else {"head_hidden": head_hidden}
    other = more_classes(tmp_path / "other")
    run = start_run(other, str(tmp_path / "run"), settings, ONE_STEP, init=str(first), say=said.append)
    assert said[1] == f"starts from {first}, with a new head of zeros for 5 classes"
    before, after = load_run(first).model.params, run.model.params
    last = "head.weight" if head_hidden is None else "head.fc2.weight"
    assert after[last].shape[1] == 5 and abs(after[last]).max() < 1e-6
    for name in set(before) - {"head.weight", "head.bias"}:
        np.testing.assert_allclose(after[name], before[name], rtol=0, atol=1e-6)
    assert run.result["test_loss"] == pytest.approx(np.log(5), rel=1e-5)


def test_the_same_classes_under_other_names_get_a_new_head_too(data, first, tmp_path):
    """Labels 3, 4 and 7 are not the classes 0, 1 and 2."""
    folder = shutil.copytree(data, tmp_path / "other")
    for part, count in (("train", 60), ("t10k", 20)):
        labels = np.array([3, 4, 7], "uint8")[tiny.images(count)[1]]
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels)
    said = []
    run = start_run(str(folder), str(tmp_path / "run"), {}, ONE_STEP, init=str(first), say=said.append)
    assert "a new head of zeros for 3 classes" in said[1] and run.model.config.class_names == ("3", "4", "7")
    again = start_run(str(folder), str(tmp_path / "again"), {}, ONE_STEP, init=str(run.folder), say=said.append)
    assert f"starts from {run.folder}" in said
    np.testing.assert_allclose(again.model.params.flat, run.model.params.flat, rtol=0, atol=1e-6)


@pytest.mark.parametrize("settings", [{"classes": None}, {"classes": 3, "embedding": True}])
def test_a_model_without_classes_gets_a_head(settings, data, tmp_path):
    ViT(dataclasses.replace(tiny.config(), **settings)).save(tmp_path / "model.safetensors")
    said = []
    path = str(tmp_path / "model.safetensors")
    run = start_run(data, str(tmp_path / "run"), {}, ONE_STEP, init=path, say=said.append)
    assert said[1] == f"starts from {path}, with a new head of zeros for 3 classes"
    assert run.model.config.predicts and run.model.config.classes == 3


def test_another_size_has_its_positions_resized(data, first, tmp_path):
    small = tiny.write_data(tmp_path / "small", shape=(1, 12, 8))
    run = start_run(small, str(tmp_path / "run"), {}, ONE_STEP, init=str(first), image_size=(12, 8))
    expected = ViT.load(first / "model.safetensors", image_size=(12, 8))
    np.testing.assert_allclose(run.model.params.flat, expected.params.flat, rtol=0, atol=1e-6)
    assert run.model.config == expected.config and run.model.preprocessing.size == (12, 8)


@pytest.mark.parametrize("settings", [{}, {"freeze": "all", "augmentation": "none"}])
def test_images_of_another_size_are_resized_for_the_model(settings, first, tmp_path, at_step, monkeypatch):
    """And the run is resumed to the same bytes, and evaluated on them, as any other."""
    monkeypatch.setenv("MINIVIT_DATA", str(tmp_path / "cache"))
    data = tiny.write_data(tmp_path / "data", shape=(3, 12, 9), classes=5)
    config = TrainConfig(epochs=3, batch_size=18, threads=1, learning_rate=0.01, **settings)
    said = []
    whole = start_run(data, str(tmp_path / "whole"), {}, config, init=str(first), say=said.append)
    line = "the images of 12 x 9 are resized to 8 x 8 (height x width), and from colour to grey"
    assert said[0] == f"note: {line}"
    assert whole.model.config.image_shape == (1, 8, 8) and whole.model.preprocessing.pillow is not None
    made = whole.model.preprocessing
    expected = [resized_image(image, 1, made) for image in load_split(data, "test").images]
    split = evaluation_split(whole, data, "test")
    np.testing.assert_array_equal(np.asarray(split.images), expected)
    accuracy = (whole.model.predict(np.asarray(split.images)).argmax(1) == split.labels).mean()
    assert accuracy == whole.result["test_accuracy"] and overlap(whole, split) == 0
    at_step(4, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(Interrupted):
        start_run(data, str(tmp_path / "run"), {}, config, init=str(first))
    resume_run(tmp_path / "run")
    assert runs.same_model(tmp_path / "run", whole.folder)


@pytest.mark.parametrize(
    "settings",
    [
        {"freeze": 1},
        {"freeze": "all", "patience": 2},
        {"layer_decay": 0.6, "ema": 0.9},
        {"freeze": 1, "layer_decay": 0.6, "ema": 0.9, "patience": 2},
    ],
)
def test_transfer_is_resumed_to_the_same_bytes(settings, first, tmp_path, at_step):
    """Also when it was killed before its first state was there: then the model is made anew."""
    data = tiny.write_data(tmp_path / "data", shape=(1, 12, 8), classes=5)
    config = TrainConfig(epochs=3, batch_size=18, threads=1, learning_rate=0.01, **settings)

    def start(name):
        return start_run(data, str(tmp_path / name), {"dropout": 0.1}, config, init=str(first), image_size=(12, 8))

    whole = start("whole")
    for name, step in (("begun", 1), ("run", 4)):
        at_step(step, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(Interrupted):
            start(name)
    for name in ("state.safetensors", "metrics.jsonl"):
        (tmp_path / "begun" / name).unlink()
    for name in ("begun", "run"):
        resume_run(tmp_path / name)
        assert runs.same_model(tmp_path / name, whole.folder)
        assert runs.steps_of(tmp_path / name) == runs.steps_of(whole.folder)


def test_what_learns_is_said(data, first, tmp_path):
    said = []
    config = TrainConfig(**{**ONE_STEP.to_dict(), "freeze": "all"})
    run = start_run(data, str(tmp_path / "run"), {}, config, init=str(first), say=said.append)
    assert f"{run.model.params.flat.size} parameters, of which 27 learn, 1 epoch of" in said[0]  # 8 features, 3 classes
    before = load_run(first).model.params
    assert all(run.model.params[name].tobytes() == before[name].tobytes() for name in before if "head" not in name)


def test_random_weights_that_are_frozen_are_worth_a_note(data, tmp_path):
    said, config = [], TrainConfig(**{**ONE_STEP.to_dict(), "freeze": 1})
    start_run(data, str(tmp_path / "run"), tiny.MODEL, config, say=said.append)
    assert "note: what is frozen has random weights: --init starts from a trained model" in said


@pytest.mark.parametrize("recipe", ["quick", "standard", "best"])
def test_a_recipe_leaves_the_architecture_as_it_is(data, first, tmp_path, recipe):
    more = ["--epochs", "1", "--validation", "20", "--threads", "1", "--tta", "off", "--out", str(tmp_path / "run")]
    assert main(["train", "--data", data, "--init", str(first), "--recipe", recipe, *more]) == 0
    config, before = load_run(tmp_path / "run").model.config, load_run(first).model.config
    assert config == dataclasses.replace(before, patch_dropout=0.25)


def test_what_says_how_pixels_are_normalised_is_refused_where_that_is_known(data, first, tmp_path):
    for init in (None, str(first)):
        with pytest.raises(ConfigError, match="another library that tells no normalisation: leave it out"):
            start_run(data, str(tmp_path / "run"), {}, ONE_STEP, init=init, pixels="half")
    with pytest.raises(ConfigError, match="--init is empty"):
        start_run(data, str(tmp_path / "run"), {}, ONE_STEP, init="")


@pytest.mark.parametrize("freeze, said_so", [(None, False), (1, True)])
def test_patch_dropout_beside_frozen_layers_is_worth_a_note(data, first, tmp_path, freeze, said_so):
    said, config = [], TrainConfig(**{**ONE_STEP.to_dict(), "freeze": freeze})
    start_run(data, str(tmp_path / "run"), {"patch_dropout": 0.5}, config, init=str(first), say=said.append)
    assert any(line.startswith("note: no patch is left out") for line in said) == said_so


def test_a_model_in_float64_is_trained_in_float32(data, tmp_path):
    model = ViT(tiny.config(), dtype="float64")
    model.save(tmp_path / "model.safetensors")
    run = start_run(data, str(tmp_path / "run"), {}, ONE_STEP, init=str(tmp_path / "model.safetensors"))
    assert run.model.dtype == "float32"
    np.testing.assert_allclose(run.model.params.flat, model.params.flat, rtol=0, atol=1e-6)


def test_a_class_with_over_ten_times_as_many_images_is_named(tmp_path):
    said, config = [], TrainConfig(epochs=1, batch_size=60, threads=1, validation=0)
    images, _ = tiny.images(60)
    for rare, folder in ((5, tmp_path / "ten"), (4, tmp_path / "more")):
        data = tiny.write_data(folder)
        write_idx(folder / "train-labels-idx1-ubyte", np.repeat([0, 1, 2], [50, 60 - 50 - rare, rare]).astype("uint8"))
        start_run(data, str(tmp_path / f"run{rare}"), tiny.MODEL, config, say=said.append)
    found = [line for line in said if "training images are of class" in line]
    assert found == [
        "note: 50 training images are of class 0 and 4 of class 2: the accuracy says little of rare classes; "
        "minivit eval shows it for each"
    ]
