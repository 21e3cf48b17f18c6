"""Pictures of digits come out as MNIST had them: whatever their size, place, colours, transparency and light."""

import sys

import numpy as np
import pytest

from minivit.data import load
from minivit.errors import ConfigError, DataError, MissingPackageError
from minivit.preprocess import Preprocessing, read_picture
from minivit.preprocess.digit import label_strokes

Image = pytest.importorskip("PIL.Image", reason="pictures need pillow")

LIKE_MNIST = Preprocessing("digit", "dark", (28, 28))
DIGITS = load("mnist5k").test.images[::20, 0]  # 50, five of each class
SIZES = (60, 112, 300)  # of the digit's frame, in pixels of the picture


def sheet(digit, size, rng, factor=1.4):
    """The ink of a digit (28, 28), scaled to size and placed somewhere on a larger sheet: 0..1."""
    ink = np.asarray(Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC)) / 255
    side = round(factor * size)
    drawn = np.zeros((side, side + 11))
    top, left = rng.integers(0, side - size + 1, 2)
    drawn[top : top + size, left : left + size] = ink
    return drawn


def colour(drawn, paper, pen):
    """Ink of one colour on paper of another, uint8; grey for two numbers."""
    values = np.array(paper) + drawn[..., np.newaxis] * (np.array(pen, float) - np.array(paper))
    return Image.fromarray(np.rint(values).astype(np.uint8).squeeze())


def transparent(drawn, pen):
    alpha = np.rint(255 * drawn)[..., np.newaxis]
    return Image.fromarray(np.concatenate([np.broadcast_to(pen, (*drawn.shape, 3)), alpha], -1).astype(np.uint8))


def palette(drawn):
    """A GIF of 16 greys, one of which is transparent."""
    image = Image.fromarray(np.rint(15 * (1 - drawn)).astype(np.uint8)).convert("P")
    image.putpalette([17 * i for i in range(16) for _ in range(3)])
    image.info["transparency"] = 15
    return image


def photo(drawn, rng):
    """Pencil on paper, light falling off to the right and to the corners, and a noisy sensor."""
    h, w = drawn.shape
    y, x = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
    light = (1 - 0.2 * x) * (1 - 0.15 * (x * x + y * y)) / 1.2
    values = (205 - 120 * drawn) * light + rng.normal(0, 5, drawn.shape)
    return Image.fromarray(np.rint(np.clip(values, 0, 255)).astype(np.uint8))


