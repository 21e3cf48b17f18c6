"""CIFAR in its binary form, from folders and archives made here: any number of records, known members only."""

import io
import tarfile

import numpy as np
import pytest

from minivit.data import DataError, load, load_split, short_name

NAMES = [f"thing{k}" for k in range(10)]


def records(count, classes=10, front=1, seed=0):
    """Records, their labels (count, front) and their images (count, 3, 32, 32)."""
    rng = np.random.default_rng(seed)
    labels = np.stack([np.arange(count) % (20 if front == 2 and place == 0 else classes) for place in range(front)], 1)
    images = rng.integers(0, 256, (count, 3, 32, 32), np.uint8)
    return np.concatenate([labels.astype(np.uint8), images.reshape(count, -1)], 1).tobytes(), labels, images


def ten(seed=0):
    files = {f"data_batch_{number}.bin": records(10 + number, seed=number)[0] for number in (1, 2, 4)}
    return {**files, "test_batch.bin": records(13, seed=9)[0], "batches.meta.txt": "\n".join([*NAMES, "", ""]).encode()}


def hundred():
    return {
        "train.bin": records(120, 100, 2)[0],
        "test.bin": records(30, 100, 2, 1)[0],
        "fine_label_names.txt": "\n".join(f"fine{k}" for k in range(100)).encode(),
        "coarse_label_names.txt": "\n".join(f"coarse{k}" for k in range(20)).encode(),
    }


def folder(root, files):
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / name).write_bytes(content)
    return str(root)


def archive(path, files, inside="cifar-10-batches-bin", mode="w:gz", more=()):
    with tarfile.open(path, mode) as made:
        for name, content in [*((f"{inside}/{name}", content) for name, content in files.items()), *more]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return str(path)


@pytest.mark.parametrize("how", ["folder", "above", "tar.gz", "tgz", "tar"])
def test_ten(tmp_path, how):
    if how in ("folder", "above"):
        place = folder(tmp_path / "cifar-10-batches-bin", ten())
        data = load(place if how == "folder" else str(tmp_path))
        name = "cifar-10-batches-bin" if how == "folder" else tmp_path.name
        assert data.notes == (
            f"whether {name} is the original CIFAR is not known: only its archive has a known checksum",
        )
    else:
        mode = "w" if how == "tar" else "w:gz"
        data = load(archive(tmp_path / f"cifar-10-binary.{how}", ten(), mode=mode))
        assert data.name == "cifar-10-binary"
        assert data.notes == (
            f"cifar-10-binary.{how} is not the archive that CIFAR is distributed in, by its checksum",
        )
    assert data.class_names == tuple(NAMES) and data.classes == 10
    assert data.train.images.shape == (37, 3, 32, 32) and data.test.images.shape == (13, 3, 32, 32)
    _, labels, images = records(13, seed=9)
    np.testing.assert_array_equal(data.test.images, images, strict=True)
    assert data.test.labels.tolist() == labels[:, 0].tolist()
    first = records(11, seed=1)[2]  # batches in their order
    np.testing.assert_array_equal(data.train.images[:11], first)


@pytest.mark.parametrize(
    "kind, classes, name", [("", 100, "fine7"), ("/fine", 100, "fine7"), ("/coarse", 20, "coarse7")]
)
@pytest.mark.parametrize("packed", [False, True])
def test_hundred_has_fine_and_coarse_labels(tmp_path, kind, classes, name, packed):
    made = (
        archive(tmp_path / "cifar-100-binary.tar.gz", hundred(), "cifar-100-binary")
        if packed
        else folder(tmp_path / "cifar-100-binary", hundred())
    )
    data = load(made + kind)
    assert data.classes == classes and data.class_names[7] == name
    np.testing.assert_array_equal(data.train.images, records(120, 100, 2)[2])
    assert load_split(made + kind, "test").labels.max() == min(30, classes) - 1


def test_ten_has_one_kind_of_labels(tmp_path):
    with pytest.raises(DataError, match="has one kind of labels: leave out /coarse"):
        load(folder(tmp_path / "cifar", ten()) + "/coarse")


def test_without_a_file_of_names_classes_have_numbers(tmp_path):
    files = ten()
    del files["batches.meta.txt"]
    assert load(folder(tmp_path, files)).class_names is None


def test_only_known_members_are_looked_at(tmp_path):
    more = [
        ("../outside.bin", b"x"),
        ("/etc/cifar.bin", b"x"),
        ("cifar-10-batches-bin/data_batch_3.bin.orig", b"x" * 9),
        ("other/data_batch_3.bin", b"x" * 9),
        ("cifar-10-batches-bin/deep/data_batch_5.bin", b"x" * 9),
    ]
    made = archive(tmp_path / "a.tar.gz", ten(), more=more)
    before = sorted(tmp_path.rglob("*"))
    assert len(load(made).train.labels) == 37
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_in_an_archive_is_no_file(tmp_path):
    path = tmp_path / "a.tar"
    archive(path, ten(), mode="w")
    with tarfile.open(path, "a") as made:
        info = tarfile.TarInfo("cifar-10-batches-bin/data_batch_3.bin")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(info)
    assert len(load(str(path)).train.labels) == 37


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("data_batch_2.bin", b"x" * 3074, "data_batch_2.bin has 3074 bytes, expected records of 3073"),
        ("test_batch.bin", b"", "test_batch.bin has 0 bytes, expected records of 3073"),
        ("data_batch_1.bin", b"\x0a" + bytes(3072), "a fine label is 10, expected 0 to 9"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_damaged_records_are_one_line(tmp_path, name, content, message, packed):
    files = {**ten(), name: content}
    made = archive(tmp_path / "a.tar.gz", files) if packed else folder(tmp_path / "cifar", files)
    with pytest.raises(DataError, match=message) as caught:
        load(made)
    assert "\n" not in str(caught.value)


def test_a_part_that_is_missing_is_named(tmp_path):
    files = ten()
    del files["test_batch.bin"]
    made = folder(tmp_path, files)
    with pytest.raises(DataError, match=r"holds no test_batch.bin: get the whole data set"):
        load(made)
    assert len(load_split(made, "train").labels) == 37


@pytest.mark.parametrize("size", [0, 20, 3000])
def test_a_damaged_archive_is_one_line(tmp_path, size):
    whole = (tmp_path / "a.tar.gz", (tmp_path / "b.tar.gz"))
    archive(whole[0], ten())
    whole[1].write_bytes(whole[0].read_bytes()[:size])
    with pytest.raises(DataError, match=r"cannot read .*b.tar.gz: .*; get it again") as caught:
        load(str(whole[1]))
    assert "\n" not in str(caught.value)


def test_an_archive_of_something_else(tmp_path):
    with pytest.raises(DataError, match="holds no file of CIFAR's: expected cifar-10-batches-bin/ or"):
        load(archive(tmp_path / "a.tar", {"x.bin": b"x"}, "photos", "w"))


@pytest.mark.parametrize(
    "data, name", [("a/cifar-10-binary.tar.gz", "cifar-10-binary"), ("b/x.npz", "x"), ("c/p.q", "p.q")]
)
def test_what_runs_are_called(data, name):
    assert short_name(data) == name
