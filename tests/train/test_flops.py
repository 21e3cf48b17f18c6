"""The count of a training's operations: against the steps that a Trainer takes, and against Muon's own products."""

import dataclasses
import math

import numpy as np
import pytest

from minivit.config import ViTConfig
from minivit.muon import orthogonalised
from minivit.run.settings import config_for
from minivit.shapes import parameter_shapes
from minivit.train import TrainConfig, Trainer, steps_per_epoch
from minivit.train.flops import forward_products, muon_flops, step_flops, training_flops
from minivit.train.recipes import recipe_called
from minivit.vit import ViT
from tests.tools import tiny


@pytest.mark.parametrize(
    "settings",
    [
        {"pool": "mean"},
        {"pool": "cls+patches"},
        {"pool": "mean", "class_token": True},
        {"pool": "cls", "registers": 3},
        {"head_hidden": 11},
        {"classes": None},
    ],
)
def test_the_products_have_the_shapes_of_the_weights(settings):
    config = dataclasses.replace(tiny.config(), **settings)
    shapes = parameter_shapes(config)
    names = {"fc1": "blocks.0.mlp.fc1", "fc2": "blocks.0.mlp.fc2", "qkv": "blocks.0.attn.qkv", "head": "head"}
    products = forward_products(config, 2)
    for product in products:
        name = f"{names.get(product.name)}.weight"
        if name in shapes:
            assert (product.k, product.n) == shapes[name], name
    assert products[1].m == 2 * config.tokens
    heads = [(product.k, product.n) for product in products if product.name == "head"]
    assert heads == [shape for name, shape in shapes.items() if name.startswith("head") and len(shape) == 2]


def test_patch_dropout_counts_as_long_as_it_lasts():
    config = tiny.config(patch_dropout=0.5)
    train = TrainConfig(batch_size=3, patch_dropout_until=0.6, threads=1, keep_memory=False)
    trainer, total = Trainer(ViT(config), train, 7), 0
    for step in range(7):
        trainer.state.step = step
        total += step_flops(trainer.step_config, 3)
        assert training_flops(config, train, step + 1, of=7) == total
    assert training_flops(config, train, 7) == total
    assert total < 7 * step_flops(dataclasses.replace(config, patch_dropout=0.0), 3)


def test_the_products_of_muon():
    counted = []

    class Counting(np.ndarray):
        def __matmul__(self, other):
            counted.append(2 * math.prod(self.shape) * other.shape[-1])
            return np.matmul(np.asarray(self), np.asarray(other)).view(Counting)

    config, rng = ViTConfig(dim=6, mlp_dim=10, heads=2, depth=3), np.random.default_rng(0)
    for shape in [(4, 6, 6), (1, 6, 10), (1, 10, 6)]:  # queries, keys, values, projection; the MLP
        orthogonalised(rng.standard_normal(shape).view(Counting))
    assert 3 * sum(counted) == muon_flops(config)
    train = TrainConfig(batch_size=5, muon=1e-3)
    assert training_flops(config, train, 2) == 2 * (step_flops(config, 5) + muon_flops(config))


@pytest.mark.parametrize(
    "name, images, budget",
    [(None, 3_600, 2.5e12), ("quick", 55_000, 5e12), ("standard", 55_000, 5e13), ("best", 60_000, 2e14)],
)
def test_a_recipe_uses_its_budget_on_digits_and_hardly_less(name, images, budget):
    recipe = recipe_called(name)
    model = config_for(np.zeros((2, 1, 28, 28), np.uint8), 10, recipe.model)
    train = TrainConfig(**recipe.train)
    steps = train.epochs_for(images) * steps_per_epoch(train.batch_size, images)
    assert 0.95 * budget < training_flops(model, train, steps) <= budget
    assert sum(math.prod(shape) for shape in parameter_shapes(model).values()) <= 1_000_000
