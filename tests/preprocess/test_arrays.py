"""Batches from outside: checked in one line each, and scaled channel by channel."""

import dataclasses
import warnings

import numpy as np
import pytest

from minivit import ViTConfig
from minivit.errors import DataWarning
from minivit.preprocess import to_inputs
from minivit.preprocess.arrays import check_batch, check_images, normalise
from minivit.run.settings import config_for, pixel_statistics

CONFIG = ViTConfig(
    image_size=(4, 6), patch_size=2, channels=2, classes=3, dim=8, heads=2, pixel_mean=(0.2, 0.4), pixel_std=(0.3, 0.5)
)
PIXELS = np.random.default_rng(5).integers(0, 256, (7, 2, 4, 6), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2, 0])


def test_what_fits_passes_unchanged():
    assert check_images(PIXELS, CONFIG) is PIXELS
    images, labels = check_batch(PIXELS, LABELS.tolist(), CONFIG)
    assert images is PIXELS and labels.tolist() == LABELS.tolist()
    soft = np.full((7, 3), 1 / 3)
    assert check_batch(normalise(PIXELS, CONFIG, "float16"), soft, CONFIG)[1] is soft
    assert check_batch(PIXELS[:1], np.array([2], np.uint8), CONFIG)[1] == 2


def test_a_missing_channel_axis_gets_a_hint():
    grey = ViTConfig()
    with pytest.raises(ValueError, match=r"height, width\); add the channel axis with images\[:, None\]"):
        check_images(np.zeros((5, 28, 28), np.uint8), grey)
    with pytest.raises(ValueError, match=r"height, width\)$"):
        check_images(np.zeros((5, 27, 28), np.uint8), grey)


def test_channels_last_get_a_hint():
    with pytest.raises(ValueError, match=r"; the channels come last here: pass images.transpose\(0, 3, 1, 2\)$"):
        check_images(PIXELS.transpose(0, 2, 3, 1), CONFIG)


NOT_NORMALISED = {
    "0 to 1": (PIXELS / 255, r'0\.\.1, .* pass \(255 \* images\).round\(\).astype\("uint8"\)'),
    "0 to 255": (PIXELS.astype("float32"), r'0\.\.255, .* pass images.astype\("uint8"\)'),
    "float16": ((PIXELS / 255).astype("float16"), r"0\.\.1, "),
    "-1 to 255": (PIXELS.astype("float32") - 1, r"0\.\.255, "),
}


@pytest.mark.parametrize("kind", NOT_NORMALISED)
def test_floats_that_cannot_be_normalised_are_named_in_one_warning(kind):
    images, message = NOT_NORMALISED[kind]
    for pass_in in (check_images, lambda images, config: check_batch(images, LABELS, config)):
        with pytest.warns(DataWarning, match=f"^images are floats of {message}") as caught:
            pass_in(images, CONFIG)
        assert len(caught) == 1 and "\n" not in str(caught[0].message)


