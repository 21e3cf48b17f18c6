"""Picture files through a model, in chunks, and files of features."""

import numpy as np
import pytest

from minivit import ViT, pictures
from minivit.errors import ConfigError, DataError
from minivit.pictures import (
    Features,
    check_features_path,
    chunks,
    classes_of,
    embed_images,
    read_features,
    save_features,
)
from minivit.preprocess import Preprocessing
from tests.tools import tiny

Image = pytest.importorskip("PIL.Image", reason="pictures need pillow")


def test_chunks_hold_what_could_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "CHUNK", 4)
    images, _ = tiny.images(9, (3, 8, 8))
    paths = [str(tmp_path / f"{i}.png") for i in range(9)]
    for path, image in zip(paths, images):
        Image.fromarray(np.moveaxis(image, 0, -1)).save(path)
    (tmp_path / "5.png").write_bytes(b"damaged")
    model = ViT(tiny.config((3, 8, 8)), preprocessing=Preprocessing(size=(8, 8)))
    found = list(chunks(model, paths, threads=2))
    assert [len(chunk.paths) for chunk in found] == [4, 3, 1] and paths[5] not in found[1].paths
    assert [len(chunk.errors) for chunk in found] == [0, 1, 0] and isinstance(found[1].errors[0], DataError)
    np.testing.assert_array_equal(np.concatenate([chunk.images for chunk in found]), np.delete(images, 5, 0))


def test_a_chunk_may_hold_nothing(tmp_path):
    (chunk,) = chunks(ViT(tiny.config()), [str(tmp_path / "none.png")])
    assert chunk.paths == [] and chunk.images.shape == (0, 1, 8, 8) and len(chunk.errors) == 1


def test_images_are_embedded_in_parts(monkeypatch):
    model, (images, _) = ViT(tiny.config()), tiny.images(20)
    whole = model.embed(images)
    monkeypatch.setattr(pictures, "BYTES_AT_ONCE", 3 * 64)
    np.testing.assert_allclose(embed_images(model, images), whole, atol=1e-6)


def test_features_are_written_and_read_without_pickle(tmp_path):
    names = np.array(["a/ü.jpg", "b/\udcff.jpg"])
    made = Features(np.ones((2, 3), np.float32), np.array([0, 1]), names, np.array(["a", "b"]))
    save_features(tmp_path / "features.npz", made)
    first = (tmp_path / "features.npz").read_bytes()
    for before, after in zip(made, read_features(tmp_path / "features.npz")):
        assert before.dtype == after.dtype and (before == after).all()
    save_features(tmp_path / "features.npz", made)
    assert (tmp_path / "features.npz").read_bytes() == first and len(list(tmp_path.iterdir())) == 1


def test_where_features_can_be_written(tmp_path):
    check_features_path(tmp_path / "features.npz")
    for name in ("features.npy", "features", "photos.npz"):
        (tmp_path / "photos.npz").mkdir(exist_ok=True)
        with pytest.raises(ConfigError, match="ends in .npz"):
            check_features_path(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        check_features_path(tmp_path / "none" / "features.npz")


@pytest.mark.parametrize(
    "paths, folders, labels, names",
    [
        (["p/cat/1.jpg", "p/ant/2.jpg", "p/cat/x/3.jpg"], ["p"], [1, 0, 1], ["ant", "cat"]),
        (["p/train/cat/1.jpg", "p/test/ant/2.jpg", "p/val/cat/3.jpg"], ["p/"], [1, 0, 1], ["ant", "cat"]),
        (["p/1.jpg", "p/cat/2.jpg"], ["p"], [-1, 0], ["cat"]),
        (["p/1.jpg", "q/cat/2.jpg"], ["p"], [-1, -1], []),
        (["p/cat/1.jpg", "q/cat/2.jpg"], ["p", "q"], [0, 0], ["cat"]),
        (["p/train/1.jpg"], ["p"], [-1], []),
    ],
)
def test_classes_are_folders(paths, folders, labels, names):
    found = classes_of(paths, folders)
    assert found[0].tolist() == labels and found[1].tolist() == names
