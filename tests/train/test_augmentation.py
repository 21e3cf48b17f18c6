"""Which augmentation is chosen, what a batch then goes through, and that a run stays what it was."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from minivit.data import Split, load, load_split
from minivit.errors import ConfigError
from minivit.rng import AUGMENTATION, generator
from minivit.run.records import current_settings
from minivit.train import Prefetcher, TrainConfig, Trainer, random_affine
from minivit.train.augmentation import augmented, augmented_copy, decided, empty_rings, has_copies
from minivit.vit import ViT
from tests.tools import tiny

FASHION = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package dataset-fashion-mnist puts it
EVERYTHING = {"mirror": True, "elastic": 1, "erasing": 0.5, "mixup": 0.4, "cutmix": 1.0, "seed": 3}


def batch(shape=(12, 3, 9, 8), seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, shape, np.uint8), rng.integers(0, 4, shape[0])


def with_rings(count, empty):
    """Grey images, the first `empty` of which have an empty outermost ring."""
    images = np.full((count, 1, 6, 7), 9, np.uint8)
    for edge in (images[:empty, :, 0], images[:empty, :, -1], images[:empty, ..., 0], images[:empty, ..., -1]):
        edge[...] = 0
    return images


@pytest.mark.parametrize(
    "images, kind, mirror, line",
    [
        (with_rings(100, 90), "digits", False, "digits of strength 1: the training images are grey, and 90.0 % of"),
        (with_rings(100, 89), "photos", False, "photos of strength 1, without colour changes, not mirrored: the train"),
        (with_rings(100, 90).repeat(3, 1), "photos", True, "photos of strength 1, mirrored: the training images have"),
    ],
)  # fmt: skip
def test_what_auto_decides(images, kind, mirror, line):
    config, why = decided(TrainConfig(), images)
    assert (config.augmentation, config.mirror) == (kind, mirror)
    assert why.startswith(f"augmentation: {line}")
    assert decided(config, images)[0] == config, "what is decided stays"


def test_every_pixel_of_the_ring_counts():
    images = with_rings(1, 1).repeat(22, 0)
    for i, (row, column) in enumerate([(r, c) for r in range(6) for c in range(7) if r in (0, 5) or c in (0, 6)]):
        images[i, 0, row, column] = 1
    assert empty_rings(images) == 0 and empty_rings(with_rings(8, 2)) == 0.25


def test_a_recipe_may_have_other_settings_for_photos():
    photos = np.random.default_rng(2).integers(1, 256, (12, 3, 8, 9), dtype=np.uint8)
    config, why = decided(TrainConfig(epochs=7), photos, {"augment": 3.0, "mixup": 0.2})
    assert (config.epochs, config.augment, config.mixup) == (7, 3.0, 0.2)
    assert why.startswith("augmentation: photos of strength 3, mirrored")
    assert decided(config, photos) == (config, why.replace("the training images have 3 channels", "as set")), "once"
    digits = load("mnist5k").train.images
    assert decided(TrainConfig(), digits, {"augment": 3.0}) == decided(TrainConfig(), digits)


@pytest.mark.parametrize("epochs, strength", [(4, 0.4), (25, 1.0), (110, 2.1), (500, 4.5), (40_000, 8.0)])
def test_an_automatic_strength_grows_with_the_number_of_epochs(epochs, strength):
    images = with_rings(30, 0)
    config, why = decided(TrainConfig(epochs=epochs, augment="auto"), images)
    assert config.augment == strength and f"photos of strength {strength:g} for {epochs} epochs, without" in why
    digits, why = decided(TrainConfig(epochs=epochs, augment="auto"), with_rings(30, 30))
    assert digits.augment == min(2, strength) and f"digits of strength {min(2, strength):g} for {epochs} e" in why
    assert decided(config, images)[0] == config, "once"
    assert decided(TrainConfig(images_seen=30 * epochs, augment="auto"), images)[0].augment == min(4.5, strength)
    with pytest.raises(ConfigError, match="augment must be a strength, or auto, not 'strong'"):
        TrainConfig(augment="strong")


def test_what_is_set_is_not_decided():
    images = with_rings(10, 10)
    for kind in ("photos", "none"):
        config, why = decided(TrainConfig(augmentation=kind, mirror=True), images)
        assert config.augmentation == kind and config.mirror and "as set" in why
    assert decided(TrainConfig(augmentation="photos"), images)[0].mirror is False
    assert decided(TrainConfig(mirror=False), images.repeat(3, 1))[0].mirror is False
    off, why = decided(TrainConfig(augment=None), images.repeat(3, 1))
    assert why == "augmentation: off, as set" and not off.mirror and not off.augments
    others = dict(mirror=True, elastic=1.0, erasing=0.25, mixup=0.2, cutmix=0.5)
    everything = "mirrored, elastic 1, erasing 0.25, mixup 0.2, cutmix 0.5"
    assert decided(TrainConfig(augment=None, **others), images)[1] == f"augmentation: {everything}, as set"
    none = TrainConfig(augmentation="none", **others)
    assert decided(none, images)[1] == f"augmentation: {everything}, as set"
    assert decided(TrainConfig(**others), images)[1].startswith(
        f"augmentation: digits of strength 1, {everything}: the"
    )
    assert all(
        TrainConfig(augment=None, **{name: value}).augments for name, value in EVERYTHING.items() if name != "seed"
    )
    assert TrainConfig().augments and not TrainConfig(augmentation="none").augments


def test_the_bundled_digits_are_digits():
    assert decided(TrainConfig(), load("mnist5k").train.images)[0].augmentation == "digits"


def test_mnist_and_fashion_mnist_are_told_apart(shared):
    if not FASHION.is_dir():
        pytest.skip("Fashion-MNIST is not installed: Debian's package dataset-fashion-mnist")
    digits, clothes = (load_split(str(folder), "test").images for folder in (shared / "data" / "mnist", FASHION))
    assert round(100 * empty_rings(digits), 2) == 98.93 and round(100 * empty_rings(clothes), 2) == 0.02


def test_digits_are_augmented_as_ever():
    """Byte for byte what runs had before there were photos."""
    images, labels = batch((12, 1, 9, 8))
    config = TrainConfig(augmentation="digits", mirror=False, augment=0.7, seed=5)
    new, same = augmented(images, labels, 4, config, step=9)
    assert new.tobytes() == random_affine(images, generator(5, AUGMENTATION, 9), 0.7).tobytes()
    assert same is labels
    assert AUGMENTATION == 2, "the numbers of the purposes are part of every run"


@pytest.mark.parametrize("kind", ["digits", "photos", "none"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_is_a_function_of_seed_and_step(kind, channels):
    images, labels = batch((12, channels, 9, 8))
    before = images.copy(), labels.copy()
    config, _ = decided(TrainConfig(augmentation=kind, **EVERYTHING), images)

    one, shares = augmented(images, labels, 4, config, step=7)
    again, shares_again = augmented(images, labels, 4, config, step=7)
    assert one.tobytes() == again.tobytes() and shares.tobytes() == shares_again.tobytes()
    assert one.shape == images.shape and shares.shape == (12, 4)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    for other in (dataclasses.replace(config, seed=4), config):
        step = 7 if other is not config else 8
        assert augmented(images, labels, 4, other, step)[0].tobytes() != one.tobytes()
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(labels, before[1])


@pytest.mark.parametrize("kind", ["digits", "photos"])
def test_without_strength_nothing_happens(kind):
    images, labels = batch()
    for settings in ({"augment": None}, {"augment": 0}, {"augmentation": "none"}):
        config = TrainConfig(**{"augmentation": kind, "mirror": False, **settings})
        new, same = augmented(images, labels, 4, config, step=0)
        assert new is images and same is labels


def test_one_option_does_not_change_the_draws_of_another():
    """Mirroring, erasing and mixing draw each for itself."""
    images, labels = batch()
    photos = TrainConfig(augmentation="photos", mirror=False, seed=1)
    plain, _ = augmented(images, labels, 4, photos, step=2)
    erased, _ = augmented(images, labels, 4, dataclasses.replace(photos, erasing=0.5), step=2)
    untouched = (erased == plain).all((1, 2, 3))
    assert 0 < untouched.sum() < len(images)


def test_copies_of_test_images_are_of_the_kind_that_was_trained():
    images, _ = batch((40, 3, 16, 16))
    digits, photos, mirrored = (
        augmented_copy(images, np.random.default_rng(0), kind, mirror, 0.8)
        for kind, mirror in (("digits", False), ("photos", False), ("photos", True))
    )
    assert digits.dtype == np.float32 and photos.dtype == np.uint8
    assert digits.tobytes() == random_affine(images, np.random.default_rng(0), 0.8).tobytes()
    flipped = (mirrored == photos[..., ::-1]).all((1, 2, 3))
    assert (flipped | (mirrored == photos).all((1, 2, 3))).all() and 5 < flipped.sum() < 35


@pytest.mark.parametrize("kind", ["digits", "photos"])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("strength", [0.0, 0.8])
def test_there_are_copies_where_a_copy_differs(kind, mirror, strength):
    images, _ = batch((40, 3, 16, 16))
    copy = augmented_copy(images, np.random.default_rng(0), kind, mirror, strength)
    assert has_copies(kind, mirror, strength) == bool((copy != images).any())
    assert not has_copies("none", mirror, strength)


def test_older_runs_had_the_augmentation_of_digits():
    settings = current_settings({"train": {"warmup": 0.1, "augment": 0.7}})
    config = TrainConfig.from_dict(settings["train"])
    assert (config.augmentation, config.mirror, config.augment) == ("digits", False, 0.7)
    newer = {"augmentation": "photos", "mirror": True}
    assert current_settings({"train": newer})["train"] == newer


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"augmentation": "letters"}, "augmentation must be one of digits, photos, none, not 'letters'"),
        ({"erasing": 1.5}, "erasing must be at most 1, not 1.5"),
        ({"erasing": -0.1}, "erasing must be at least 0, not -0.1"),
        ({"mixup": 0}, "mixup must be positive, not 0.0"),
        ({"cutmix": -1}, "cutmix must be positive, not -1.0"),
        ({"elastic": 9}, "elastic must be at most 8, not 9.0"),
        ({"mirror": "yes"}, "mirror must be True or False or None, not 'yes'"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises((ConfigError, TypeError), match=message):
        TrainConfig(**settings)


def test_settings_are_plain_values():
    config = TrainConfig(augmentation="photos", **EVERYTHING)
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_an_automatic_strength_follows_the_epochs_that_are_trained():
    images, labels = tiny.images(6)
    trainer = Trainer(ViT(tiny.config()), TrainConfig(augment="auto", augmentation="photos", batch_size=3))
    with Prefetcher(trainer, Split(images, labels), 4) as batches:
        assert batches.config.augment == 0.4  # √4 / 5
