"""Data sets in an .npz file, Keras' and MedMNIST's: what is read, and that nothing in it is executed."""

import io
import zipfile

import numpy as np
import pytest

from minivit.data import DataError, load, load_split

RNG = np.random.default_rng(5)


def images(count, *shape):
    return RNG.integers(0, 256, (count, *shape), np.uint8)


def keras(**changes):
    arrays = {"x_train": images(12, 4, 5), "y_train": np.arange(12) % 3, "x_test": images(7, 4, 5)}
    return {**arrays, "y_test": np.arange(7) % 3, **changes}


def medmnist(shape=(6, 6, 3), **changes):
    arrays = {}
    for part, count in (("train", 21), ("val", 6), ("test", 9)):
        arrays[f"{part}_images"] = images(count, *shape)
        arrays[f"{part}_labels"] = (np.arange(count) % 3).astype(np.uint8)[:, np.newaxis]
    return {**arrays, **changes}


def written(path, arrays):
    np.savez_compressed(path, **arrays)
    return str(path)


def test_keras(tmp_path):
    arrays = keras()
    data = load(written(tmp_path / "mnist.npz", arrays))
    assert data.name == "mnist" and data.classes == 3 and data.class_names is None and data.held is None
    np.testing.assert_array_equal(data.train.images, arrays["x_train"][:, np.newaxis], strict=True)
    np.testing.assert_array_equal(data.test.labels, arrays["y_test"], strict=True)


@pytest.mark.parametrize("shape", [(6, 6, 3), (6, 6), (5, 6, 1)])
def test_medmnist_comes_with_its_validation_images(tmp_path, shape):
    arrays = medmnist(shape)
    path = written(tmp_path / "pathmnist.npz", arrays)
    data = load(path)
    train, valid = data.split()
    for split, part in ((train, "train"), (valid, "val"), (data.test, "test")):
        expected = arrays[f"{part}_images"].reshape(len(split.labels), *(*shape, 1)[:3])
        np.testing.assert_array_equal(np.asarray(split.images), np.moveaxis(expected, 3, 1), strict=True)
        assert split.labels.tolist() == arrays[f"{part}_labels"][:, 0].tolist()
    assert [len(split.labels) for split in data.split(4)] == [23, 4]
    assert len(load_split(path, "train").labels) == 27


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"a": np.zeros(3)}, "holds a; expected x_train, y_train, x_test, y_test, or train_images, train_labels, ..."),
        (
            keras(x_train=np.zeros((12, 4, 5), np.float32)),
            "train images are float32 .*, expected uint8, pixels of 0..255",
        ),
        (keras(y_train=np.arange(11) % 3), "train labels are int64 .11,., expected .12,. or .12, 1. whole numbers"),
        (keras(y_test=-np.ones(7, int)), "a test label is -1, expected 0 or more"),
        (keras(y_train=np.ones(12)), "train labels are float64"),
        (medmnist((6, 6, 6)), "train images have axes .*: pictures, no volumes"),
        (medmnist(train_labels=np.zeros((21, 14), np.uint8)), "train labels are uint8 .21, 14.*one class for each"),
        (keras(x_test=images(0, 4, 5), y_test=np.zeros(0, int)), "test images are uint8 .0, 4, 5."),
    ],
)
def test_other_arrays_are_refused_in_one_line(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message) as caught:
        load(written(tmp_path / "a.npz", arrays))
    assert "\n" not in str(caught.value)


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle was executed",)


def test_pickles_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **keras(), allow_pickle=True)
    with zipfile.ZipFile(path, "w") as file:
        for name, array in keras(y_train=np.array([Bomb()] * 12, object)).items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asarray(array), allow_pickle=True)
            file.writestr(f"{name}.npy", content.getvalue())
    with pytest.raises(DataError, match="y_train cannot be read .Object arrays cannot be loaded"):
        load(str(path))


@pytest.mark.parametrize("size", [0, 100, 700])
def test_a_damaged_file_is_one_line(tmp_path, size):
    path = tmp_path / "a.npz"
    np.savez(path, **keras())
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match="cannot read .*a.npz: .*; expected an .npz file, get it again"):
        load(str(path))


def test_a_flipped_byte_is_noticed(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **keras())
    content = bytearray(path.read_bytes())
    content[content.find(b"x_train.npy") + 300] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="a.npz"):
        load(str(path))


def test_a_header_that_promises_too_much(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as file:
        for name, array in keras().items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asarray(array))
            file.writestr(f"{name}.npy", content.getvalue().replace(b"(12, 4, 5)", b"(99999999999, 4, 5)"))
    with pytest.raises(DataError, match="x_train cannot be read"):
        load(str(path))
