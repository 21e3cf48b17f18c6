"""Any picture file, whatever is wrong with it, is a picture or one line, at once and in little memory."""

import os
import struct
import sys
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minivit.errors import DataError
from minivit.preprocess import Preprocessing, decode, read_picture
from minivit.preprocess.decode import open_picture

Image = pytest.importorskip("PIL.Image", reason="pictures need pillow")

RNG = np.random.default_rng(0)
STRIPES = np.repeat(np.repeat(np.arange(0, 240, 40, dtype=np.uint8).reshape(2, 3), 20, 0), 20, 1)  # 40 x 60, six fields


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, *more, depth=8, colour=0, rows=b""):
    """A PNG file of this size, whatever it holds."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *more, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def refused(path):
    """The reason, on one line and at once, for which a file is no picture."""
    started = time.perf_counter()
    with pytest.raises(DataError, match="^cannot read ") as caught:
        open_picture(path)
    message = str(caught.value)
    assert "\n" not in message and message.count(str(path)) == 1 and time.perf_counter() - started < 1, message
    return message.removeprefix(f"cannot read {path}: ")


NO_PICTURES = {
    "EPS": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "cannot identify its format; expected a picture, PNG or",
    ),
    "PDF": (b"%PDF-1.4\n", "cannot identify its format"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "cannot identify its format"),
    "HEIC": (
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "it is an HEIC photo, a format that is not read here; save it as JPEG",
    ),
    "HEIC of another brand": (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "it is an HEIC photo"),
    "nothing": (b"", "cannot identify its format"),
    "too many pixels": (
        png(13000, 13000),
        "it has more than 128 million pixels; save it smaller, or cut the digit out",
    ),
    "far too many pixels": (png(60000, 60000), "it has more than 178 million pixels; save it smaller"),
    "no pixels": (png(0, 5), ""),
    "a text that unpacks to 99 MB": (
        png(9, 9, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(99 << 20)))),
        "ecompressed",
    ),
    "cut short": (png(300, 300, rows=bytes(999)), "truncated"),
}


@pytest.mark.parametrize("kind", NO_PICTURES)
def test_what_is_no_picture(tmp_path, kind):
    content, words = NO_PICTURES[kind]
    (tmp_path / "a.png").write_bytes(content)
    assert words in refused(tmp_path / "a.png")


def test_no_other_program_is_started(tmp_path, monkeypatch):
    """Pillow would give EPS files to Ghostscript."""
    monkeypatch.setattr("subprocess.Popen", None)
    monkeypatch.setattr("os.system", None)
    (tmp_path / "a.eps").write_bytes(NO_PICTURES["EPS"][0] + b"%%EndComments\nshowpage\n")
    refused(tmp_path / "a.eps")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "sparse", "sparse PNG", "larger than 512 MB"])
def test_only_regular_files_are_read(tmp_path, kind):
    path = tmp_path / "a.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes(png(99, 99)[:60] if kind == "sparse PNG" else b"")
        os.truncate(path, 3 << 30 if kind.startswith("larger") else 500 << 20)
    reason = refused(path)
    if "sparse" not in kind:
        assert ("has 3221225472 bytes, expected at most" if "larger" in kind else f"but a {kind}") in reason


def test_a_file_that_is_not_there(tmp_path):
    assert refused(tmp_path / "a.png").startswith("No such file or directory; expected a picture")


# Photos


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_photos_are_turned_upright(tmp_path, orientation, ending):
    """Eight ways to hold a camera, as EXIF numbers them."""
    turned = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.T,
        6: lambda a: np.rot90(a),
        7: lambda a: a[::-1, ::-1].T,
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[decode.ORIENTATION] = orientation
    Image.fromarray(np.ascontiguousarray(turned(STRIPES))).save(tmp_path / f"a.{ending}", exif=exif)
    found = np.asarray(open_picture(tmp_path / f"a.{ending}").convert("L"), float)
    assert found.shape == STRIPES.shape and abs(found - STRIPES).mean() < 5


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage!", b"Exif\0\0II*\0\xff\xff\xff\xff", b"\xff" * 99, b"Exif\0\0MM\0*"]
)
def test_bad_metadata_refuse_no_photo(tmp_path, exif):
    Image.fromarray(STRIPES).save(tmp_path / "a.jpg", exif=exif)
    assert open_picture(tmp_path / "a.jpg").size == (60, 40)


def test_a_photo_with_bad_gps_data_is_still_turned(tmp_path):
    """Phones without reception write 0/0 as latitude."""
    exif = Image.Exif()
    exif[decode.ORIENTATION] = 6
    exif.get_ifd(0x8825)[2] = (0.0, 0.0, 0.0)
    content = exif.tobytes().replace(struct.pack("<II", 0, 1), struct.pack("<II", 0, 0))
    Image.fromarray(STRIPES).save(tmp_path / "a.jpg", exif=content)
    assert open_picture(tmp_path / "a.jpg").size == (40, 60)


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_photo_of_108_megapixels(tmp_path, ending):
    """Read without a word, though pillow warns of it."""
    page = Image.new("L", (12000, 9000), 255)
    page.paste(0, (3000, 2000, 6000, 8000))
    page.save(tmp_path / f"a.{ending}", compress_level=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        picture = open_picture(tmp_path / f"a.{ending}")
    assert not caught and picture.width * picture.height <= decode.KEPT_PIXELS
    left, top, right, bottom = picture.convert("L").point(lambda value: 255 * (value < 128)).getbbox()
    edges = np.array([left, right]) / picture.width, np.array([top, bottom]) / picture.height
    np.testing.assert_allclose(edges, [[1 / 4, 1 / 2], [2 / 9, 8 / 9]], atol=1e-3)


MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kept", [decode.KEPT_PIXELS, 600, 40])
def test_pictures_are_reduced_by_the_strip(tmp_path, mode, kept, monkeypatch):
    """Of any kind of pixels; every strip gets its place, and colours are averaged, not a palette's numbers."""
    monkeypatch.setattr(decode, "KEPT_PIXELS", kept)
    monkeypatch.setattr(decode, "STRIP", 300)
    values = np.array([[0, 255, 0], [255, 0, 255]], np.uint8).repeat(20, 0).repeat(20, 1)
    deep = {"I;16": 257.0, "I": 1e6, "F": 1e-3}
    if mode in deep:
        picture = Image.fromarray((values * deep[mode]).astype({"I;16": "u2", "I": "i4", "F": "f4"}[mode]))
    else:
        picture = Image.fromarray(values).convert("RGB").convert(mode)
    picture.save(tmp_path / "a.tif")
    found = np.asarray(open_picture(tmp_path / "a.tif").convert("L"), float)
    assert found.size <= kept
    rows, columns = (
        np.linspace(0, side, 2 * n, endpoint=False).astype(int)[1::2] for side, n in zip(found.shape, (2, 3))
    )
    assert abs(found[np.ix_(rows, columns)] - [[0, 255, 0], [255, 0, 255]]).max() < (100 if kept < 99 else 5)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_values_of_16_bits_keep_their_scale(tmp_path, ending):
    """A dim picture stays dim: they are divided by 257, unless it is asked to stretch them."""
    values = np.linspace(2570, 25700, 40 * 60).reshape(40, 60).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{ending}")
    found = np.asarray(open_picture(tmp_path / f"a.{ending}").convert("L"))
    np.testing.assert_array_equal(found, np.rint(values / 257))  # rounded, not cut off
    stretched = np.asarray(open_picture(tmp_path / f"a.{ending}", stretch=True).convert("L"))
    assert stretched.min() == 0 and stretched.max() == 255


