"""The images of a batch do not see each other, whatever the model."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from minivit.initial import initial_params
from minivit.masks import Masks, draw_masks
from minivit.model import vit_backward, vit_forward
from minivit.ops.block import BlockMasks
from minivit.ops.loss import cross_entropy_backward, cross_entropy_forward

from .strategies import SEEDS, configs, normal, sizes


def loss_and_gradients(params, images, labels, config, masks):
    """Logits, mean loss, its gradient for the parameters and for the images."""
    logits, cache = vit_forward(params, images, config, masks)
    loss, loss_cache = cross_entropy_forward(logits, labels, label_smoothing=0.1)
    grads, dimages = vit_backward(cross_entropy_backward(1.0, loss_cache), cache)
    return logits, loss, grads, dimages


def rows_of(masks, rows):
    """The masks of some of the images."""

    def part(mask):
        return None if mask is None else mask[rows]

    blocks = tuple(BlockMasks(*map(part, block)) for block in masks.blocks)
    return Masks(part(masks.embed), blocks, part(masks.kept))


def close(a, b, size=1.0):
    np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-11 * max(1, size))


@given(configs(), sizes(2, 4), SEEDS, st.booleans())
@settings(max_examples=50)
def test_a_batch_is_its_images_one_by_one(config, B, seed, dropping):
    params = initial_params(config, seed=seed, dtype="float64")
    params.flat += 0.1 * normal(seed, params.flat.size)  # biases and scales that are not 0 and 1
    images = normal(seed, B, *config.image_shape)
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, config.classes, B)
    masks = draw_masks(config, B, rng, "float64") if dropping else None
    logits, loss, grads, dimages = loss_and_gradients(params, images, labels, config, masks)

    losses, mean = 0.0, np.zeros_like(grads.flat)
    for i in range(B):
        one = slice(i, i + 1)
        alone = loss_and_gradients(params, images[one], labels[one], config, masks and rows_of(masks, one))
        close(alone[0], logits[one])
        close(alone[3] / B, dimages[one], np.abs(dimages).max())
        losses += alone[1] / B
        mean += alone[2].flat / B
    close(losses, loss)
    close(mean, grads.flat, np.abs(grads.flat).max())


@given(configs(), SEEDS)
@settings(max_examples=25)
def test_every_entry_of_given_gradients_is_filled(config, seed):
    params = initial_params(config, seed=seed, dtype="float64")
    images = normal(seed, 2, *config.image_shape)
    logits, cache = vit_forward(params, images, config)
    dlogits = normal(seed, *logits.shape)
    given_grads = params.empty_like()
    given_grads.flat[...] = np.nan
    filled, _ = vit_backward(dlogits, cache, given_grads)
    assert filled is given_grads
    np.testing.assert_array_equal(filled.flat, vit_backward(dlogits, cache)[0].flat)
    assert np.isfinite(filled.flat).all()