def dusty(drawn, rng):
    """Six specks on the sheet, each a sixtieth of it wide."""
    drawn, side = drawn.copy(), max(1, len(drawn) // 60)
    for top, left in rng.integers(0, len(drawn) - side, (6, 2)):
        drawn[top : top + side, left : left + side] = 0.8
    return colour(drawn, [255], [0])


MAKERS = {
    "dark on light": (lambda drawn, rng: colour(drawn, [255], [0]), ".png"),
    "light on dark": (lambda drawn, rng: colour(drawn, [30], [230]), ".png"),
    "on grey": (lambda drawn, rng: colour(drawn, [150], [40]), ".png"),
    "colours": (lambda drawn, rng: colour(drawn, [250, 240, 200], [20, 30, 150]), ".jpg"),
    "black on nothing": (lambda drawn, rng: transparent(drawn, [0, 0, 0]), ".png"),
    "white on nothing": (lambda drawn, rng: transparent(drawn, [255, 255, 255]), ".png"),
    "palette": (lambda drawn, rng: palette(drawn), ".gif"),
    "16 bits": (lambda drawn, rng: Image.fromarray((60000 - 50000 * drawn).astype(np.uint16)), ".png"),
    "photo": (photo, ".jpg"),
    "dust": (dusty, ".png"),
}


def likeness(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


def read(image, path, height=28, width=28):
    image.save(path)
    (found,) = read_picture(path, 1, Preprocessing("digit", "dark", (height, width)))
    return found


@pytest.mark.parametrize("kind", MAKERS)
def test_pictures_look_like_the_digit_they_show(tmp_path, kind):
    make, ending = MAKERS[kind]
    rng = np.random.default_rng(0)
    found = []
    for i, digit in enumerate(DIGITS):
        drawn = sheet(digit, SIZES[i % 3], rng)
        found.append(likeness(read(make(drawn, rng), tmp_path / f"digit{ending}"), digit))
    assert np.mean(found) > 0.9 and np.min(found) > 0.5


def test_digits_of_mnist_stay_nearly_as_they_are(tmp_path):
    """Two of these 50 had their centre of mass halfway between two pixels, and go to the other one."""
    found = np.array([read(Image.fromarray(digit), tmp_path / "digit.png") for digit in DIGITS])
    inverted = np.array([read(Image.fromarray(255 - digit), tmp_path / "digit.png") for digit in DIGITS])
    np.testing.assert_array_equal(found, inverted)
    change = np.abs(found - DIGITS.astype(float)).mean((1, 2))
    assert np.sum(change > 1) <= 2 and min(map(likeness, found, DIGITS)) > 0.6


def test_size_and_place(tmp_path):
    """The longer side is 20 of 28 pixels, and the centre of mass the middle of the frame."""
    rng = np.random.default_rng(0)
    for digit in DIGITS:
        found = read(colour(sheet(digit, 200, rng, 2.5), [255], [0]), tmp_path / "digit.png")
        rows, columns = (np.flatnonzero((found > 60).any(axis)) for axis in (1, 0))
        assert 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
        for axis, inked in ((0, rows), (1, columns)):
            centre = found.sum(1 - axis) @ np.arange(28) / found.sum()
            assert abs(centre - 14) <= 0.51 or inked[0] <= 1 or inked[-1] >= 26  # or as near as the frame allows


def test_thin_lines_do_not_fade(tmp_path):
    drawn = np.zeros((400, 400))
    drawn[60:63, 100:300] = drawn[60:340, 297:300] = 1  # a seven by a fine pen: a fifth of a pixel in the frame
    found = read(colour(drawn, [255], [0]), tmp_path / "seven.png")
    assert found.max() == 255 and np.median(found[found > 0]) > 100


def test_other_frames(tmp_path):
    """The ink fills 20/28 of the height or of the width, whichever comes first."""
    image = colour(sheet(DIGITS[20], 100, np.random.default_rng(0)), [255], [0])
    usual, square = (read(image, tmp_path / "digit.png", side, side) for side in (28, 56))
    assert (
        likeness(np.asarray(Image.fromarray(square).resize((28, 28), Image.Resampling.BOX)), usual) > 0.8
    )  # half a pixel off
    for height, width in ((28, 40), (40, 28), (56, 28)):
        found = read(image, tmp_path / "digit.png", height, width)
        filled = [(np.ptp(np.flatnonzero((found > 60).any(1 - axis))) + 1) / found.shape[axis] for axis in (0, 1)]
        assert found.shape == (height, width) and abs(max(filled) - 20 / 28) < 1.1 / 28
    assert read(image, tmp_path / "digit.png", 1, 1).shape == (1, 1)


def test_photos_are_turned_as_their_camera_says(tmp_path):
    image = colour(sheet(DIGITS[35], 100, np.random.default_rng(0)), [255], [0])
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: the camera was held on its side
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", exif=turned, quality=95)
    found = read_picture(tmp_path / "turned.jpg", 1, LIKE_MNIST)[0]
    assert likeness(found, read(image, tmp_path / "digit.png")) > 0.97


def test_three_channels_are_only_resized(tmp_path):
    colours = np.zeros((40, 60, 3), np.uint8)
    colours[:, :30], colours[:, 30:] = (200, 10, 30), (0, 90, 255)
    Image.fromarray(colours).save(tmp_path / "flag.png")
    found = read_picture(tmp_path / "flag.png", 3, Preprocessing("squash", "light", (16, 24)))
    assert found.shape == (3, 16, 24) and found.dtype == np.uint8
    assert found[:, 3, 2].tolist() == [200, 10, 30] and found[:, 12, 20].tolist() == [0, 90, 255]
    transparent(np.zeros((9, 9)), [0, 0, 0]).save(tmp_path / "nothing.png")
    assert np.all(read_picture(tmp_path / "nothing.png", 3, Preprocessing("squash", "light", (4, 4))) == 255)


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (50, 40), (900, 2)])
def test_blank_pictures(tmp_path, value, size):
    Image.new("L", size, value).save(tmp_path / "blank.png")
    with pytest.raises(DataError, match="no digit stands out in .*blank.png; expected one, clearly lighter or darker"):
        read_picture(tmp_path / "blank.png", 1, LIKE_MNIST)