def test_threads_that_read_at_once_leave_the_filters_of_warnings_alone(tmp_path):
    Image.fromarray(STRIPES).save(tmp_path / "a.jpg", exif=b"Exif\0\0garbage!")
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(open_picture, [tmp_path / "a.jpg"] * 200))
    assert len(found) == 200 and warnings.filters == before


def test_values_that_are_no_numbers(tmp_path):
    values = np.linspace(-3, 5, 40 * 60, dtype=np.float32).reshape(40, 60)
    values[3, :5] = np.nan, np.inf, -np.inf, 1, 2
    Image.fromarray(values).save(tmp_path / "a.tif")
    found = np.asarray(open_picture(tmp_path / "a.tif").convert("L"))
    assert found[0, 0] == found[3, 0] == found[3, 2] == 0 and found[-1, -1] == found[3, 1] == 255
    Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(tmp_path / "a.tif")
    assert not np.asarray(open_picture(tmp_path / "a.tif").convert("L")).any()


@pytest.mark.parametrize("size", [(100_000, 2), (2, 100_000), (1, 1)])
def test_extreme_shapes_need_no_memory(tmp_path, size):
    """Scaled to a short edge of 256 pixels, this would be 13 million pixels wide."""
    Image.new("RGB", size, "red").save(tmp_path / "a.png")
    for rule in ("crop", "squash"):
        started = time.perf_counter()
        found = read_picture(tmp_path / "a.png", 3, Preprocessing(rule, "dark", (224, 224), short_edge=256))
        assert found.shape == (3, 224, 224) and found[0].min() == 255 and time.perf_counter() - started < 1
