"""predict, embed and eval for pictures in folders, and by the nearest neighbours."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from minivit import ViT
from minivit.cli import main
from minivit.data import Reading, load, resized_line
from minivit.pictures import read_features
from minivit.preprocess import Preprocessing
from tests.tools import tiny
from tests.weights import synthetic

Image = pytest.importorskip("PIL.Image", reason="pictures need pillow")
NAMES = ("cat", "dog", "eel")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model that tells three patterns apart, trained for a moment; its pictures are squashed to 8 x 8."""
    folder = tmp_path_factory.mktemp("model")
    data = tiny.write_data(folder / "data")
    run = folder / "run"
    flags = tiny.flags(epochs=60, batch_size=18, learning_rate=0.01, augment=0)
    assert main(["train", "--data", data, "--out", str(run), *flags]) == 0
    trained = ViT.load(run / "model.safetensors")
    config = type(trained.config).from_dict({**trained.config.to_dict(), "class_names": NAMES})
    made = Preprocessing("squash", "dark", (8, 8), pillow="9.9.9")
    ViT(config, params=trained.params, preprocessing=made).save(folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """70 pictures in a folder for each class."""
    folder = tmp_path_factory.mktemp("photos")
    for i, (image, label) in enumerate(zip(*tiny.images(70, seed=3))):
        path = folder / NAMES[label] / f"{i:03}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image[0]).save(path)
    return folder


def ran(capsys, *arguments, status=0):
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == status
    return capsys.readouterr()


def test_a_folder_is_predicted_in_chunks(model, photos, capsys):
    """And another Pillow than that of the training is said, once."""
    out, errors = ran(capsys, "predict", model / "model.safetensors", photos)
    lines = out.splitlines()
    assert len(lines) == 70 and lines == sorted(lines)
    right = sum(Path(path).parent.name == best for path, best in re.findall(r"(.*): (\w+) \(", out))
    assert right > 60 and re.search(r"000.png: cat \(\d+\.\d %\), then \w+ \(\d+\.\d %\), \w+ \(", out)
    assert (
        errors.startswith("note: the model was trained on pictures that Pillow 9.9.9 made") and errors.count("\n") == 1
    )


def test_json_is_a_line_for_each_picture(model, photos, tmp_path, capsys):
    (tmp_path / "damaged.png").write_bytes(b"no picture")
    first = photos / "dog" / "001.png"
    paths = [first, tmp_path / "damaged.png", photos / "eel"]
    out, errors = ran(capsys, "predict", model / "model.safetensors", *paths, "--json", status=2)
    rows = [json.loads(line) for line in out.splitlines()]
    assert rows[0]["picture"] == str(first) and rows[0]["class"] == "dog" and len(rows) == 1 + 23
    assert list(rows[0]["best"])[0] == "dog" and sum(rows[0]["best"].values()) == pytest.approx(1)
    assert "cannot read" in errors and "damaged.png" in errors


def test_features_are_written_with_their_names(model, photos, tmp_path, capsys):
    out, _ = ran(capsys, "embed", model / "model.safetensors", photos, "--out", tmp_path / "f.npz")
    assert out == f"70 pictures of 3 classes, 8 features each, are in {tmp_path / 'f.npz'}\n"
    found = read_features(tmp_path / "f.npz")
    assert found.features.shape == (70, 8) and found.class_names.tolist() == list(NAMES)
    assert found.names[0] == str(photos / "cat" / "000.png")
    assert [NAMES[label] for label in found.labels] == [name.split("/")[-2] for name in found.names]
    loaded = ViT.load(model / "model.safetensors")
    pixels = np.asarray(Image.open(found.names[5]))[np.newaxis, np.newaxis]
    np.testing.assert_allclose(found.features[5], loaded.embed(pixels)[0], atol=1e-5)


@pytest.mark.parametrize("form", ["npz", "idx"])
def test_features_of_a_data_set(form, model, tmp_path, capsys):
    """Its labels are known; its images are resized for the model as pictures are."""
    (images, labels), (more, others) = tiny.images(30, seed=1), tiny.images(12, seed=2)
    path, size = tmp_path / "a.npz", 8
    if form == "npz":
        np.savez(path, x_train=images[:, 0], y_train=labels, x_test=more[:, 0], y_test=others)
    else:
        path, size = tiny.write_data(tmp_path / "idx", train=30, test=12, shape=(3, 10, 9)), 10
    out, _ = ran(capsys, "embed", model / "model.safetensors", path, "--out", tmp_path / "f.npz")
    assert out == f"42 images of 3 classes, 8 features each, are in {tmp_path / 'f.npz'}\n"
    found = read_features(tmp_path / "f.npz")
    assert found.names[[0, 29, 30, 41]].tolist() == ["train/0", "train/29", "test/0", "test/11"]
    assert found.class_names.tolist() == ["0", "1", "2"]
    loaded = ViT.load(model / "model.safetensors")
    data = load(str(path), Reading(loaded.preprocessing, 1))
    assert found.labels.tolist() == [*data.train.labels, *data.test.labels]
    expected = loaded.embed(np.asarray(data.test.images))
    np.testing.assert_allclose(found.features[30:], expected, atol=1e-5)
    assert (resized_line(data.test.images) is None) == (size == 8)


def test_eval_of_data_that_have_moved(tmp_path, capsys):
    data, run = tiny.write_data(tmp_path / "data"), tmp_path / "run"
    assert main(["train", "--data", data, "--out", str(run), *tiny.flags(epochs=1)]) == 0
    (tmp_path / "data").rename(tmp_path / "moved")
    for more in ([], ["--knn", 3]):
        _, errors = ran(capsys, "eval", run, *more, status=2)
        assert errors.endswith("; if the run's data have moved, say where they are now with --data\n")
    _, errors = ran(capsys, "eval", run, "--data", tmp_path / "nowhere", status=2)
    assert "no data called" in errors and "have moved" not in errors
    ran(capsys, "eval", run, "--data", tmp_path / "moved")
    (tmp_path / "data").mkdir()  # what is there is not said to have moved
    _, errors = ran(capsys, "eval", run, status=2)
    assert "holds no data set" in errors and "have moved" not in errors


def test_features_of_some_pictures_and_of_none(model, photos, tmp_path, capsys):
    (tmp_path / "damaged.png").write_bytes(b"no picture")
    mixed = [tmp_path / "damaged.png", photos / "cat" / "000.png"]
    out, errors = ran(capsys, "embed", model / "model.safetensors", *mixed, "--out", tmp_path / "f.npz", status=2)
    assert out.startswith("1 picture, 8 features each, is in ") and "damaged.png" in errors
    assert read_features(tmp_path / "f.npz").labels.tolist() == [-1]
    ran(capsys, "embed", model / "model.safetensors", mixed[0], "--out", tmp_path / "none.npz", status=2)
    assert not (tmp_path / "none.npz").exists()


def test_a_headless_model_embeds_and_says_so_where_it_should_predict(photos, tmp_path, capsys):
    shapes = synthetic.timm_shapes(head=False)
    config = synthetic.timm_config(num_classes=0)
    folder = synthetic.write(tmp_path / "vit", synthetic.filled(shapes), config)
    _, errors = ran(capsys, "predict", folder, photos, status=2)
    assert "predicts no classes; minivit embed, or ViT.embed, gives its features" in errors
    out, _ = ran(capsys, "embed", folder, photos / "cat", "--out", tmp_path / "f.npz")
    assert "24 pictures, 12 features each" in out


def test_eval_names_the_worst_confusions(model, capsys):
    out, _ = ran(capsys, "eval", model / "model.safetensors", "--data", model / "data")
    total = int(re.search(r"\((\d+) of 20\)", out)[1])
    if total < 20:
        assert re.search(r"^  \w+ predicted as \w+, \d+ of \d+: image \d+ \(\d+\.\d %\)", out, re.M)


def test_eval_by_the_nearest_neighbours(model, capsys):
    out, _ = ran(capsys, "eval", model / "run", "--knn", 5)
    found = re.search(
        r"test: accuracy \d+\.\d\d % \((\d+) of 20\) by the 5 nearest neighbours among 54 training im", out
    )
    assert int(found[1]) > 15 and out.startswith("class  images")
    _, errors = ran(capsys, "eval", model / "run", "--knn", 5, "--split", "train", status=2)
    assert "--split test or valid" in errors
    _, errors = ran(capsys, "eval", model / "run", "--knn", 55, status=2)
    assert "55 nearest neighbours are asked for, and there are 54" in errors


def test_mistakes_are_drawn_where_there_are_some(model, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="drawing needs matplotlib")
    untrained = tmp_path / "model.safetensors"
    ViT(tiny.config(), seed=3).save(untrained)
    arguments = ["--data", model / "data", "--mistakes", tmp_path / "m.png"]
    out, _ = ran(capsys, "eval", untrained, *arguments)
    assert f"the most confident mistakes are drawn in {tmp_path / 'm.png'}" in out and "worst confusions" in out
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")


def test_names_of_any_kind_are_one_line_and_many_classes_no_matrix(tmp_path, capsys):
    names = ("line\nbreak", "\x1b[31mred", *(f"class {k}" for k in range(58)))
    ViT(tiny.config(classes=60, class_names=names)).save(tmp_path / "model.safetensors")
    out, _ = ran(capsys, "eval", tmp_path / "model.safetensors", "--data", tiny.write_data(tmp_path / "data"))
    assert "line\\nbreak" in out and "\x1b" not in out and "true \\ predicted" not in out
    assert len(re.findall(r" predicted as ", out)) <= 5 and "worst confusions" in out
