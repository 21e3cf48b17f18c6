"""Many picture files: found in folders, read on threads."""

import os
import sys

import numpy as np
import pytest

from minivit.errors import ConfigError, DataError
from minivit.preprocess import Preprocessing, find_pictures, read_picture, read_pictures

Image = pytest.importorskip("PIL.Image", reason="pictures need pillow")
SQUASH = Preprocessing("squash", size=(6, 5))


@pytest.fixture
def folder(tmp_path):
    for name in ("b/2.png", "b/10.PNG", "a/x.jpg", "a/deep/y.webp", "z.Jpeg", ".hidden.png", ".cache/a.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 7), (len(name), 200, 30)).save(path, {"z.Jpeg": "JPEG"}.get(name))
    for name in ("a/notes.txt", "__MACOSX/._x.jpg", "a/Thumbs.db"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("no picture")
    return tmp_path / "photos"


def test_folders_are_searched_in_order(folder):
    """Whatever case their endings are in; nothing hidden, nothing that unpackers of other systems leave."""
    found = [os.path.relpath(path, folder) for path in find_pictures([folder])]
    assert found == ["z.Jpeg", "a/x.jpg", "a/deep/y.webp", "b/10.PNG", "b/2.png"]


def test_files_are_taken_by_their_names(folder):
    """Also those that are not there: reading them will say so."""
    names = [str(folder / "a" / "notes.txt"), str(folder / "none.png"), folder / "b"]
    assert find_pictures(names) == [*names[:2], str(folder / "b" / "10.PNG"), str(folder / "b" / "2.png")]


def test_a_folder_without_pictures_is_an_error(tmp_path):
    with pytest.raises(DataError, match="a folder without pictures"):
        find_pictures([tmp_path])


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_to_folders_are_not_followed(folder):
    (folder / "again").symlink_to(folder)
    assert len(find_pictures([folder])) == 5


@pytest.mark.parametrize("threads", [1, 3])
def test_pictures_come_in_order_and_errors_in_their_places(folder, threads):
    paths = find_pictures([folder]) * 9
    paths[7] = str(folder / "a" / "notes.txt")
    found = list(read_pictures(paths, 3, SQUASH, threads))
    assert len(found) == len(paths) and isinstance(found[7], DataError) and "notes.txt" in str(found[7])
    for path, image in zip(paths[:7], found):
        np.testing.assert_array_equal(image, read_picture(path, 3, SQUASH))


def test_no_more_than_two_for_each_thread_are_ahead(folder, monkeypatch):
    begun = []
    monkeypatch.setattr("minivit.preprocess.many.read_picture", lambda path, *more: begun.append(path))
    pictures = read_pictures(["x"] * 100, 3, SQUASH, 2)
    next(pictures)
    assert len(begun) <= 6
    pictures.close()
    assert len(begun) <= 6


@pytest.mark.parametrize("threads", [1, 3])
def test_what_is_wrong_with_the_model_is_raised(folder, threads):
    with pytest.raises(ConfigError, match="images of 2 channels"):
        list(read_pictures(find_pictures([folder]), 2, SQUASH, threads))
