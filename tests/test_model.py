"""The model around its operations: parameter counts, initial values, positions, attention maps, refusals."""

import math

import numpy as np
import pytest

from minivit import embedding, model
from minivit.config import ViTConfig
from minivit.initial import initial_params
from minivit.masks import draw_masks
from minivit.model import vit_backward, vit_forward
from minivit.ops.positions import sincos1d, sincos2d
from minivit.shapes import parameter_shapes

SMALL = {"image_size": (4, 6), "patch_size": 2, "channels": 2, "classes": 5, "dim": 8, "depth": 2, "heads": 2}
PUBLISHED = {  # ViT-<name>/16 at 224 x 224 with 1,000 classes: width, heads, parameters
    "Tiny": (192, 3, 5_717_416),
    "Small": (384, 6, 22_050_664),
    "Base": (768, 12, 86_567_656),
}


def count(config):
    return sum(map(math.prod, parameter_shapes(config).values()))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_have_their_published_number_of_parameters(name):
    dim, heads, parameters = PUBLISHED[name]
    config = ViTConfig(
        image_size=224, patch_size=16, channels=3, classes=1000, dim=dim, depth=12, heads=heads, mlp_dim=4 * dim
    )
    assert count(config) == parameters


def test_each_switch_changes_the_parameters_that_it_says():
    base = parameter_shapes(ViTConfig(**SMALL))
    assert base["pos_embed"] == (1, 7, 8) and base["cls_token"] == (1, 1, 8)

    def difference(**settings):
        other = parameter_shapes(ViTConfig(**{**SMALL, **settings}))
        return {name for name in {*base, *other} if base.get(name) != other.get(name)}

    assert difference(pool="mean") == {"cls_token", "pos_embed"}
    assert difference(positions="sincos2d") == {"pos_embed"}
    assert difference(qkv_bias=False) == {"blocks.0.attn.qkv.bias", "blocks.1.attn.qkv.bias"}
    assert difference(head_hidden=3) == {"head.weight", "head.bias"} | {
        f"head.{layer}.{kind}" for layer in ("fc1", "fc2") for kind in ("weight", "bias")
    }


def test_initial_values():
    """Matrices: 0.7/sqrt(fan in) of a normal cut off at two, whose own standard deviation is 0.8796."""
    params = initial_params(ViTConfig(dim=256, heads=4, mlp_dim=512, depth=1, image_size=56), dtype="float64")
    for name, value in params.items():
        if value.ndim > 1:
            std = 0.7 / math.sqrt(value.shape[0]) if value.ndim == 2 else 0.02
            assert abs(value).max() <= 2 * std, name
            if value.size > 5000:
                assert value.std() == pytest.approx(0.87963 * std, rel=0.02), name
                assert abs(value).max() > 1.98 * std, name
                assert abs(value.mean()) < 0.05 * std, name
        else:
            assert (value == ("norm" in name and name.endswith("weight"))).all(), name


