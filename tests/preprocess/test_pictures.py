"""Preprocessing: how its rules make pixels of a picture, how it is kept, and how it is told from data."""

import json
import re

import numpy as np
import pytest

from minivit.config import ViTConfig
from minivit.data import load
from minivit.errors import ConfigError
from minivit.preprocess import Preprocessing, ground_of, read_picture

DIGITS = load("mnist5k").train.images[:1000]


@pytest.fixture
def pillow():
    return pytest.importorskip("PIL.Image", reason="reading pictures needs pillow")


@pytest.fixture
def picture(pillow, tmp_path):
    """A file of 20 x 60 pixels: red on the left third, green in the middle, blue on the right; brighter downwards."""

    def save(upright=False):
        pixels = np.zeros((20, 60, 3), np.uint8)
        for third in range(3):
            pixels[:, 20 * third : 20 * third + 20, third] = np.linspace(100, 250, 20).astype(np.uint8)[:, np.newaxis]
        pillow.fromarray(pixels.swapaxes(0, 1) if upright else pixels).save(tmp_path / "stripes.png")
        return tmp_path / "stripes.png", np.moveaxis(pixels, -1, 0)

    return save


# The rule "crop"


def test_without_a_short_edge_the_frame_just_fits_and_keeps_the_middle(picture):
    """20 x 60 to a frame of 20 x 20: nothing is resized, and the middle third is left."""
    path, pixels = picture()
    found = read_picture(path, 3, Preprocessing("crop", size=(20, 20)))
    np.testing.assert_array_equal(found, pixels[:, :, 20:40])
    np.testing.assert_array_equal(read_picture(path, 3, Preprocessing("crop", size=(20, 60))), pixels)


def test_without_a_short_edge_a_picture_is_scaled_to_cover_the_frame(picture):
    """20 x 60 to 10 x 10: scaled by a half. To 10 x 60: by one, and rows 5 to 14 are left."""
    path, pixels = picture()
    half = read_picture(path, 3, Preprocessing("crop", size=(10, 10)))
    assert half.shape == (3, 10, 10) and half.dtype == np.uint8
    assert half[1].min() >= 90 and half[[0, 2], :, 1:-1].max() == 0  # green only, but where the filter reaches over
    wide = read_picture(path, 3, Preprocessing("crop", size=(10, 60)))
    np.testing.assert_array_equal(wide, pixels[:, 5:15])


def test_with_a_short_edge_only_the_middle_of_the_scaled_picture_is_kept(picture):
    """A short edge of 20 leaves the picture as it is; one of 40 doubles it, so that the frame holds half as much."""
    path, pixels = picture()
    found = read_picture(path, 3, Preprocessing("crop", size=(10, 20), short_edge=20))
    np.testing.assert_array_equal(found, pixels[:, 5:15, 20:40])
    doubled = read_picture(path, 3, Preprocessing("crop", size=(10, 20), short_edge=40, interpolation="nearest"))
    np.testing.assert_array_equal(doubled, pixels[:, 7:13, 24:36].repeat(2, 1).repeat(2, 2)[:, 1:-1, 2:-2])


def test_a_short_edge_is_the_width_of_an_upright_picture(picture):
    path, pixels = picture(upright=True)
    found = read_picture(path, 3, Preprocessing("crop", size=(20, 10), short_edge=20))
    np.testing.assert_array_equal(found, pixels[:, 5:15, 20:40].swapaxes(1, 2))


@pytest.mark.parametrize("size, seen", [((30, 30), [False, True, False]), ((10, 30), [True, True, True])])
def test_a_short_edge_smaller_than_the_frame_is_the_frame_s(picture, size, seen):
    """No pixel outside of the picture is ever invented, and a pixel stays a square."""
    path, _ = picture()
    found = read_picture(path, 3, Preprocessing("crop", size=size, short_edge=5, interpolation="nearest"))
    assert found.shape == (3, *size) and found.sum(0).min() >= 90
    assert [bool(channel.any()) for channel in found] == seen


