"""A run on pictures: whatever looks at one, its pixels are made by one function, and what made them is recorded."""

import dataclasses

import numpy as np
import pytest

from minivit import ViT
from minivit.cli import main
from minivit.pictures import chunks, read_features
from minivit.preprocess import Preprocessing, pillow_version, read_picture
from minivit.run import evaluation_split, load_run, start_run
from minivit.train import TrainConfig
from tests.tools import tiny

Image = pytest.importorskip("PIL.Image", reason="pictures need pillow")
SHORT = TrainConfig(epochs=1, batch_size=18, threads=1)
MODEL = {name: value for name, value in tiny.MODEL.items() if name != "patch_size"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIVIT_DATA", str(tmp_path / "cache"))


@pytest.fixture
def photos(tmp_path):
    """60 pictures of three classes, of several sizes, in JPEG, some upright by their EXIF data only."""
    rng = np.random.default_rng(0)
    for i in range(60):
        height, width = rng.integers(20, 60, 2)
        path = tmp_path / "photos" / ("ant", "bee", "cat")[i % 3] / f"{i:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = (1, 6, 3)[i // 3 % 3]
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path, exif=exif)
    return tmp_path / "photos"


@pytest.mark.parametrize("init", [False, True])
def test_one_function_makes_the_pixels(init, photos, tmp_path):
    """For training, evaluation, prediction and features; also where a loaded model says how."""
    base = tmp_path / "base.safetensors"
    bordered = Preprocessing("border", "light", (8, 8), 9, "bilinear", border=(1, 2, 3))
    ViT(tiny.config((3, 8, 8)), preprocessing=bordered).save(base)
    more = {"init": str(base)} if init else {}
    run = start_run(str(photos), str(tmp_path / "run"), {} if init else MODEL, SHORT, **more)
    run = load_run(run.folder)
    made = run.model.preprocessing
    assert made.pillow == pillow_version() and run.settings["preprocessing"] == made.to_dict()
    assert not init or made == dataclasses.replace(bordered, pillow=pillow_version())
    for part in ("test", "valid", "train"):
        images = evaluation_split(run, str(photos), part).images
        names = [str(photos / name) for name in images.names[images.rows]]
        expected = np.stack([read_picture(name, 3, made) for name in names])
        np.testing.assert_array_equal(images, expected)
        np.testing.assert_array_equal(np.concatenate([c.images for c in chunks(run.model, names)]), expected)
    out = tmp_path / "features.npz"
    assert main(["embed", str(run.folder), *names, "--out", str(out)]) == 0
    np.testing.assert_allclose(read_features(out).features, run.model.embed(expected), atol=1e-6)


def test_another_pillow_is_a_line(photos, tmp_path, capsys, monkeypatch):
    run = start_run(str(photos), str(tmp_path / "run"), MODEL, SHORT)
    picture = str(next((photos / "ant").iterdir()))
    assert main(["predict", str(run.folder), picture]) == 0 and not capsys.readouterr().err
    monkeypatch.setattr("minivit.preprocess.pictures.pillow_version", lambda: "0.1")
    for command in (["predict", str(run.folder), picture], ["attend", str(run.folder), picture]):
        assert main(command) == 0
        line = capsys.readouterr().err
        assert line.startswith(
            f"note: the model was trained on pictures that Pillow {pillow_version()} made, and Pillow"
        )
        assert "0.1 reads them here: pixels may differ by a few levels" in line and line.count("\n") == 1


def test_images_of_another_kind_than_the_model_s_are_a_warning(tmp_path):
    data, base, said = tiny.write_data(tmp_path / "data"), tmp_path / "base.safetensors", []
    ViT(tiny.config(), preprocessing=Preprocessing("digit", "dark", (8, 8))).save(base)
    start_run(data, str(tmp_path / "run"), {}, SHORT, init=str(base), say=said.append)
    assert "warning: these images are not centred and scaled as MNIST's digits are, and the model's were" in said[1:]
    ViT(tiny.config(), preprocessing=Preprocessing("squash", "dark", (8, 8))).save(base)
    said.clear()
    start_run(data, str(tmp_path / "again"), {}, SHORT, init=str(base), say=said.append)
    assert not any("warning" in line for line in said)