def test_initial_values_are_named_by_the_seed_alone():
    config = ViTConfig(**SMALL)
    one, again, other = (initial_params(config, seed, "float64").flat for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    np.testing.assert_array_equal(initial_params(config).flat, initial_params(config, seed=0).flat)
    np.testing.assert_array_equal(initial_params(config, 3, "float32").flat, one.astype("float32"))
    assert initial_params(config).flat.dtype == np.float32


@pytest.mark.parametrize("pool", ["cls", "mean"])
@pytest.mark.parametrize("positions, pattern", [("sincos1d", sincos1d(np, 6, 8)), ("sincos2d", sincos2d(np, 2, 3, 8))])
def test_fixed_positions_are_those_learned_ones_would_have_to_be(positions, pattern, pool):
    """The class token's place gets zeros."""
    images = np.random.default_rng(1).standard_normal((2, 2, 4, 6))
    fixed = initial_params(ViTConfig(**SMALL, positions=positions, pool=pool), dtype="float64")
    learned = initial_params(ViTConfig(**SMALL, pool=pool), dtype="float64")
    for name, value in fixed.items():
        learned[name] = value
    learned["pos_embed"] = np.concatenate([np.zeros((int(pool == "cls"), 8)), pattern])[None]
    logits, _ = vit_forward(fixed, images, ViTConfig(**SMALL, positions=positions, pool=pool))
    expected, _ = vit_forward(learned, images, ViTConfig(**SMALL, pool=pool))
    np.testing.assert_array_equal(logits, expected)


def test_the_cache_holds_the_attention_of_all_tokens_on_request():
    config = ViTConfig(**SMALL)
    params = initial_params(config)
    images = np.random.default_rng(1).standard_normal((3, 2, 4, 6)).astype("float32")
    logits, cache = vit_forward(params, images, config, all_tokens=True)
    for block in cache.blocks:
        assert block.attn.dot.softmax.y.shape == (3, 2, 7, 7)
        np.testing.assert_allclose(block.attn.dot.softmax.y.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(logits, vit_forward(params, images, config)[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_last_block_for_the_class_token_only_is_the_same_function(dropout):
    """Same logits and gradients as with every token of it, dropouts on or off, and its caches hold one query."""
    config = ViTConfig(**SMALL | {"dropout": dropout, "attention_dropout": dropout, "drop_path": dropout / 2})
    params = initial_params(config, dtype="float64")
    images = np.random.default_rng(1).standard_normal((3, 2, 4, 6))
    dlogits = np.random.default_rng(2).standard_normal((3, 5))
    masks = draw_masks(config, 3, np.random.default_rng(3), "float64")
    logits, cache = vit_forward(params, images, config, masks)
    full_logits, full_cache = vit_forward(params, images, config, masks, all_tokens=True)
    np.testing.assert_allclose(logits, full_logits, rtol=0, atol=1e-13)
    (grads, dimages), (full_grads, full_dimages) = vit_backward(dlogits, cache), vit_backward(dlogits, full_cache)
    np.testing.assert_allclose(grads.flat, full_grads.flat, rtol=0, atol=1e-13)
    np.testing.assert_allclose(dimages, full_dimages, rtol=0, atol=1e-13)
    queries = [block.attn.dot.q.shape[2] for c in (cache, full_cache) for block in c.blocks]
    assert queries == [config.tokens, 1, config.tokens, config.tokens]


def test_gradients_may_be_asked_for_twice_and_into_a_given_place():
    config = ViTConfig(**SMALL)
    params = initial_params(config, dtype="float64")
    _, cache = vit_forward(params, np.random.default_rng(1).standard_normal((3, 2, 4, 6)), config)
    dlogits = np.random.default_rng(2).standard_normal((3, 5))
    grads, dimages = vit_backward(dlogits, cache)
    place = params.empty_like()
    place.flat[...] = np.nan
    given, again = vit_backward(dlogits, cache, place)
    assert given is place
    np.testing.assert_array_equal(given.flat, grads.flat)
    np.testing.assert_array_equal(dimages, again)
    assert list(grads) == list(params)


@pytest.mark.parametrize(
    "images, message",
    [
        (np.zeros((2, 4, 6), "float32"), r"expected \(batch, 2, 4, 6\)"),
        (np.zeros((2, 2, 6, 4), "float32"), r"images of shape \(2, 2, 6, 4\) do not fit"),
        (np.zeros((1, 2, 2, 4, 6), "float32"), "do not fit this model"),
        (np.zeros((0, 2, 4, 6), "float32"), "empty batch"),
        (np.zeros((2, 2, 4, 6), "float64"), "images are float64, the model is float32"),
        (np.zeros((2, 2, 4, 6), "uint8"), "use predict for uint8 images"),
    ],
)
def test_images_that_do_not_fit_are_refused(images, message):
    config = ViTConfig(**SMALL)
    with pytest.raises(ValueError, match=message):
        vit_forward(initial_params(config), images, config)
    one, _ = vit_forward(initial_params(config), np.zeros((1, 2, 4, 6), "float32"), config)
    assert one.shape == (1, 5)


@pytest.mark.parametrize("positions", ["learned", "sincos2d"])
def test_without_pixels_the_gradients_are_the_same(positions):
    """The pixels' gradient is left out, its product and its copy with it, and nothing else."""
    config = ViTConfig(**SMALL, positions=positions)
    params = initial_params(config, dtype="float64")
    rng = np.random.default_rng(3)
    images = rng.standard_normal((3, 2, 4, 6))
    logits, cache = vit_forward(params, images, config)
    dlogits = rng.standard_normal(logits.shape)
    grads, dimages = vit_backward(dlogits, cache)
    alone, nothing = vit_backward(dlogits, cache, pixels=False)
    assert dimages.shape == images.shape and nothing is None
    np.testing.assert_array_equal(grads.flat, alone.flat)


def test_gradients_are_written_where_they_are_kept(monkeypatch):
    """No operation returns another array than the view it was given, so nothing is copied."""
    config = ViTConfig(**SMALL, head_hidden=5)
    params = initial_params(config, dtype="float64")
    images = np.random.default_rng(3).standard_normal((3, 2, 4, 6))
    logits, cache = vit_forward(params, images, config)
    pairs = []
    for module in ("model", "embedding"):
        monkeypatch.setattr(
            f"minivit.{module}.keep", lambda gradients, views: pairs.extend(zip(gradients, views, strict=True))
        )
    grads, _ = vit_backward(np.ones_like(logits), cache)
    held = [view for _, view in pairs if view is not None]
    assert len(held) == len(grads) and all(gradient is view for gradient, view in pairs)


def test_an_operation_that_ignores_where_to_write_is_copied(monkeypatch):
    """Whoever edits an operation may return a new array: its gradient must not be lost."""
    config = ViTConfig(**SMALL)
    params = initial_params(config, dtype="float64")
    images = np.random.default_rng(3).standard_normal((3, 2, 4, 6))
    logits, cache = vit_forward(params, images, config)
    dlogits = np.random.default_rng(4).standard_normal(logits.shape)
    expected, _ = vit_backward(dlogits, cache)
    backward = model.block_backward
    monkeypatch.setattr(model, "block_backward", lambda dy, cache, out: backward(dy, cache))
    grads = params.empty_like()
    grads.flat[...] = np.nan
    np.testing.assert_array_equal(vit_backward(dlogits, cache, grads)[0].flat, expected.flat)


def test_fixed_positions_are_made_once(monkeypatch):
    config = ViTConfig(**SMALL, positions="sincos1d", norm_eps=1.25e-6)  # a config that no other test has
    made = []
    monkeypatch.setattr(embedding, "sincos1d", lambda *arguments: made.append(1) or sincos1d(*arguments))
    params = initial_params(config)
    images = np.random.default_rng(3).standard_normal((3, 2, 4, 6)).astype("float32")
    for _ in range(3):
        vit_forward(params, images, config)
    assert len(made) == 1