def test_margins_are_those_of_torchvision(pillow, tmp_path):
    """The long edge is cut down to whole pixels, and half a pixel of margin is rounded to even."""
    pixels = np.random.default_rng(0).integers(0, 256, (41, 23), dtype=np.uint8)  # 23 -> 13, 41 -> 23.2
    pillow.fromarray(pixels).save(tmp_path / "noise.png")
    image = read_picture(tmp_path / "noise.png", 1, Preprocessing("crop", "light", (8, 8), 13, "bilinear"))[0]
    whole = np.asarray(pillow.fromarray(pixels).resize((13, 23), pillow.Resampling.BILINEAR))
    assert abs(image.astype(int) - whole[8:16, 2:10]).max() <= 1  # margins of 7.5 and 2.5


def test_a_squashed_picture_is_resized_once(pillow, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (500, 700, 3), dtype=np.uint8)
    pillow.fromarray(pixels).save(tmp_path / "noise.png")
    image = read_picture(tmp_path / "noise.png", 3, Preprocessing("squash", "light", (32, 32)))
    expected = pillow.fromarray(pixels).resize((32, 32), pillow.Resampling.BICUBIC)
    np.testing.assert_array_equal(image, np.moveaxis(np.asarray(expected), -1, 0))


def test_a_large_picture_is_cropped_from_its_own_pixels(pillow, tmp_path):
    """Other rules first average what is larger than they need."""
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    pillow.fromarray(pixels).save(tmp_path / "noise.png")
    cropped, squashed = (
        read_picture(tmp_path / "noise.png", 3, Preprocessing(rule, size=(40, 60), short_edge=edge))
        for rule, edge in (("crop", 300), ("squash", None))
    )
    np.testing.assert_array_equal(cropped, np.moveaxis(pixels[130:170, 170:230], -1, 0))
    assert squashed.std() < cropped.std() / 3


def test_a_squashed_picture_keeps_all_of_it(picture):
    path, pixels = picture()
    found = read_picture(path, 3, Preprocessing("squash", size=(20, 15), interpolation="nearest"))
    np.testing.assert_array_equal(found, pixels[:, :, 2::4])


def test_a_squashed_picture_with_a_short_edge_is_resized_to_that_frame_and_cut(picture):
    """To 40 x 60, of which the middle 20 x 30 is left: rows 5 to 14 and columns 15 to 44 of the picture."""
    path, pixels = picture()
    found = read_picture(path, 3, Preprocessing("squash", size=(20, 30), short_edge=40, interpolation="nearest"))
    np.testing.assert_array_equal(found, pixels[:, 5:15, 15:45].repeat(2, 1))


# The rule "border"


def test_a_border_fills_what_the_picture_leaves_of_the_frame(picture):
    """20 x 60 fits into 30 x 30 as 10 x 30; 10 rows above and below are border."""
    path, pixels = picture()
    made = Preprocessing("border", size=(30, 30), interpolation="nearest", border=(10, 20, 30))
    found = read_picture(path, 3, made)
    np.testing.assert_array_equal(found[:, 10:20], pixels[:, 1::2, 1::2])
    for channel, value in enumerate((10, 20, 30)):
        assert (found[channel, :10] == value).all() and (found[channel, 20:] == value).all()


@pytest.mark.parametrize("ground, value", [("light", 255), ("dark", 0)])
def test_without_a_colour_the_border_is_ground(picture, ground, value):
    path, pixels = picture(upright=True)
    found = read_picture(path, 3, Preprocessing("border", ground, size=(60, 40)))
    np.testing.assert_array_equal(found[:, :, 10:30], pixels.swapaxes(1, 2))
    assert (found[:, :, :10] == value).all() and (found[:, :, 30:] == value).all()


def test_a_bordered_picture_with_a_short_edge_is_cut_at_the_long_one(picture):
    """It fits into 40 x 40 as 13 x 40, the middle 20 columns of which are in the frame, with a border of 3 and 4."""
    path, _ = picture()
    found = read_picture(path, 3, Preprocessing("border", "dark", (20, 20), short_edge=40, interpolation="nearest"))
    rows = found.sum(0).any(1)
    assert rows.tolist() == [False] * 3 + [True] * 13 + [False] * 4
    assert found[1, 3:16, 4:16].min() > 0 and found[0, 3:16, :3].min() > 0


# The ground


