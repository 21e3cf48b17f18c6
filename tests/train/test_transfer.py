"""Training a part of a model, and its layers at rates of their own."""

import copy

import numpy as np
import pytest

from minivit.errors import ConfigError
from minivit.layers import layer_of, layer_rates
from minivit.optim import rates_vector
from minivit.train import TrainConfig, Trainer
from minivit.vit import ViT
from tests.tools import tiny

CONFIG = {"learning_rate": 1e-2, "threads": 1, "weight_decay": 0.1, "clip_norm": None}
DEPTH = tiny.MODEL["depth"]


def trainer(**settings):
    return Trainer(ViT(tiny.config()), TrainConfig(**{**CONFIG, **settings}))


@pytest.mark.parametrize("freeze, frozen", [(None, 0), (1, 2), (2, 3), ("all", 4)])
def test_only_what_is_not_frozen_learns(freeze, frozen):
    one, (images, labels) = trainer(freeze=freeze, ema=0.9), tiny.images(6)
    before = one.model.params.copy()
    for _ in range(3):
        one.step(images, labels)
    assert one.frozen == frozen
    averaged = one.averaged_model().params
    for name, value in one.model.params.items():
        changes = layer_of(name, DEPTH) >= frozen
        assert (value.tobytes() != before[name].tobytes()) == changes, name
        assert (averaged[name].tobytes() != before[name].tobytes()) == changes, name
    learns = sum(value.size for name, value in before.items() if layer_of(name, DEPTH) >= frozen)
    assert {len(v) for v in (one.state.m, one.state.v, one.ema, one.decay)} == {learns}


def test_a_frozen_part_changes_nothing_for_the_rest_of_a_first_step():
    whole, part, (images, labels) = trainer(), trainer(freeze=1), tiny.images(6)
    for one in (whole, part):
        one.step(images, labels)
    for name, value in part.trained.items():
        assert value.tobytes() == whole.model.params[name].tobytes(), name


def test_a_copy_trains_its_own_parameters():
    one, (images, labels) = trainer(freeze=2), tiny.images(6)
    other = copy.deepcopy(one)
    before = one.model.params.copy()
    other.step(images, labels)
    assert one.model.params == before and other.model.params != before


def test_what_cannot_be_frozen_is_refused():
    with pytest.raises(ConfigError, match="freeze is 3, but the model has 2 blocks: freeze fewer, or all"):
        trainer(freeze=3)
    for wrong, message in ((0, "at least 1, not 0"), ("none", "a number of blocks, or all, not 'none'")):
        with pytest.raises(ConfigError, match=f"freeze must be {message}"):
            TrainConfig(freeze=wrong)
    for wrong in (0.0, 1.5, -0.5):
        with pytest.raises(ConfigError, match=r"layer_decay must lie in \(0, 1\]"):
            TrainConfig(layer_decay=wrong)


def test_the_rates_are_those_of_mae():
    """decay^(L + 1 - layer), the head's layer being L + 1."""
    params = ViT(tiny.config()).params
    rates = layer_rates(params, DEPTH, 0.5)
    assert rates["patch_embed.proj.bias"] == rates["cls_token"] == rates["pos_embed"] == 0.5**3
    assert rates["blocks.0.norm1.weight"] == 0.5**2 and rates["blocks.1.mlp.fc2.bias"] == 0.5
    assert rates["norm.weight"] == rates["head.weight"] == 1
    vector = rates_vector(params.shapes, rates, "float32")
    assert vector.shape == params.flat.shape and vector.dtype == "float32"
    assert set(vector[-params["head.bias"].size :]) == {1.0} and vector[0] == 0.125


@pytest.mark.parametrize("freeze", [None, 1])
def test_each_layer_moves_at_its_own_rate(freeze):
    """A first step moves an entry by its rate, whatever the size of its gradient; a decay of 1 changes nothing."""
    one, (images, labels) = trainer(layer_decay=0.5, weight_decay=0.0, freeze=freeze), tiny.images(6)
    whole, same = trainer(weight_decay=0.0, freeze=freeze), trainer(weight_decay=0.0, freeze=freeze, layer_decay=1.0)
    before = one.model.params.copy()
    for each in (one, whole, same):
        each.step(images, labels)
    assert same.model.params == whole.model.params
    for name, rate in layer_rates(one.trained, DEPTH, 0.5).items():
        moved, full = (each.model.params[name] - before[name] for each in (one, whole))
        np.testing.assert_allclose(moved, rate * full, rtol=1e-3, atol=1e-7, err_msg=name)


def test_weight_decay_is_at_the_layers_rate_too():
    settings = {"weight_decay": 0.5, "freeze": None}
    params = {}
    for decay in (None, 0.25):
        one = trainer(layer_decay=decay, **settings)
        before = one.model.params.copy()
        images, labels = tiny.images(6)
        one.step(images, labels)
        without = trainer(layer_decay=decay, weight_decay=0.0)
        without.step(images, labels)
        name = "blocks.0.attn.proj.weight"
        params[decay] = (one.model.params[name] - without.model.params[name]) / before[name]
    np.testing.assert_allclose(params[0.25], 0.25**2 * params[None], rtol=0.05)
