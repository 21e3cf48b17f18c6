"""Cutting images into patches, for images of any shape."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minivit.ops.patches import patch_embed_backward, patch_embed_forward, patchify, unpatchify

from .strategies import SEEDS, normal, sizes

SHAPES = st.tuples(sizes(), sizes(1, 3), sizes(1, 4), sizes(1, 4), sizes(1, 4))  # B, C, patches down, across, P


@given(SHAPES, SEEDS)
def test_patches_put_back_are_the_image(shape, seed):
    B, C, down, across, P = shape
    images = normal(seed, B, C, down * P, across * P)
    patches = patchify(images, P)
    assert patches.shape == (B, down * across, C * P * P)
    np.testing.assert_array_equal(unpatchify(patches, images.shape[-2:], P), images)


@given(SHAPES, SEEDS)
def test_patches_run_row_by_row_and_hold_channel_after_channel(shape, seed):
    B, C, down, across, P = shape
    images = normal(seed, B, C, down * P, across * P)
    patches = patchify(images, P).reshape(B, down, across, C, P, P)
    for r in range(down):
        for c in range(across):
            square = images[:, :, r * P : (r + 1) * P, c * P : (c + 1) * P]
            np.testing.assert_array_equal(patches[:, r, c], square)


@given(SHAPES, sizes(1, 5), SEEDS)
def test_embedding_patches_is_a_strided_convolution(shape, D, seed):
    B, C, down, across, P = shape
    images, W, b = normal(seed, B, C, down * P, across * P), normal(seed, C * P * P, D), normal(seed, D)
    y, cache = patch_embed_forward(images, W, b, P)
    kernel = W.reshape(C, P, P, D)
    windows = np.lib.stride_tricks.sliding_window_view(images, (P, P), (2, 3))[:, :, ::P, ::P]  # (B, C, h, w, P, P)
    expected = np.einsum("bchwpq,cpqd->bhwd", windows, kernel) + b
    np.testing.assert_allclose(y, expected.reshape(B, down * across, D), rtol=1e-12, atol=1e-12)

    dy = normal(seed + 1, *y.shape)
    dimages, dW, db = patch_embed_backward(dy, cache)
    dgrid = dy.reshape(B, down, across, D)
    transposed = np.zeros_like(images)
    for p in range(P):
        for q in range(P):
            transposed[:, :, p::P, q::P] = np.einsum("bhwd,cd->bchw", dgrid, kernel[:, p, q])
    np.testing.assert_allclose(dimages, transposed, rtol=1e-12, atol=1e-12)
    expected = np.einsum("bchwpq,bhwd->cpqd", windows, dgrid).reshape(W.shape)
    np.testing.assert_allclose(dW, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(db, dy.sum((0, 1)), rtol=1e-12, atol=1e-12)