def test_noise_is_no_digit(tmp_path):
    noise = np.random.default_rng(0).normal(128, 6, (300, 300)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    with pytest.raises(DataError, match="no digit stands out"):
        read_picture(tmp_path / "noise.png", 1, LIKE_MNIST)


def test_unreadable_files(tmp_path):
    (tmp_path / "text.png").write_text("a digit")
    (tmp_path / "empty.png").touch()
    for name, words in {
        "text.png": "cannot identify",
        "empty.png": "cannot identify",
        "none.png": "No such file",
    }.items():
        with pytest.raises(DataError, match=f"cannot read .*{name}: .*{words}.*; expected a picture, PNG") as caught:
            read_picture(tmp_path / name, 1, LIKE_MNIST)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="cannot read"):
        read_picture(tmp_path, 1, LIKE_MNIST)


@pytest.mark.filterwarnings("ignore::minivit.errors.DataWarning")  # what is left of a digit may not look like one
@pytest.mark.parametrize("ending", [".png", ".jpg", ".gif", ".tif", ".bmp"])
def test_damaged_files_raise_nothing_else(tmp_path, ending):
    path, rng = tmp_path / f"digit{ending}", np.random.default_rng(0)
    colour(sheet(DIGITS[0], 60, rng), [255], [0]).save(path)
    whole = path.read_bytes()
    refused = 0
    for i in range(60):
        damaged = bytearray(whole[: rng.integers(len(whole))] if i % 2 else whole)
        for place in rng.integers(0, max(len(damaged), 1), 8 * (1 - i % 2)):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            assert read_picture(path, 1, LIKE_MNIST).shape == (1, 28, 28)
        except DataError as error:
            refused += 1
            assert "\n" not in str(error) and str(path) in str(error)
    assert refused > 10


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_other_numbers_of_channels(tmp_path, channels):
    with pytest.raises(ConfigError, match=f"images of {channels} channels, a picture has 1 or 3"):
        read_picture(tmp_path / "digit.png", channels, LIKE_MNIST)


def test_without_pillow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(
        MissingPackageError,
        match=r'^reading pictures needs pillow, which is not installed: pip install "minivit\[images\]"$',
    ):
        read_picture(tmp_path / "digit.png", 1, LIKE_MNIST)


def test_strokes_that_hang_together():
    drawn = np.array([list(row) for row in ("##..#", "..#..", "#...#", "#.###")]) == "#"
    label = label_strokes(drawn)
    assert np.all((label > 0) == drawn)
    pieces = {frozenset(map(tuple, np.argwhere(label == k).tolist())) for k in np.unique(label[drawn])}
    expected = ["00 01 12", "04", "20 30", "24 32 33 34"]  # rows and columns; corners join
    assert pieces == {frozenset((int(i), int(j)) for i, j in piece.split()) for piece in expected}


def test_a_long_spiral_is_one_stroke():
    side = 61
    drawn = np.zeros((side, side), bool)
    for ring in range(0, side // 2, 2):
        drawn[ring, max(ring - 2, 0) : side - ring] = drawn[ring : side - ring, side - ring - 1] = True
        drawn[side - ring - 1, ring : side - ring] = drawn[ring + 2 : side - ring, ring] = True
    assert len(np.unique(label_strokes(drawn))) == 2
    assert not label_strokes(np.zeros((3, 4), bool)).any()
