"""The augmentations for photos against plain loops over one image, and what holds whatever is drawn."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from minivit.train import sampling
from minivit.train.elastic import elastic_distortion
from minivit.train.mix import random_erasing
from minivit.train.photos import colour_changes, hue_rotations, padded_crop, random_mirror, random_photo, resized_crop
from tests.train import slow

SHAPES = [(5, 3, 11, 8), (4, 1, 7, 12), (3, 2, 1, 9), (6, 3, 1, 1)]


def generator(seed=5):
    return np.random.default_rng(seed)


def draw(shape, seed=0, dtype="uint8"):
    return generator(seed).integers(0, 256, shape).astype(dtype)


def mirror(images, rng, strength):
    """With the signature of the others; strength 0 is asked of the others only."""
    return random_mirror(images, rng)


# function: the draws of all images, and what they make of one
TRANSFORMS = {
    mirror: (lambda rng, n: rng.random(n), lambda image, draws, strength: slow.mirror(image, draws)),
    padded_crop: (lambda rng, n: rng.random((n, 2)), slow.pad),
    resized_crop: (lambda rng, n: rng.random((n, 4)), slow.crop),
    colour_changes: (lambda rng, n: rng.uniform(-1, 1, (n, 4)), slow.colours),
    random_erasing: (lambda rng, n: rng.random((n, 5)), slow.erase),
    elastic_distortion: (lambda rng, n: rng.standard_normal((n, 2, 8, 8)), slow.bend),
}
EVERY = [*TRANSFORMS, random_photo]
NAMES = {"ids": lambda function: getattr(function, "__name__", None)}


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("function", TRANSFORMS, **NAMES)
def test_definition(function, shape, dtype):
    draws_of, of_one = TRANSFORMS[function]
    images, strength = draw(shape, dtype=dtype), 4.0 if function in (padded_crop, resized_crop) else 0.8
    new, draws = function(images, generator(), strength), draws_of(generator(), len(images))
    assert new.shape == shape and new.dtype == dtype
    for i, image in enumerate(images):
        wanted = image if function is colour_changes and shape[1] != 3 else of_one(image, draws[i], strength)
        if dtype == "uint8":  # within rounding
            assert abs(new[i] - np.clip(wanted, 0, 255)).max() <= 0.5 + 0.01
        else:
            np.testing.assert_allclose(new[i], wanted, atol=0.01)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("function", [one for one in EVERY if one is not mirror], **NAMES)
def test_strength_zero_is_the_identity(function, dtype):
    images = draw((5, 3, 11, 8), dtype=dtype)
    np.testing.assert_allclose(function(images, generator(), 0), images, atol=0 if dtype == "uint8" else 1e-4)


@pytest.mark.parametrize("function", EVERY, **NAMES)
@hypothesis.given(st.tuples(*[st.integers(1, n) for n in (4, 4, 9, 9)]), st.floats(0, 8), st.integers(0, 99))
def test_values_stay_in_their_range(function, shape, strength, seed):
    images = draw(shape, seed)
    new = function(images, generator(seed), strength)
    assert new.shape == shape and new.dtype == np.uint8
    moves = function in (mirror, padded_crop, resized_crop, elastic_distortion, random_erasing)
    if moves or shape[1] != 3:  # what makes no new colours stays between the old ones
        assert new.min() >= images.min() and new.max() <= images.max()


@pytest.mark.parametrize("function", EVERY, **NAMES)
def test_an_image_does_not_depend_on_the_others(function, monkeypatch):
    """Nor on how many are worked on together."""
    images = draw((40, 3, 11, 8))
    together = function(images, generator(1), 4.0)
    np.testing.assert_array_equal(function(images[:7], generator(1), 4.0), together[:7])
    other = images.copy()
    other[3] = 200
    changed = (function(other, generator(1), 4.0) != together).any((1, 2, 3))
    assert set(np.flatnonzero(changed)) <= {3}
    for values in (1, 3 * 11 * 8 * 3 + 1):
        monkeypatch.setattr(sampling, "VALUES_AT_ONCE", values)
        assert function(images, generator(1), 4.0).tobytes() == together.tobytes()


@pytest.mark.parametrize("function", EVERY, **NAMES)
def test_inputs_are_left_alone_and_may_be_strided(function):
    images = draw((4, 11, 8, 6))
    before, view = images.copy(), images.transpose(0, 2, 1, 3)[:, :3, ::2]
    view.flags.writeable = False
    new = function(view, generator(), 4.0)
    np.testing.assert_array_equal(new, function(view.copy(), generator(), 4.0))
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("function", EVERY, **NAMES)
def test_another_generator_gives_other_images(function):
    images = draw((12, 3, 16, 20))
    one, again, other = (function(images, generator(seed), 4.0) for seed in (1, 1, 2))
    assert one.tobytes() == again.tobytes() != other.tobytes()


def test_mirroring_twice_is_the_identity():
    images = draw((30, 2, 5, 7))
    once = random_mirror(images, generator())
    assert 5 < (once != images).any((1, 2, 3)).sum() < 25
    np.testing.assert_array_equal(random_mirror(once, generator()), images)


def test_a_padded_crop_goes_as_far_as_it_says_and_no_farther():
    row = np.arange(50, dtype=np.uint8)
    images = np.broadcast_to(row, (600, 1, 50, 50))
    shifts = padded_crop(images, generator(), 1.0)[:, 0, 8, 8].astype(int) - 8
    assert sorted(set(shifts)) == [-2, -1, 0, 1, 2] and abs(np.mean(shifts)) < 0.3


def test_a_resized_crop_has_the_area_that_it_says():
    """On a ramp along each axis, the slope of the new one is the crop's share of the side."""
    ramp = np.broadcast_to(np.linspace(0, 255, 64, dtype="float32"), (500, 1, 64, 64))
    across = np.diff(resized_crop(ramp, generator(), 8.0)[:, 0, 32, 20:44]).mean(1) / (255 / 63)
    down = np.diff(resized_crop(ramp.swapaxes(2, 3), generator(), 8.0)[:, 0, 20:44, 32]).mean(1) / (255 / 63)
    area = across * down
    assert 0.6 - 1e-3 < area.min() < 0.63 and 0.98 < area.max() < 1 + 1e-3
    assert 1.03**-8 - 1e-3 < (across / down).min() < 0.85 and 1.2 < (across / down).max() < 1.03**8 + 1e-3


