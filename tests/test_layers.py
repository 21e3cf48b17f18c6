"""Frozen layers: nothing is computed or kept for them, and the others' gradients are the same to the last bit."""

import numpy as np
import pytest

import minivit.embedding
import minivit.model
from minivit.config import ViTConfig
from minivit.gradcheck.model_cases import SWITCHES
from minivit.layers import layer_of, trained
from minivit.masks import draw_masks
from minivit.model import vit_backward, vit_forward
from minivit.ops import cross_entropy_backward, cross_entropy_forward
from minivit.parallel import WorkerPool, loss_and_grads
from minivit.shapes import parameter_shapes

CLASSIFYING = {name: switch for name, switch in SWITCHES.items() if switch.config.classes is not None}
PAIRS = ("linear_backward", "mlp_backward", "layernorm_backward", "pool_backward", "block_backward")


def test_layers_count_from_the_input():
    config = ViTConfig(depth=3, registers=2, layer_scale=0.1, pre_norm=True, head_hidden=5)
    layers = [layer_of(name, 3) for name in parameter_shapes(config)]
    assert layers == sorted(layers) and set(layers) == set(range(6))
    in_front = [name for name in parameter_shapes(config) if layer_of(name, 3) == 0]
    assert {name.split(".")[0] for name in in_front} == {
        "patch_embed", "cls_token", "reg_token", "pos_embed", "norm_pre",
    }  # fmt: skip
    assert layer_of("blocks.11.attn.qkv.weight", 12) == 12
    assert layer_of("norm.bias", 12) == layer_of("fc_norm.weight", 12) == 13
    assert layer_of("head.weight", 12) == layer_of("head.fc1.bias", 12) == 14


def gradients(switch, frozen, masks, params):
    images, labels = switch.batch()
    logits, cache = vit_forward(params, images, switch.config, masks, frozen=frozen)
    _, loss_cache = cross_entropy_forward(logits, labels, switch.label_smoothing)
    return logits, cache, *vit_backward(cross_entropy_backward(1.0, loss_cache), cache)


@pytest.mark.parametrize("name", CLASSIFYING)
def test_the_rest_has_the_gradients_that_it_has_unfrozen(name):
    switch = CLASSIFYING[name]
    config, params = switch.config, switch.model().params
    masks = draw_masks(config, len(switch.batch()[0]), np.random.default_rng(5), "float64")
    logits, _, whole, dimages = gradients(switch, 0, masks, params)
    assert list(whole) == list(params) and dimages is not None
    for frozen in range(1, config.depth + 3):
        again, cache, grads, dimages = gradients(switch, frozen, masks, params)
        assert again.tobytes() == logits.tobytes() and dimages is None
        assert list(grads) == [name for name in params if layer_of(name, config.depth) >= frozen]
        assert grads.flat.size < whole.flat.size
        for tensor, gradient in grads.items():
            assert gradient.tobytes() == whole[tensor].tobytes(), tensor
        kept = [block is not None for block in cache.blocks]
        assert kept == [i + 1 >= frozen for i in range(config.depth)] and cache.embed is None


def test_the_trained_part_is_the_end_of_the_vector():
    switch = next(iter(SWITCHES.values()))
    params = switch.model().params
    assert trained(params, switch.config, 0) is params
    for frozen in range(1, switch.config.depth + 3):
        part = trained(params, switch.config, frozen)
        assert np.shares_memory(part.flat, params.flat) and list(part) == list(params)[-len(part) :]
        assert all(np.shares_memory(part[name], params[name]) for name in part)


@pytest.mark.parametrize("frozen", range(5))
def test_nothing_runs_backward_below(frozen, monkeypatch):
    """Counted: of a model of two blocks, which operations of the backward pass are called."""
    calls = []

    def count(module, name):
        function = getattr(module, name)

        def counting(*arguments, **more):
            calls.append(name)
            return function(*arguments, **more)

        monkeypatch.setattr(module, name, counting)

    for name in PAIRS:
        count(minivit.model, name)
    count(minivit.model, "embed_backward")
    switch = next(iter(SWITCHES.values()))
    assert switch.config.depth == 2
    gradients(switch, frozen, None, switch.model().params)
    blocks = min(2, 3 - frozen) if frozen < 4 else 0
    assert calls.count("block_backward") == blocks
    assert calls.count("embed_backward") == (frozen == 0)
    assert calls.count("layernorm_backward") == calls.count("pool_backward") == (frozen < 4)
    assert calls.count("linear_backward") == 1


def test_frozen_layers_drop_nothing():
    config = ViTConfig(depth=3, dropout=0.2, attention_dropout=0.1, drop_path=0.3)
    for frozen in range(1, 6):
        masks = draw_masks(config, 4, np.random.default_rng(1), "float32", frozen=frozen)
        assert masks.embed is None and len(masks.blocks) == 3
        for i, block in enumerate(masks.blocks):
            assert all((mask is None) == (i + 1 < frozen) for mask in block)


def test_embeddings_are_read_by_the_head_alone():
    """As the frozen model makes them, they give its logits, loss and gradients, and in one shard."""
    switch = next(iter(SWITCHES.values()))
    config, params = switch.config, switch.model().params
    images, labels = switch.batch()
    headless = ViTConfig(**{**config.to_dict(), "classes": None})
    embeddings, _ = vit_forward(params, images, headless, keep_cache=False)
    assert embeddings.shape == (len(images), config.features)
    logits, cache, expected, _ = gradients(switch, config.depth + 2, None, params)
    found, cache = vit_forward(params, embeddings, config)
    assert found.tobytes() == logits.tobytes() and cache.frozen == config.depth + 2
    all_frozen = {"frozen": config.depth + 2}
    with WorkerPool(1) as pool:
        one = loss_and_grads(params, embeddings, labels, config, pool, **all_frozen)
        other = loss_and_grads(params, images, labels, config, pool, **all_frozen)
    assert list(one.grads) == list(expected) == ["head.weight", "head.bias"]
    np.testing.assert_allclose(one.grads.flat, other.grads.flat, rtol=1e-12)
    assert float(one.loss) == pytest.approx(float(other.loss), rel=1e-12)