@pytest.mark.parametrize("paper, pen", [(255, 0), (30, 230)])
def test_a_digit_on_light_ground_is_255_minus_one_on_dark(pillow, tmp_path, paper, pen):
    ink = DIGITS[3, 0] / 255
    pillow.fromarray(np.rint(paper + (pen - paper) * ink).astype(np.uint8)).save(tmp_path / "digit.png")
    dark, light = (
        read_picture(tmp_path / "digit.png", 1, Preprocessing("digit", ground)) for ground in ("dark", "light")
    )
    np.testing.assert_array_equal(light, 255 - dark)
    assert (ground_of(dark[np.newaxis]), ground_of(light[np.newaxis])) == ("dark", "light")


@pytest.mark.parametrize("rule", ["squash", "crop", "border"])
def test_transparent_pixels_become_ground(pillow, tmp_path, rule):
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[2:6, 2:6] = 200, 100, 50, 255
    pillow.fromarray(pixels).save(tmp_path / "square.png")
    for ground, value in (("dark", 0), ("light", 255)):
        found = read_picture(tmp_path / "square.png", 3, Preprocessing(rule, ground, (8, 8)))
        assert (found[:, 0] == value).all() and found[:, 3, 3].tolist() == [200, 100, 50]


def test_a_digit_for_three_channels_is_the_same_in_each(pillow, tmp_path):
    pillow.fromarray(DIGITS[3, 0]).save(tmp_path / "digit.png")
    one, three = (read_picture(tmp_path / "digit.png", channels, Preprocessing("digit", "dark")) for channels in (1, 3))
    np.testing.assert_array_equal(three, one.repeat(3, 0))


# Kept and read


@pytest.mark.parametrize(
    "preprocessing",
    [
        Preprocessing(),
        Preprocessing("digit", "dark", (28, 28)),
        Preprocessing("crop", "light", (224, 160), short_edge=256, interpolation="bilinear"),
        Preprocessing("border", "light", (32, 32), border=(124, 116, 104), pillow="11.3.0"),
    ],
    ids=lambda p: p.rule,
)
def test_to_dict_and_back(preprocessing):
    values = preprocessing.to_dict()
    more = {"border", "pillow"} if preprocessing.pillow else set()  # written only where they say something
    assert set(values) == {"rule", "ground", "size", "short_edge", "interpolation"} | more
    assert json.loads(json.dumps(values)) == values
    assert values["size"] == list(preprocessing.size)  # as JSON has it
    assert Preprocessing.from_dict(values) == preprocessing
    assert isinstance(Preprocessing.from_dict(values).size, tuple)


@pytest.mark.parametrize(
    "field, value",
    [
        ("rule", "stretch"),
        ("rule", None),
        ("ground", "grey"),
        ("interpolation", "cubic"),
        ("size", 28),
        ("size", (28,)),
        ("size", (28, 28, 3)),
        ("size", (28.0, 28)),
        ("size", (True, 28)),
        ("short_edge", True),
        ("size", "28"),
        ("short_edge", 0),
        ("short_edge", -3),
        ("short_edge", 32.0),
        ("short_edge", "32"),
        ("border", (0, 0)),
        ("border", "red"),
        ("pillow", 13),
    ],
)
def test_a_wrong_field_is_named(field, value):
    with pytest.raises(ConfigError, match=rf"^{field} must be .*, not {re.escape(repr(value))}$"):
        Preprocessing(**{field: value})
    with pytest.raises(ConfigError, match=f"^{field} must be "):
        Preprocessing.from_dict({field: value})


@pytest.mark.parametrize("side", [0, -1])
def test_a_side_has_pixels(side):
    with pytest.raises(ConfigError, match=f"^size must be at least 1, not {side}$"):
        Preprocessing(size=(28, side))


def test_a_border_has_a_colour():
    with pytest.raises(ConfigError, match=r"^border must hold values of 0..255, not \(0, 256, 0\)$"):
        Preprocessing("border", border=(0, 256, 0))


def test_it_says_what_it_does():
    assert str(Preprocessing("digit", "dark")) == "rule digit, dark ground, bicubic interpolation"
    made = Preprocessing("border", "light", (32, 32), 36, "bilinear", (124, 116, 104), "11.3.0")
    assert str(made) == (
        "rule border, short edge 36, border (124, 116, 104), light ground, bilinear interpolation, "
        "pictures made with Pillow 11.3.0"
    )


def test_an_unknown_field_is_named():
    with pytest.raises(ConfigError, match="no Preprocessing setting called centre: "):
        Preprocessing.from_dict({"rule": "crop", "centre": True})


