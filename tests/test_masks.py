"""Dropout masks: kept or scaled, as often as they should be, and the same for the same generator."""

import numpy as np
import pytest

from minivit import ViT, ViTConfig, vit_backward, vit_forward
from minivit.masks import Masks, draw_masks
from minivit.ops import patchify

SIZES = dict(image_size=14, dim=24, heads=3, depth=4)


def draw(batch=400, seed=0, dtype="float64", **dropouts):
    config = ViTConfig(**SIZES, **dropouts)
    return draw_masks(config, batch, np.random.default_rng(seed), dtype)


def assert_drops(mask, p):
    """Zeros with probability p, to five standard deviations, and 1/(1 - p) elsewhere: the mean stays 1."""
    kept = mask[mask != 0]
    np.testing.assert_allclose(kept, 1 / (1 - p), rtol=1e-6)
    assert abs(1 - kept.size / mask.size - p) < 5 * (p * (1 - p) / mask.size) ** 0.5


def test_nothing_is_drawn_without_dropouts():
    assert draw() is None


@pytest.mark.parametrize("p", [0.1, 0.7])
def test_dropout_is_on_the_embeddings_and_both_branches(p):
    masks = draw(dropout=p)
    for mask in (masks.embed, *(m for block in masks.blocks for m in (block.attn_branch, block.mlp_branch))):
        assert mask.shape == (400, 5, 24)
        assert_drops(mask, p)
    assert all(block.attn is None for block in masks.blocks)


def test_attention_dropout_is_on_the_weights():
    masks = draw(attention_dropout=0.3)
    assert masks.embed is None
    for block in masks.blocks:
        assert block.attn.shape == (400, 3, 5, 5) and block.attn_branch is None and block.mlp_branch is None
        assert_drops(block.attn, 0.3)


def test_stochastic_depth_skips_whole_images_and_grows_with_depth():
    masks = draw(4000, drop_path=0.8)
    for number, block in enumerate(masks.blocks, 1):
        for mask in (block.attn_branch, block.mlp_branch):
            assert mask.shape == (4000, 1, 1)
            assert_drops(mask, 0.8 * number / 4)


def test_dropout_and_stochastic_depth_multiply():
    both = draw(drop_path=0.8, dropout=0.5).blocks[-1].mlp_branch
    assert both.shape == (400, 5, 24)
    np.testing.assert_allclose(np.unique(both), [0, 1 / (0.2 * 0.5)], rtol=1e-12)
    images = (both != 0).any((1, 2))
    assert 0.1 < images.mean() < 0.3
    assert abs((both[images] != 0).mean() - 0.5) < 0.03


def test_no_two_masks_are_alike():
    masks = draw(dropout=0.5)
    drawn = [masks.embed, *(mask for block in masks.blocks for mask in block[1:])]
    assert len({mask.tobytes() for mask in drawn}) == len(drawn) == 9


def test_the_generator_decides_and_the_dtype_only_rounds():
    dropouts = dict(dropout=0.3, attention_dropout=0.2, drop_path=0.5)
    one, again, other = draw(**dropouts), draw(**dropouts), draw(seed=1, **dropouts)
    float32 = draw(dtype="float32", **dropouts)
    assert one.embed.tobytes() == again.embed.tobytes() != other.embed.tobytes()
    for a, b, c in zip(one.blocks, again.blocks, float32.blocks):
        for mask, same, single in zip(a, b, c):
            assert mask.tobytes() == same.tobytes() and single.dtype == np.float32
            np.testing.assert_allclose(single, mask, rtol=1e-6)


def test_patch_dropout_keeps_the_prefix_and_other_patches_in_every_image():
    config = ViTConfig(**SIZES, patch_size=2, patch_dropout=0.4, registers=2)
    kept = draw(400, patch_size=2, patch_dropout=0.4, registers=2).kept
    assert kept.shape == (400, 3 + config.patches_kept) and config.patches_kept == 29
    assert (kept[:, :3] == [0, 1, 2]).all()
    assert (np.diff(kept, axis=1) > 0).all() and kept.max() == config.tokens - 1
    share = (kept[:, 3:, None] == np.arange(3, config.tokens)).any(1).mean(0)
    np.testing.assert_allclose(share, 29 / 49, atol=0.125)  # five standard deviations


def test_other_masks_are_those_of_the_tokens_that_are_left():
    masks = draw(5, patch_dropout=0.5, dropout=0.2, attention_dropout=0.1)
    assert masks.embed.shape[1] == 5
    assert {mask.shape[1] for block in masks.blocks for mask in block[1:]} == {3}
    assert {block.attn.shape[2:] for block in masks.blocks} == {(3, 3)}


def test_a_patch_that_is_left_out_has_no_gradient_and_moves_no_position():
    config = ViTConfig(patch_dropout=0.5, pool="mean", class_token=True)
    model = ViT(config, dtype="float64")
    masks = draw_masks(config, 3, np.random.default_rng(2), "float64")
    images = np.random.default_rng(3).standard_normal((3, *config.image_shape))
    logits, cache = vit_forward(model.params, images, config, masks)
    grads, dimages = vit_backward(np.random.default_rng(4).standard_normal(logits.shape), cache)
    moved = np.abs(patchify(dimages, config.patch_size)).sum(-1) > 0  # (B, N)
    expected = np.zeros((3, 16), bool)
    np.put_along_axis(expected, masks.kept[:, 1:] - 1, True, 1)
    np.testing.assert_array_equal(moved, expected)
    one_image, _ = vit_forward(model.params, images[:1], config, Masks(None, masks.blocks, masks.kept[:1]))
    np.testing.assert_allclose(one_image, logits[:1], rtol=1e-12)