def test_grey_images_keep_their_colours():
    images = draw((4, 1, 9, 8))
    assert colour_changes(images, generator(), 1.0) is images


def test_hues_are_turned_from_red_to_green_to_blue():
    half, third = hue_rotations(np.array([np.pi, 2 * np.pi / 3]))
    red, grey = np.array([1.0, 0, 0]), np.ones(3)
    np.testing.assert_allclose([third @ red, third @ third @ red], [[0, 1, 0], [0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(half @ red, [-1 / 3, 2 / 3, 2 / 3], atol=1e-12)
    np.testing.assert_allclose([half @ grey, third @ grey], [grey, grey], atol=1e-12)


def test_a_share_of_the_images_is_erased():
    images = np.where(np.arange(900)[:, None, None, None] % 2, draw((900, 3, 20, 24)), 7).astype(np.uint8)
    new = random_erasing(images, generator(), 0.25)
    changed = (new != images).any(1)[1::2]  # (450, 20, 24); of one colour nothing is seen
    assert 0.18 < changed.any((1, 2)).mean() < 0.32
    share = changed.mean((1, 2))[changed.any((1, 2))]
    assert 0.005 < share.min() and share.max() < 0.38
    np.testing.assert_array_equal(new[::2], images[::2])


def test_memory_is_bounded():
    """By the result and a few times what is worked on together, however many images there are."""
    import tracemalloc

    images = draw((64, 3, 96, 96))
    for function in EVERY:
        tracemalloc.start()
        function(images, generator(), 1.0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3 * images.nbytes + 64 * sampling.VALUES_AT_ONCE, function.__name__
