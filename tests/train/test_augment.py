"""Random affine maps against their definition, pixel by pixel in float64, and what must hold whatever is drawn."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from minivit.data import load
from minivit.train import random_affine

SHAPES = [(3, 1, 28, 28), (4, 2, 7, 12), (2, 3, 12, 7), (1, 1, 1, 5), (50, 1, 28, 28)]


def draw(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def by_definition(image, draws, strength):
    """The same for one image (C, Sh, Sw): the forward matrix of the docstring, inverted by NumPy, and loops."""
    C, Sh, Sw = image.shape
    turn, scale, slant = draws[:3] * strength * [0.22, 0.12, 0.15]
    shift = draws[3:] * strength * 0.14 * np.array([Sw / 2, Sh / 2])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    A = (1 + scale) * rotation @ np.array([[1, slant], [0, 1]])
    centre = np.array([Sw - 1, Sh - 1]) / 2
    moved = np.zeros((C, Sh, Sw))
    for row in range(Sh):
        for column in range(Sw):
            x, y = np.linalg.inv(A) @ (np.array([column, row]) - centre - shift) + centre
            for i in (int(np.floor(y)), int(np.floor(y)) + 1):
                for j in (int(np.floor(x)), int(np.floor(x)) + 1):
                    if 0 <= i < Sh and 0 <= j < Sw:
                        moved[:, row, column] += image[:, i, j] * (1 - abs(y - i)) * (1 - abs(x - j))
    return moved


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("strength", [1.0, 0.7, 3.0])
def test_definition(shape, strength):
    images = draw(shape)
    moved = random_affine(images, np.random.default_rng(5), strength)
    draws = np.random.default_rng(5).uniform(-1, 1, (len(images), 5))
    for i in [0, len(images) - 1]:
        # float32 places, off by 1e-6 of a side, on edges of up to 255
        np.testing.assert_allclose(moved[i], by_definition(images[i], draws[i], strength), atol=0.02)
    assert moved.shape == shape and moved.dtype == np.float32 and moved.flags.c_contiguous


@hypothesis.given(st.tuples(*[st.integers(1, n) for n in (4, 3, 9, 9)]), st.integers(0, 99))
def test_strength_zero_is_the_identity(shape, seed):
    images = draw(shape, seed)
    np.testing.assert_array_equal(random_affine(images, np.random.default_rng(seed), 0), images)


@hypothesis.given(st.tuples(*[st.integers(0, n) for n in (4, 3, 9, 9)]), st.floats(0, 8))
def test_values_stay_in_their_range(shape, strength):
    images = draw(shape)
    moved = random_affine(images, np.random.default_rng(0), strength)
    assert moved.shape == shape and moved.dtype == np.float32
    assert not moved.size or (moved.min() >= -1e-3 and moved.max() <= images.max() + 1e-3)


def test_an_image_does_not_depend_on_the_others():
    images = draw((60, 2, 28, 28))
    together = random_affine(images, np.random.default_rng(1))
    np.testing.assert_array_equal(random_affine(images[:7], np.random.default_rng(1)), together[:7])
    other = images.copy()
    other[3] = 0
    changed = (random_affine(other, np.random.default_rng(1)) != together).any((1, 2, 3))
    assert np.flatnonzero(changed).tolist() == [3]


def test_channels_move_together():
    images = draw((5, 1, 9, 8))
    moved = random_affine(np.concatenate([images, 255 - images], axis=1), np.random.default_rng(2))
    flat = random_affine(np.full_like(images, 255), np.random.default_rng(2))
    np.testing.assert_allclose(moved[:, :1], random_affine(images, np.random.default_rng(2)), atol=1e-3)
    np.testing.assert_allclose(moved.sum(1, keepdims=True), flat, atol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floating_point_keeps_its_scale(dtype):
    images = draw((3, 2, 8, 9))
    scaled = random_affine((images / 255).astype(dtype), np.random.default_rng(0))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled * 255, random_affine(images, np.random.default_rng(0)), atol=1e-3)


def test_inputs_are_left_alone_and_may_be_strided():
    images = draw((4, 9, 8, 6))
    before, view = images.copy(), images.transpose(0, 2, 1, 3)[:, ::2]
    np.testing.assert_array_equal(
        random_affine(view, np.random.default_rng(0)), random_affine(view.copy(), np.random.default_rng(0))
    )
    np.testing.assert_array_equal(images, before)


def test_every_image_moves_another_way_and_none_far():
    digits = load("mnist5k").test.images[:500]
    moved = random_affine(digits, np.random.default_rng(0))
    assert np.all((moved != digits).any((1, 2, 3)))
    mass, before = moved.sum((1, 2, 3)), digits.sum((1, 2, 3), dtype=np.float64)
    assert 0.9 < np.mean(mass / before) < 1.1  # scale 1 ± 0.12, nothing much falls off the edge
    columns = np.arange(28) - 13.5
    centre = (moved.sum((1, 2)) @ columns) / mass - (digits.sum((1, 2)) @ columns) / before
    assert abs(centre.mean()) < 0.2 and 0.8 < centre.std() < 1.5  # uniform within ±0.14 x 14 has 1.13
    assert np.abs(centre).max() < 0.14 * 14 + 0.5


@pytest.mark.parametrize("strength", [-0.1, 8.5, float("nan"), float("inf")])
def test_strength_is_checked(strength):
    with pytest.raises(ValueError, match=f"strength {strength}, expected 0 to 8"):
        random_affine(draw((1, 1, 4, 4)), np.random.default_rng(0), strength)


def test_shape_is_checked():
    with pytest.raises(ValueError, match=r"images of shape \(28, 28\), expected \(n, C, Sh, Sw\)"):
        random_affine(draw((28, 28)), np.random.default_rng(0))
