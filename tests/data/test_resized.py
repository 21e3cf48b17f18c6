"""Data sets in arrays, resized when they are read, as the same images in picture files are."""

import numpy as np
import pytest
from PIL import Image

from minivit.data import Reading, load, load_parts, report, resized_line
from minivit.data.resized import Resized
from minivit.errors import MissingPackageError
from minivit.preprocess import Preprocessing
from tests.tools import tiny


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("MINIVIT_DATA", str(tmp_path_factory.getbasetemp() / "pictures"))


def arrays(channels, seed=3):
    rng = np.random.default_rng(seed)
    shape = (10, 12) if channels == 1 else (10, 12, channels)
    made = {}
    for part, count in (("train", 40), ("test", 20)):
        made[f"x_{part}"] = rng.integers(0, 256, (count, *shape), np.uint8)
        made[f"y_{part}"] = np.arange(count) % 3
    return made


def as_npz(path, made):
    np.savez(path, **made)
    return str(path)


def as_folder(root, made):
    for part in ("train", "test"):
        for number, (image, label) in enumerate(zip(made[f"x_{part}"], made[f"y_{part}"])):
            place = root / part / str(label)
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{number:03}.png")
    return str(root)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("asked", [1, 3])
@pytest.mark.parametrize(
    "made",
    [
        Preprocessing("crop", "dark", (14, 15)),
        Preprocessing("crop", "light", (16, 16), short_edge=18, interpolation="bilinear"),
        Preprocessing("squash", "light", (8, 20), interpolation="lanczos"),
        Preprocessing("border", "dark", (16, 16), border=(9, 120, 40)),
        Preprocessing("border", "light", (24, 13), interpolation="nearest"),
    ],
)
def test_the_same_pixels_as_from_picture_files(tmp_path, channels, asked, made):
    given = arrays(channels)
    reading = Reading(made, asked)
    found = load(as_npz(tmp_path / "a.npz", given), reading)
    expected = load(as_folder(tmp_path / "png", given), reading)
    for one, other in ((found.train, expected.train), (found.test, expected.test)):
        np.testing.assert_array_equal(np.asarray(one.images), np.asarray(other.images), strict=True)
        np.testing.assert_array_equal(one.images[5], other.images[5], strict=True)
        np.testing.assert_array_equal(one.images[3:9:2], other.images[3:9:2], strict=True)
        np.testing.assert_array_equal(one.labels, other.labels)
    assert found.preprocessing == expected.preprocessing == made


def test_a_line_says_so(tmp_path):
    path = as_npz(tmp_path / "a.npz", arrays(1))
    found = load(path, Reading(Preprocessing("squash", "dark", (20, 24)), 3))
    line = "the images of 10 x 12 are resized to 20 x 24 (height x width), and from grey to colour"
    assert found.notes == (line,) and resized_line(found.test.images) == line
    assert resized_line(load(path).train.images) is None
    found = load(path, Reading(Preprocessing("squash", "dark", (10, 12)), 3))
    assert found.notes == ("the images of 10 x 12 are turned from grey to colour",)
    lines = list(report(path, Reading(image_size=16)))
    assert "1 channel, 16 x 16" in lines[0]
    assert lines[-1] == "the images of 10 x 12 are resized to 16 x 16 (height x width)"


def test_images_of_the_size_are_taken_as_they_are(tmp_path):
    path = as_npz(tmp_path / "a.npz", arrays(3))
    for reading in (Reading(image_size=(10, 12)), Reading(Preprocessing("crop", "dark", (10, 12), short_edge=11), 3)):
        found = load(path, reading)
        assert isinstance(found.train.images, np.ndarray) and found.preprocessing is None and not found.notes


def test_nothing_is_resized_before_it_is_read(tmp_path, monkeypatch):
    def refuse(self, rows):
        raise AssertionError("an image was read")

    path = as_npz(tmp_path / "a.npz", arrays(3))
    with monkeypatch.context() as patched:
        patched.setattr(Resized, "__getitem__", refuse)
        found = load(path, Reading(image_size=4096))
        held = found.split()
    assert found.train.images.shape == (40, 3, 4096, 4096)
    expected = load(path).split()
    for one, other in zip(held, expected):  # the same are held out in any size
        np.testing.assert_array_equal(one.images.rows, other.images.rows)


def test_what_is_chosen_without_a_model(tmp_path):
    photos = load(as_npz(tmp_path / "a.npz", arrays(3)), Reading(image_size=16))
    assert (photos.preprocessing.rule, photos.preprocessing.size) == ("crop", (16, 16))
    digits = load("mnist5k", Reading(image_size=(42, 56)))
    made = digits.preprocessing
    assert (made.rule, made.ground, made.size, made.pillow) == ("digit", "dark", (42, 56), Image.__version__)
    direct = Image.fromarray(load("mnist5k").train.images[7, 0]).resize((56, 42), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(digits.train.images[7, 0], np.asarray(direct))  # not centred once more


def test_one_part_alone(tmp_path):
    given = arrays(3)
    path = as_npz(tmp_path / "a.npz", given)
    reading = Reading(Preprocessing("squash", "dark", (20, 24)), 3)
    found = load_parts(path, "test", reading)
    assert found.train is None
    np.testing.assert_array_equal(np.asarray(found.test.images), np.asarray(load(path, reading).test.images))


def test_channels_that_no_picture_has(tmp_path):
    folder = tiny.write_data(tmp_path / "four", shape=(4, 8, 8))
    found = load(folder, Reading(image_size=16))
    assert found.train.images.shape[1:] == (4, 8, 8) and found.preprocessing is None


def test_without_pillow(tmp_path, monkeypatch):
    monkeypatch.setattr("minivit.data.resized.pillow_version", lambda: None)
    path = as_npz(tmp_path / "a.npz", arrays(3))
    with pytest.raises(MissingPackageError, match="resizing images needs pillow"):
        load(path, Reading(image_size=16))
    assert load(path, Reading(image_size=(10, 12))).preprocessing is None