def test_a_training_loop_is_warned_once():
    """The message is the same for every batch, so Python shows it once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        for batch in (PIXELS / 255, PIXELS[:3] / 300, PIXELS[2:4] / 256):
            check_images(batch, CONFIG)
    assert len(caught) == 1


FINE = {
    "normalised": normalise(PIXELS, CONFIG, "float32"),
    "bytes": PIXELS,
    "zeros": np.zeros((1, 2, 4, 6)),
    "a bright image": normalise(np.maximum(PIXELS, 100), CONFIG, "float64"),
}


@pytest.mark.parametrize("kind", FINE)
def test_normalised_floats_are_fine(kind):
    assert check_images(FINE[kind], CONFIG) is FINE[kind]


def test_a_model_that_normalises_nothing_takes_floats_from_0_to_1():
    config = dataclasses.replace(CONFIG, pixel_mean=None, pixel_std=None)
    check_images(PIXELS / 255, config)
    with pytest.warns(DataWarning, match=r"0\.\.255"):
        check_images(PIXELS / 1.0, config)


WRONG_IMAGES = {
    r"images of shape \(7, 2, 24\) do not fit this model: expected \(batch, 2, 4, 6\)": (PIXELS.reshape(7, 2, 24),),
    r"images of shape \(7, 1, 4, 6\)": (PIXELS[:, :1],),
    "an empty batch was passed: the model needs at least one image": (PIXELS[:0],),
    r"images must be uint8 \(0..255\) or floats \(normalised already\), not complex128": (PIXELS.astype(complex),),
    "not <U3": (PIXELS.astype("U3"),),
}


@pytest.mark.parametrize("message", WRONG_IMAGES)
def test_images_that_are_refused(message):
    with pytest.raises((ValueError, TypeError), match=message):
        check_images(*WRONG_IMAGES[message], CONFIG)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_pixel_that_is_no_number_is_found(value):
    images = PIXELS.astype("float32")
    images[4, 1, 3, 5] = value
    with pytest.raises(ValueError, match=rf"image 4 holds {value} at \(channel, row, column\) \(1, 3, 5\)"):
        check_images(images, CONFIG)


WRONG_LABELS = {
    r"labels of shape \(6,\) do not fit 7 images and 3 classes: expected \(7,\) class numbers or \(7, 3\)": LABELS[:6],
    r"labels of shape \(7, 1\) do not fit": LABELS[:, None],
    r"labels must lie in 0..2 \(3 classes\), but run from 0 to 3": LABELS + (LABELS == 2),
    "but run from -1 to 1": LABELS - 1,
    "class numbers must be integers, not float64: use labels.astype": LABELS.astype(float),
    "labels given as probabilities must be at least 0 and sum to 1": np.ones((7, 3)),
}


@pytest.mark.parametrize("message", WRONG_LABELS)
def test_labels_that_are_refused(message):
    with pytest.raises(ValueError, match=message):
        check_batch(PIXELS, WRONG_LABELS[message], CONFIG)


@pytest.mark.parametrize("dtype, bound", [("float32", 5e-7), ("float64", 1e-15)])
def test_pixels_are_scaled_channel_by_channel(dtype, bound):
    mean, std = (np.array(values).reshape(2, 1, 1) for values in ((0.2, 0.4), (0.3, 0.5)))
    before = PIXELS.copy()
    inputs = normalise(PIXELS, CONFIG, dtype)
    assert inputs.dtype == dtype
    np.testing.assert_allclose(inputs, (PIXELS / 255 - mean) / std, rtol=0, atol=4 * bound)
    np.testing.assert_array_equal(PIXELS, before)
    np.testing.assert_array_equal(normalise(PIXELS.astype("float32"), CONFIG, dtype), inputs)


def test_bytes_are_scaled_and_floats_taken_as_they_are():
    np.testing.assert_array_equal(to_inputs(PIXELS, CONFIG, "float32"), normalise(PIXELS, CONFIG, "float32"))
    floats = PIXELS.astype("float32")
    assert to_inputs(floats, CONFIG, "float32") is floats
    assert to_inputs(floats, CONFIG, "float64").dtype == np.float64


def test_pixel_statistics():
    mean, std = pixel_statistics(PIXELS)
    np.testing.assert_allclose(mean, (PIXELS / 255).mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, (PIXELS / 255).std((0, 2, 3)), rtol=1e-12)
    plain = np.full((3, 1, 4, 6), 255, np.uint8)
    assert pixel_statistics(plain) == ((1.0,), (1e-6,))


def test_normalised_pixels_have_mean_0_and_deviation_1():
    config = config_for(PIXELS, 3, {"patch_size": 2, "dim": 8, "heads": 2})
    assert config.image_shape == (2, 4, 6) and config.classes == 3
    inputs = normalise(PIXELS, config, "float64")
    np.testing.assert_allclose(inputs.mean((0, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(inputs.std((0, 2, 3)), 1, rtol=1e-12)
