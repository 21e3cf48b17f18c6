"""A run on a folder of pictures: what it chooses, what it writes down, and that it is read the same way ever after."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from minivit.cli import main
from minivit.data import DataError, load
from minivit.errors import ConfigError
from minivit.run import evaluation_split, load_run, overlap, resume_run, start_run
from minivit.run.settings import config_for, patch_for
from minivit.train import RECIPES, TrainConfig, recipe_called
from tests.tools import tiny
from tests.tools.shapes import SHAPES, write_shapes

MODEL = {"dim": 8, "depth": 1, "heads": 2, "mlp_dim": 8}
SHORT = {"epochs": 2, "batch_size": 24, "threads": 1, "keep_memory": False}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("MINIVIT_DATA", str(tmp_path_factory.getbasetemp() / "pictures"))


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return str(write_shapes(tmp_path_factory.mktemp("shapes") / "shapes", count=10, side=32))


def train(data, out, lines=None, config=None, **more):
    say = (lambda line: None) if lines is None else lines.append
    return start_run(data, str(out), MODEL, TrainConfig(**{**SHORT, **(config or {})}), say=say, **more)


@pytest.mark.parametrize(
    "size, side",
    [
        ((28, 28), 4),
        ((64, 64), 8),
        ((56, 56), 8),
        ((32, 32), 4),
        ((224, 224), 32),
        ((48, 96), 8),
        ((8, 8), 1),
        ((5, 5), 1),
        ((22, 23), 1),
    ],
)
def test_patches(size, side):
    """The longest side that divides height and width and leaves at least 49 patches."""
    assert patch_for(*size) == side


@pytest.mark.parametrize(
    "shape, settings, side",
    [
        ((1, 28, 28), {}, 7),  # MNIST's
        ((3, 28, 28), {}, 4),
        ((1, 64, 64), {}, 8),
        ((1, 28, 28), RECIPES["best"].model, 4),
        ((1, 64, 64), RECIPES["best"].model, 8),
        ((3, 224, 224), RECIPES["best"].model, 32),
        ((1, 28, 28), {"patch_size": 14}, 14),
    ],
)
def test_the_images_decide_the_patches_unless_they_are_set(shape, settings, side):
    config = config_for(np.zeros((2, *shape), np.uint8), 3, settings)
    assert config.patch_size == side


def test_a_model_to_start_from_has_its_patches():
    assert "patch_size" in RECIPES["best"].model
    assert recipe_called("best", has_model=True).model == {"patch_dropout": 0.25}


def test_a_size_that_only_tiny_patches_divide_is_refused(shapes, tmp_path):
    with pytest.raises(ConfigError, match=r"53 x 53 pixels divide into 2809 patches of 1 x 1 only: .*\(56 for 53\)"):
        train(shapes, tmp_path / "run", image_size=53)
    assert not (tmp_path / "run").exists()


def test_eval_may_skip_what_cannot_be_read(shapes, tmp_path, capsys):
    run = train(shapes, tmp_path / "run")
    root = shutil.copytree(shapes, tmp_path / "messy")
    (root / SHAPES[0] / "broken.png").write_bytes(b"none")
    evaluation = ["eval", str(run.folder), "--data", str(root), "--threads", "1"]
    assert main(evaluation) == 2
    assert "or pass --skip-unreadable" in capsys.readouterr().err
    assert main([*evaluation, "--skip-unreadable"]) == 0
    assert main([*evaluation, "--skip-unreadable", "--knn", "3"]) == 0
    assert "messy test: accuracy" in capsys.readouterr().out


def test_the_cache_is_not_cleared_for_one_data_set(shapes, capsys):
    load(shapes)
    assert main(["data", shapes, "--clear"]) == 2
    assert f"all data sets' pictures in it: leave out {shapes}" in capsys.readouterr().err


def test_what_is_chosen_is_said_and_recorded(shapes, tmp_path):
    lines = []
    run = train(shapes, tmp_path / "run", lines)
    assert run.model.config.image_shape == (3, 32, 32) and run.model.config.patch_size == 4
    assert run.model.config.class_names == tuple(sorted(SHAPES))
    assert "colour 32 x 32 in 64 patches of 4 x 4" in next(line for line in lines if line.startswith("run "))
    assert any(line.startswith("note: decoded pictures are kept in ") for line in lines)
    made = run.model.preprocessing
    assert (made.rule, made.size) == ("crop", (32, 32)) and made.pillow == Image.__version__
    assert run.settings["preprocessing"] == made.to_dict() and "skip_unreadable" not in run.settings
    assert run.result["test_total"] == 10 and load_run(run.folder).model.preprocessing == made


def test_another_size(shapes, tmp_path):
    run = train(shapes, tmp_path / "run", image_size=(14, 28))
    assert run.model.config.image_shape == (3, 14, 28) and run.model.config.patch_size == 2
    lines = []
    run = train(tiny.write_data(tmp_path / "digits"), tmp_path / "other", lines, image_size=16)
    assert lines[0] == "note: the images of 8 x 8 are resized to 16 x 16 (height x width)"
    assert run.model.config.image_shape == (1, 16, 16) and run.model.preprocessing.size == (16, 16)


def test_it_is_evaluated_as_it_was_trained(shapes, tmp_path):
    run = train(shapes, tmp_path / "run")
    data = load(shapes)
    for part, expected in (("test", data.test), ("valid", data.split()[1]), ("train", data.split()[0])):
        split = evaluation_split(run, shapes, part)
        np.testing.assert_array_equal(np.asarray(split.images), np.asarray(expected.images))
        assert split.labels.tolist() == expected.labels.tolist()
        assert overlap(run, split) == (len(split.labels) if part == "train" else 0)


def test_other_folders_are_evaluated_by_the_names_of_their_classes(shapes, tmp_path):
    run = train(shapes, tmp_path / "run")
    some = tmp_path / "some"
    for name in ("ring", "cross"):
        shutil.copytree(f"{shapes}/{name}", some / "train" / name)
        shutil.copytree(f"{shapes}/{name}", some / "test" / name)
    found = evaluation_split(run, str(some), "test")
    assert sorted(set(found.labels.tolist())) == [sorted(SHAPES).index(name) for name in ("cross", "ring")]
    (some / "train" / "ring").rename(some / "train" / "wheel")
    (some / "test" / "ring").rename(some / "test" / "wheel")
    with pytest.raises(DataError, match="the data hold the label wheel, which is no class of this model"):
        evaluation_split(run, str(some), "test")


def test_the_same_pictures_as_idx_files_and_as_a_folder_give_the_same_bytes(tmp_path):
    folder = tiny.write_data(tmp_path / "digits", train=90, test=24, shape=(1, 28, 28))
    data = load(folder)
    for part, split in (("train", data.train), ("test", data.test)):
        for number, (image, label) in enumerate(zip(split.images, split.labels)):
            place = tmp_path / "png" / part / str(label)
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0]).save(place / f"{number:03}.png")
    runs = [train(name, tmp_path / out) for name, out in ((folder, "a"), (str(tmp_path / "png"), "b"))]
    assert runs[0].model.params.flat.tobytes() == runs[1].model.params.flat.tobytes()
    assert runs[0].result["test_loss"] == runs[1].result["test_loss"]
    assert runs[1].model.config.patch_size == 7 and runs[1].model.config.class_names is None


def test_a_run_with_unreadable_pictures_is_resumed(shapes, tmp_path, at_step):
    root = shutil.copytree(shapes, tmp_path / "shapes")
    (root / "disc" / "0003.png").write_bytes(b"damaged")
    with pytest.raises(DataError, match="1 of the 100 pictures .* cannot be read"):
        train(str(root), tmp_path / "run")
    whole = train(str(root), tmp_path / "whole", skip_unreadable=True)
    assert whole.settings["skip_unreadable"] is True

    def stop():
        raise KeyboardInterrupt

    at_step(4, stop)
    with pytest.raises(BaseException, match="what was saved before is kept"):
        train(str(root), tmp_path / "run", skip_unreadable=True)
    assert (tmp_path / "run" / "state.safetensors").exists()
    resumed = resume_run(tmp_path / "run")
    assert (resumed.folder / "model.safetensors").read_bytes() == (whole.folder / "model.safetensors").read_bytes()


def test_a_picture_that_has_changed_is_noticed_when_a_run_is_resumed(shapes, tmp_path, at_step):
    root = shutil.copytree(shapes, tmp_path / "shapes")

    def stop():
        raise KeyboardInterrupt

    at_step(4, stop)
    with pytest.raises(BaseException, match="what was saved before is kept"):
        train(str(root), tmp_path / "run")
    Image.new("RGB", (32, 32)).save(root / "disc" / "0003.png")
    with pytest.raises(Exception, match="are not those it was started with"):
        resume_run(tmp_path / "run")


def test_a_long_training_is_said_first(shapes, tmp_path, monkeypatch):
    monkeypatch.setattr("minivit.run.display.LONG", 0.0)
    lines = []
    train(shapes, tmp_path / "run", lines, {"epochs": 3})
    (note,) = [line for line in lines if "will take about" in line]
    assert note.endswith("minutes; a run with fewer --epochs takes less")
    assert lines.index(note) < next(k for k, line in enumerate(lines) if line.startswith("epoch 2/3"))


def test_commands(shapes, tmp_path, capsys):
    flags = [*tiny.flags(epochs=1, batch_size=24), "--patch-size", "8"]
    out = str(tmp_path / "run")
    assert main(["train", "--data", shapes, "--out", out, "--image-size", "16", *flags]) == 0
    assert main(["eval", out]) == 0
    printed = capsys.readouterr().out
    assert "colour 16 x 16 in 4 patches of 8 x 8" in printed and "two discs" in printed
    assert json.loads((tmp_path / "run" / "config.json").read_text())["model"]["image_size"] == 16
    assert main(["data", shapes]) == 0
    assert capsys.readouterr().out.startswith("shapes: 10 classes, 100 pictures\nclass")
    assert main(["data", tiny.write_data(tmp_path / "digits")]) == 0
    assert "digits: 3 classes, 54 images to learn from, 6 for validation, 20 to test with" in capsys.readouterr().out
    assert main(["data", "--clear"]) == 0
    assert " MB of decoded pictures removed from " in capsys.readouterr().out
    assert (
        main(["data", "--clear", "--mirror", "x"]) == 2 and "--clear has no use for --mirror" in capsys.readouterr().err
    )
    assert main(["train", "--data", shapes, "--overfit-batch", *flags]) in (0, 1)
    assert "step 1: loss" in capsys.readouterr().out