# Told from what there is


@pytest.mark.parametrize("channels, expected", [(1, ("digit", "dark")), (3, ("squash", "light"))])
def test_a_model_that_says_nothing_gets_the_one_of_its_channels(channels, expected):
    found = Preprocessing.default(ViTConfig(image_size=(8, 12), patch_size=4, channels=channels))
    assert found == Preprocessing(*expected, (8, 12))


def test_the_bundled_digits_follow_the_digit_rule():
    assert Preprocessing.of_images(DIGITS) == Preprocessing("digit", "dark", (28, 28))
    assert Preprocessing.of_images(255 - DIGITS) == Preprocessing("digit", "light", (28, 28))


def test_digits_that_are_not_in_the_middle_do_not():
    assert Preprocessing.of_images(np.roll(DIGITS, 4, axis=-1)) == Preprocessing("squash", "dark", (28, 28))


@pytest.mark.parametrize("channels", [1, 3])
def test_noise_is_squashed(channels):
    noise = np.random.default_rng(0).integers(0, 256, (100, channels, 20, 30), dtype=np.uint8)
    expected = Preprocessing("squash", "dark" if channels == 1 else "light", (20, 30))
    assert Preprocessing.of_images(noise) == expected
    square = np.random.default_rng(0).integers(0, 256, (100, channels, 28, 28), dtype=np.uint8)
    assert Preprocessing.of_images(square).rule == "squash"


def test_coloured_digits_are_squashed():
    assert Preprocessing.of_images(DIGITS[:100].repeat(3, 1)) == Preprocessing("squash", "dark", (28, 28))
    assert Preprocessing.of_images(255 - DIGITS[:100].repeat(3, 1)) == Preprocessing("squash", "light", (28, 28))


@pytest.mark.parametrize("value, expected", [(0, "dark"), (63, "dark"), (64, None), (191, None), (192, "light")])
def test_the_ground_is_the_median_of_the_borders(value, expected):
    images = np.full((3, 1, 9, 9), 255 - value, np.uint8)
    images[..., [0, -1], :] = images[..., [0, -1]] = value
    assert ground_of(images) == expected


def test_all_four_borders_count_by_their_pixels():
    wide = np.full((3, 1, 9, 30), 255, np.uint8)
    wide[..., [0, -1], :] = 0
    assert ground_of(wide) == ground_of(wide.swapaxes(2, 3)) == "dark"
    wide[..., 0, :] = 255
    assert ground_of(wide) == ground_of(wide.swapaxes(2, 3)) == "light"


# The pictures of a data set, saved and read again


OTHER_DATA = {
    "full frame": DIGITS[:, :, 4:24, 4:24],
    "full frame, dark on light": 255 - DIGITS[:, :, 4:24, 4:24],
    "digits at one side": np.roll(DIGITS, 4, axis=-1),
    "colour": np.concatenate([DIGITS, 255 - DIGITS, DIGITS // 2], 1),
}


@pytest.mark.parametrize("kind", OTHER_DATA)
def test_pictures_of_data_that_are_no_centred_digits_are_read_as_they_are(kind, pillow, tmp_path):
    """So `predict` finds the classes that `eval` finds. Fashion-MNIST, for example, fills its frames."""
    images = OTHER_DATA[kind]
    preprocessing = Preprocessing.of_images(images)
    assert preprocessing.rule == "squash"
    for image in images[::50]:
        pillow.fromarray(np.moveaxis(image, 0, -1).squeeze()).save(tmp_path / "a.png")
        np.testing.assert_array_equal(read_picture(tmp_path / "a.png", len(image), preprocessing), image)


def test_pictures_of_inverted_digits_are_read_nearly_as_they_are(pillow, tmp_path):
    images = 255 - DIGITS[::20]
    preprocessing = Preprocessing.of_images(images)
    assert preprocessing == Preprocessing("digit", "light", (28, 28))
    changes = []
    for image in images:
        pillow.fromarray(image[0]).save(tmp_path / "a.png")
        changes.append(abs(read_picture(tmp_path / "a.png", 1, preprocessing) - image.astype(float)).mean())
    assert np.median(changes) < 0.5 and np.mean(np.array(changes) > 1) < 0.1  # some are centred on the next pixel
