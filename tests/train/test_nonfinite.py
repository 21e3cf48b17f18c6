"""When training goes wrong: which operation made the first NaN, and can the model learn at all?"""

import sys

import numpy as np
import pytest

import minivit.embedding
import minivit.ops
from minivit.preprocess import to_inputs
from minivit.train.config import TrainConfig
from minivit.train.nonfinite import first_not_finite
from minivit.train.trainer import Trainer
from minivit.vit import ViT
from tests.tools import tiny


def trainer(**settings):
    return Trainer(ViT(tiny.config(**settings)), TrainConfig(threads=1, keep_memory=False))


def first(one):
    images, labels = tiny.images(6)
    return first_not_finite(one, to_inputs(images, one.model.config, "float32"), labels)


HUGE = {  # a parameter, and where the arithmetic with it overflows first
    "patch_embed.proj.weight": "linear_forward in patch_embed_forward in embed_forward produced the first of them",
    "blocks.0.attn.qkv.weight": "linear_forward in attention_forward in block_forward of block 0 produced",
    "blocks.1.attn.proj.weight": "linear_forward in attention_forward in block_forward of block 1 produced",
    "blocks.0.norm2.weight": "layernorm_forward in block_forward of block 0 produced",
    "blocks.1.mlp.fc1.weight": "linear_forward in mlp_forward in block_forward of block 1 produced",
    "norm.weight": "layernorm_forward produced",
    "head.weight": "linear_forward in head_forward produced",
}


@pytest.mark.parametrize("name", HUGE)
def test_the_first_operation_of_a_forward_pass_is_named(name):
    one = trainer()
    one.model.params[name] = np.full_like(one.model.params[name], 3.4e38)
    before = one.model.params.flat.copy()
    assert first(one).startswith(HUGE[name])
    np.testing.assert_array_equal(one.model.params.flat, before)
    assert one.state.step == 0


BACKWARD = {  # a module, the pair in it whose backward pass fails, and in which block of two that is seen first
    "gelu": ("mlp", "gelu_backward in mlp_backward in block_backward of block 1 produced"),
    "softmax": (
        "attention",
        "softmax_backward in dot_product_backward in attention_backward in block_backward of block 1",
    ),
    "layernorm": ("block", "layernorm_backward in block_backward of block 1 produced"),
    "patch_embed": (None, "patch_embed_backward in embed_backward produced"),
}


@pytest.mark.parametrize("name", BACKWARD)
def test_the_first_operation_of_a_backward_pass_is_named(name, monkeypatch):
    module, message = BACKWARD[name]
    module = sys.modules[f"minivit.ops.{module}"] if module else minivit.embedding
    backward = getattr(module, f"{name}_backward")

    def spoilt(*arguments, pixels=True):
        result = backward(*arguments)
        return (result[0] * np.nan, *result[1:]) if isinstance(result, tuple) else result * np.nan

    spoilt.__code__ = spoilt.__code__.replace(co_name=f"{name}_backward")
    monkeypatch.setattr(module, f"{name}_backward", spoilt)
    assert first(trainer()).startswith(message)


def test_a_parameter_that_is_not_finite_is_named():
    one = trainer()
    one.model.params["blocks.1.norm1.bias"][3] = np.inf
    assert first(one) == "the parameter blocks.1.norm1.bias itself is not finite"


def test_a_step_that_goes_well_when_it_is_repeated():
    watch = sys.getprofile()
    assert first(trainer()) == "repeating the step gave finite values"
    assert sys.getprofile() is watch
