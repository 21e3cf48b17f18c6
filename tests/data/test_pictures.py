"""Folders of pictures: what is in them, what is passed over, how each trap is read, what is held out, what is kept."""

import os
import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from minivit.data import DataError, Reading, cache_folder, clear_cache, load, load_parts, report
from minivit.data.folders import scan
from minivit.data.pictures import open_folder
from minivit.data.reading import side_for
from minivit.preprocess import Preprocessing
from tests.tools.shapes import SHAPES, write_shapes


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setenv("MINIVIT_DATA", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return write_shapes(tmp_path_factory.mktemp("shapes"), count=12, side=20)


def paint(path, colour, size=(8, 8), mode="RGB", **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **more)
    return path


def two_classes(root, count=6):
    """Two classes of different one-coloured pictures."""
    for label, name in enumerate(("cat", "dog")):
        for number in range(count):
            paint(root / name / f"{number}.png", (40 * number, 200 * label, 99))
    return root


def pixels_of(root, name, size=8, **reading):
    """The pixels (C, Sh, Sw) of one of the pictures."""
    made = Preprocessing("crop", "light", (size, size))
    found = open_folder(root, Reading(**{"preprocessing": made, "channels": 3, **reading}))
    row = [picture.name for picture in found.scan.pictures].index(name)
    assert row not in found.decoded.unreadable, found.decoded.unreadable
    return found.decoded.pixels[row]


def reasons(root):
    found = open_folder(root, Reading(image_size=8))
    return {found.scan.pictures[row].name: reason for row, reason in found.decoded.unreadable.items()}


def test_classes_in_plain_order_pictures_in_that_of_their_names(tmp_path):
    for name in ("10/b.png", "10/deep/er/a.png", "2/c.png", "Z/b.png", "a/d.png"):
        paint(tmp_path / name, len(name))
    found = scan(tmp_path)
    assert [picture.name for picture in found.pictures] == [
        "10/deep/er/a.png",
        "10/b.png",
        "Z/b.png",
        "2/c.png",
        "a/d.png",
    ]
    assert open_folder(tmp_path, Reading()).classes == ("10", "2", "Z", "a")


def test_what_is_hidden_or_no_picture_is_passed_over(tmp_path):
    two_classes(tmp_path)
    for name in (".hidden/1.png", "cat/.trash/1.png", "__MACOSX/cat/1.png", "cat/__MACOSX/1.png", "cat/._1.png"):
        paint(tmp_path / name, 7)
    for name in ("cat/notes.txt", "README", "dog/deep/Thumbs.db"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no picture")
    paint(tmp_path / "stray.png", 5)
    paint(tmp_path / "cat" / "CAPITALS.PNG", 9, format="PNG")
    found = scan(tmp_path)
    assert len(found.pictures) == 13 and "cat/CAPITALS.PNG" in [picture.name for picture in found.pictures]
    assert found.others == ("README", "cat/notes.txt", "dog/deep/Thumbs.db", "stray.png")


def test_links_are_followed_inside_only(tmp_path):
    root = two_classes(tmp_path / "photos")
    outside = paint(tmp_path / "outside" / "secret.png", 3)
    (root / "cat" / "out.png").symlink_to(outside)
    (root / "fox").symlink_to(outside.parent)
    (root / "dog" / "round").symlink_to(root)
    (root / "dog" / "up").symlink_to("..")
    (root / "dog" / "inside.png").symlink_to(root / "cat" / "1.png")
    (root / "cat" / "nowhere.png").symlink_to("gone.png")
    found = scan(root)
    assert found.links == ("cat/out.png", "dog/round", "dog/up", "fox")
    names = {picture.name for picture in found.pictures}
    assert "dog/inside.png" in names and len(names) == 14  # with the link to nowhere, which cannot be read
    assert list(reasons(root)) == ["cat/nowhere.png"]


@pytest.mark.parametrize("names, found", [(["cat/1.png"], "one, cat"), (["1.png", "2.png"], "none")])
def test_two_classes_are_needed(tmp_path, names, found):
    for name in names:
        paint(tmp_path / name, 1)
    with pytest.raises(DataError, match=f"for each of two classes or more, found {found}"):
        load(str(tmp_path))


def test_a_class_without_pictures_is_refused(tmp_path):
    (two_classes(tmp_path) / "fox").mkdir()
    (tmp_path / "gnu").mkdir()
    advice = "put those of its class there, or remove the folder"
    with pytest.raises(DataError, match=f"no picture in fox, gnu; {advice}$"):
        load(str(tmp_path))
    lines = list(report(str(tmp_path)))  # a dry run lists them, and goes on
    place = lines.index(f"no picture in 2 folders of classes; {advice}")
    assert lines[place + 1 : place + 3] == ["  fox", "  gnu"] and "unreadable: none" in lines


def test_a_class_without_a_test_picture_is_named(tmp_path):
    two_classes(tmp_path, count=20)
    paint(tmp_path / "eel" / "1.png", (1, 2, 3))
    note = "there is no test picture of the class eel (1 picture): its accuracy is not measured; add some"
    assert note in load(str(tmp_path)).notes and note in list(report(str(tmp_path)))


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_class_name_that_is_no_text_is_refused(tmp_path):
    two_classes(tmp_path)
    paint(tmp_path / os.fsdecode(b"f\xfcchs") / "1.png", 1)
    with pytest.raises(DataError, match="no UTF-8 text: rename it"):
        scan(tmp_path)


def test_a_picture_name_that_is_no_text_is_read(tmp_path):
    two_classes(tmp_path)
    name = os.fsdecode(b"cat/f\xfcchs.png")
    paint(tmp_path / name, 5)
    assert name in load(str(tmp_path)).train.images.names


def corner(picture):
    """A picture with a red upper left corner, on white."""
    picture = Image.new("RGB", (16, 16), "white")
    picture.paste((255, 0, 0), (0, 0, 8, 8))
    return picture


def test_exif_rotation(tmp_path):
    two_classes(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by 90 degrees
    corner(None).save(tmp_path / "cat" / "turned.png", exif=exif)
    red = pixels_of(tmp_path, "cat/turned.png", 16)[1] < 128
    assert red[:8, 8:].all() and red.sum() == 64  # upper right
    Image.new("RGB", (30, 10)).save(tmp_path / "cat" / "lying.jpg", exif=exif)
    found = open_folder(tmp_path, Reading())
    row = [picture.name for picture in found.scan.pictures].index("cat/lying.jpg")
    assert found.decoded.sizes[row].tolist() == [10, 30]


def test_palette_and_alpha_on_the_colour_of_the_ground(tmp_path):
    two_classes(tmp_path)
    palette = corner(None).quantize(4)
    palette.save(tmp_path / "cat" / "palette.png")
    assert (pixels_of(tmp_path, "cat/palette.png", 16)[:, 0, 0] == [255, 0, 0]).all()
    paint(tmp_path / "cat" / "clear.png", (9, 9, 9, 0), mode="RGBA")
    assert (pixels_of(tmp_path, "cat/clear.png") == 255).all()
    dark = Preprocessing("crop", "dark", (8, 8))
    assert (pixels_of(tmp_path, "cat/clear.png", preprocessing=dark) == 0).all()
    index = Image.new("P", (8, 8), 0)
    index.putpalette([1, 2, 3])
    index.save(tmp_path / "cat" / "clear palette.png", transparency=0)
    assert (pixels_of(tmp_path, "cat/clear palette.png") == 255).all()
    grey = Image.new("LA", (8, 8), (50, 255))
    grey.save(tmp_path / "cat" / "grey with alpha.png")
    assert (pixels_of(tmp_path, "cat/grey with alpha.png") == 50).all()


def test_16_bits_are_scaled_and_not_clipped(tmp_path):
    two_classes(tmp_path)
    Image.fromarray(np.full((8, 8), 257 * 100, np.uint16)).save(tmp_path / "cat" / "deep.png")
    assert (pixels_of(tmp_path, "cat/deep.png") == 100).all()


def test_cmyk_and_the_first_frame_of_an_animation(tmp_path):
    two_classes(tmp_path)
    paint(tmp_path / "cat" / "print.jpg", (0, 255, 255, 0), mode="CMYK")
    red, green, blue = pixels_of(tmp_path, "cat/print.jpg").reshape(3, -1).mean(1)
    assert red > 200 and green < 60 and blue < 60
    frames = [Image.new("L", (8, 8), value) for value in (30, 200)]
    frames[0].save(tmp_path / "cat" / "moving.gif", save_all=True, append_images=frames[1:])
    assert (pixels_of(tmp_path, "cat/moving.gif") == 30).all()


def bomb(width, height):
    """A PNG of so many pixels, all alike, in a few bytes."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    content = zlib.compress(bytes((width // 8 + 1) * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


@pytest.fixture
def damaged(tmp_path):
    """A folder of 40 pictures, and 5 that cannot be read."""
    root = two_classes(tmp_path / "photos", 20)
    for name, content in {
        "cat/phone.HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "cat/heic called.jpg": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "dog/cut.png": (root / "cat" / "1.png").read_bytes()[:45],
        "dog/empty.jpg": b"",
        "dog/bomb.png": bomb(20_000, 20_000),
    }.items():
        (root / name).write_bytes(content)
    return root


def test_unreadable_pictures_are_all_listed_and_refused(damaged):
    with pytest.raises(DataError, match=r"^5 of the 45 pictures in .*photos cannot be read, repair them, or") as caught:
        load(str(damaged))
    message = str(caught.value)
    assert "\n" not in message and "or pass --skip-unreadable" in message
    for name in ("cat/phone.HEIC", "cat/heic called.jpg", "dog/cut.png", "dog/empty.jpg", "dog/bomb.png"):
        assert f"{name} (" in message
    assert message.count("it is an HEIC photo, a format that is not read here; save it as JPEG or PNG") == 2
    assert "it has more than" in message  # the bomb


def test_skipping_counts_them_and_refuses_more_than_a_tenth(damaged):
    with pytest.raises(DataError, match="5 of the 45 .* and more than a tenth may not be skipped"):
        load(str(damaged), Reading(skip_unreadable=True))
    (damaged / "dog" / "bomb.png").unlink()  # 4 of 44
    made = load(str(damaged), Reading(skip_unreadable=True))
    assert len(made.train.labels) + len(made.test.labels) == 40
    assert "4 of 44 pictures cannot be read and are left out" in made.notes
    assert not {"dog/cut.png", "dog/empty.jpg"} & set(made.train.images.names[made.train.images.rows])


def test_a_pipe_called_a_picture_does_not_wait(tmp_path):
    os.mkfifo(two_classes(tmp_path) / "cat" / "pipe.png")
    assert "pipe" in reasons(tmp_path)["cat/pipe.png"]


def test_copies_across_classes_are_named(tmp_path):
    two_classes(tmp_path)
    shutil.copy(tmp_path / "cat" / "3.png", tmp_path / "dog" / "same.png")
    shutil.copy(tmp_path / "cat" / "4.png", tmp_path / "cat" / "again.png")
    made = load(str(tmp_path))
    advice = "remove the copy from the class that it does not belong to, or both"
    assert f"1 picture is in more than one class: cat/3.png and dog/same.png; {advice}" in made.notes
    shutil.copy(tmp_path / "cat" / "2.png", tmp_path / "dog" / "z.png")
    notes = load(str(tmp_path)).notes
    assert f"2 pictures are in more than one class: cat/2.png and dog/z.png, ...; {advice}" in notes
    lines = list(report(str(tmp_path)))
    assert f"copies across classes: 2; {advice}" in lines
    assert {"copies within a class: 1", "  cat/4.png = cat/again.png", "  cat/3.png = dog/same.png"} <= set(lines)


def test_a_tenth_is_held_out_twice_by_content(shapes, tmp_path):
    made = load(str(shapes))
    train, valid = made.split()
    assert [len(split.labels) for split in (train, valid, made.test)] == [96, 12, 12]
    assert made.class_names == tuple(sorted(SHAPES)) and made.classes == 10
    for split in (valid, made.test):
        assert np.bincount(split.labels, minlength=10).max() <= 2
    assert len({image.tobytes() for split in (train, valid, made.test) for image in split.images}) == 120
    for number, path in enumerate(sorted(shapes.glob("*/*.png"))):  # the same pictures, called otherwise
        (tmp_path / path.parent.name).mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / path.parent.name / f"{(number * 7) % 120}.png")
    other = load(str(tmp_path))
    for one, two in zip((*made.split(), made.test), (*other.split(), other.test)):
        assert {image.tobytes() for image in one.images} == {image.tobytes() for image in two.images}


def test_no_class_gives_its_last_picture_and_copies_stay_together(tmp_path):
    for number in range(40):
        paint(tmp_path / "many" / f"{number}.png", (5 * number, 7, 9))
    paint(tmp_path / "single" / "0.png", (1, 2, 3))
    for number in range(30):
        paint(tmp_path / "copies" / f"{number}.png", (4, 5, 6))
    made = load(str(tmp_path))
    train, valid = made.split()
    counts = [np.bincount(split.labels, minlength=3).tolist() for split in (train, valid, made.test)]
    assert counts[0][2] == 1 and counts[0][0] == 30 and sum(map(sum, counts)) == 71  # copies, many, single


def test_too_few_pictures_for_a_test_are_refused(tmp_path):
    for name in ("cat", "dog"):
        paint(tmp_path / name / "1.png", len(name))
    with pytest.raises(DataError, match="2 pictures are too few to hold some out for the test"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Train", "validation", "Test"), ("train", "test"), ("train", "val")]
)
def test_parts_that_are_there_are_recognised(tmp_path, names):
    for part, shade in zip(names, (0, 80, 160)):
        for label, name in enumerate(("cat", "dog")):
            for number in range(20 if part.lower() == "train" else 4):
                paint(tmp_path / part / name / f"{number}.png", (shade + number, 200 * label, 99))
    made = load(str(tmp_path))
    train, valid = made.split()
    given = {name.lower(): 8 for name in names[1:]}
    test, held = given.get("test", 4), given.get("val", given.get("validation", 4))
    left = 40 - ("test" not in given) * 4 - (len(given) == 1 and "test" in given) * 4
    assert [len(made.test.labels), len(valid.labels), len(train.labels)] == [test, held, left]
    if "test" in given:
        assert all("test" in name.lower() for name in made.test.images.names[made.test.images.rows])
    assert made.class_names == ("cat", "dog")
    assert [len(split.labels) for split in made.split(3)] == [left + held - 3, 3]


def test_a_class_called_train_is_a_class(tmp_path):
    for name in ("train", "car"):
        for number in range(6):
            paint(tmp_path / name / f"{number}.png", (number, len(name), 3))
    assert load(str(tmp_path)).class_names == ("car", "train")


def test_a_test_class_without_training_pictures_is_refused(tmp_path):
    two_classes(tmp_path / "train")
    paint(tmp_path / "test" / "fox" / "1.png", 3)
    with pytest.raises(DataError, match="test/fox/1.png is of a class that train/ does not have"):
        load(str(tmp_path))


def test_classes_called_by_their_numbers_have_no_names(tmp_path):
    for name in "012":
        for number in range(5):
            paint(tmp_path / name / f"{number}.png", (number, int(name), 3))
    assert load(str(tmp_path)).class_names is None


@pytest.mark.parametrize("edge, side", [(64, 64), (480, 64), (61, 56), (32, 32), (28, 28), (50, 49), (27, 24), (5, 5)])
def test_the_side_is_the_median_short_edge(edge, side):
    sizes = np.array([[edge, 900], [900, edge], [2 * edge, edge], [edge, edge], [0, 0], [3, 4], [4000, 3000]])
    assert side_for(sizes) == side


def test_colour_if_any_picture_is(tmp_path):
    for name in ("cat", "dog"):
        for number in range(6):
            value = 20 * number + len(name) + (name == "dog")
            paint(tmp_path / name / f"{number}.png", (value, value, value))  # stored as colour
    assert load(str(tmp_path)).train.images.shape[1:] == (1, 8, 8)
    paint(tmp_path / "cat" / "red.png", (255, 0, 0))
    assert load(str(tmp_path)).train.images.shape[1:] == (3, 8, 8)


def test_ground_of_the_borders(tmp_path):
    assert load(str(two_classes(tmp_path / "a"))).preprocessing.ground == "light"  # neither
    for name in ("cat", "dog"):
        for number in range(6):
            paint(tmp_path / "b" / name / f"{number}.png", (number, len(name) + number, 9))
    assert load(str(tmp_path / "b")).preprocessing.ground == "dark"


def test_decoded_once(shapes, monkeypatch):
    first = load(str(shapes))
    monkeypatch.setattr("minivit.data.cache.read_picture", lambda *_: pytest.fail("decoded again"))
    monkeypatch.setattr("minivit.data.reading.read_picture", lambda *_: pytest.fail("looked at again"))
    monkeypatch.setattr("minivit.data.split.hashlib", None)  # digests are not made again, either
    second = load(str(shapes))
    assert isinstance(second.train.images.pixels, np.memmap) and not second.train.images.pixels.flags.writeable
    for one, two in zip(first[1:3], second[1:3]):
        np.testing.assert_array_equal(np.asarray(one.images), np.asarray(two.images))
        np.testing.assert_array_equal(one.labels, two.labels)
    assert first.preprocessing == second.preprocessing
    explicit = Reading(first.preprocessing, 3)  # as a model that was trained on it reads them
    assert load_parts(str(shapes), "test", explicit).test.labels.tolist() == first.test.labels.tolist()


@pytest.mark.parametrize("change", ["time", "size", "name", "rule", "channels", "damage"])
def test_decoded_again_where_something_changed(tmp_path, change, monkeypatch):
    root = two_classes(tmp_path)
    reading = Reading(Preprocessing("crop", "light", (8, 8)), 3)
    load(str(root), reading)
    decoded = []

    def read_picture(path, *more):
        decoded.append(path)
        return real(path, *more)

    import minivit.data.cache as module

    real = module.read_picture
    monkeypatch.setattr(module, "read_picture", read_picture)
    if change == "time":
        os.utime(root / "cat" / "1.png", ns=(1, 1))
    elif change == "size":
        paint(root / "cat" / "1.png", 3, (9, 9))
    elif change == "name":
        (root / "cat" / "1.png").rename(root / "cat" / "one.png")
    elif change == "rule":
        reading = Reading(Preprocessing("squash", "light", (8, 8)), 3)
    elif change == "channels":
        reading = Reading(Preprocessing("crop", "light", (8, 8)), 1)
    else:
        kept = next(cache_folder().glob("*/pixels.npy"))
        kept.write_bytes(kept.read_bytes()[:-5])
    load(str(root), reading)
    assert len(decoded) == 12


def test_place_and_size_of_the_cache_are_said_and_it_can_be_cleared(shapes):
    note = load(str(shapes)).notes[-1]
    assert str(cache_folder()) in note and "0.1 MB" in note
    assert not [path for path in cache_folder().iterdir() if path.name.startswith(".")]
    assert clear_cache() > 120 * 3 * 16 * 16 and not cache_folder().exists() and clear_cache() == 0


def test_a_cache_that_cannot_be_written_is_one_line(shapes, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINIVIT_DATA", str(tmp_path / "file"))
    with pytest.raises(DataError, match="cannot keep decoded pictures in .*; make room there, or set MINIVIT_DATA to"):
        load(str(shapes))


def test_a_full_disk_leaves_nothing(shapes, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(DataError, match="0 MB are needed, 0 MB are free; make room there"):
        load(str(shapes))
    assert not list(cache_folder().iterdir())


def test_report(damaged):
    lines = list(report(str(damaged), Reading(image_size=16)))
    assert lines[0] == "photos: 2 classes, 45 pictures"
    assert "sizes: 8 x 8 to 8 x 8 (width x height), median short edge 8" in lines
    assert "unreadable: 5" in lines and any(line.startswith("  dog/bomb.png: it has more than") for line in lines)
    assert any(line.startswith("read as colour, 16 x 16: rule crop") for line in lines)
    assert [line.split()[-3:] for line in lines if line.startswith("total")] == [["32", "4", "4"]]
