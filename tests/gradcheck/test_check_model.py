"""check_model: what it checks, and what it refuses."""

import importlib

import numpy as np
import pytest

from minivit import ViT, ViTConfig
from minivit.gradcheck import SWITCHES, check_model

SWITCH = SWITCHES["model, learned, cls"]
checked = importlib.import_module("minivit.gradcheck.check_model")  # the module: the function has its name


def test_every_parameter_and_the_pixels_are_checked():
    model = SWITCH.model()
    report = check_model(model, *SWITCH.batch(), method="complex")
    tensors = [row.tensor for row in report.rows if "zero part" not in row.tensor]
    assert report.passed and tensors == ["images", *model.params]
    zero_parts = [row.tensor for row in report.rows if "zero part" in row.tensor]
    assert zero_parts == [f"blocks.{i}.attn.qkv.bias, zero part" for i in range(2)]


def test_a_model_as_it_is_initialised_passes_too():
    model = ViT(ViTConfig(image_size=6, patch_size=3, dim=12, depth=1, heads=3, mlp_dim=10), dtype="float64")
    images = np.random.default_rng(3).standard_normal((2, 1, 6, 6))
    check_model(model, images, np.array([3, 9]), method="differences").raise_if_failed()


def test_dropouts_are_on_and_held():
    switch = SWITCHES["model, dropout"]
    with_dropout = check_model(switch.model(), *switch.batch(), method="complex")
    without = check_model(SWITCH.model(), *SWITCH.batch(), method="complex")
    assert with_dropout.passed
    assert with_dropout.rows[0].numeric != without.rows[0].numeric


def test_a_parameter_that_gets_no_gradient_is_named(monkeypatch):
    def forgets(dlogits, cache):
        grads, dimages = backward(dlogits, cache)
        grads["cls_token"][...] = 0
        return grads, dimages

    backward = checked.vit_backward
    monkeypatch.setattr(checked, "vit_backward", forgets)
    report = check_model(SWITCH.model(), *SWITCH.batch(), method="complex")
    (row,) = [row for row in report.rows if not row.passed]
    assert row.tensor == "cls_token" and "nothing was sent back" in row.problem


def test_a_gradient_that_is_not_filled_in_is_named(monkeypatch):
    def leaves_out(dlogits, cache):
        grads, dimages = backward(dlogits, cache)
        grads["norm.bias"][2] = np.nan
        return grads, dimages

    backward = checked.vit_backward
    monkeypatch.setattr(checked, "vit_backward", leaves_out)
    report = check_model(SWITCH.model(), *SWITCH.batch())
    assert "FAILED: norm.bias: its gradient is nan at [2]" in report.summary()


def test_a_float32_model_is_refused():
    images, labels = SWITCH.batch()
    with pytest.raises(TypeError, match="images is float32: rounding leaves differences"):
        check_model(SWITCH.model(dtype="float32"), images.astype("float32"), labels)
    with pytest.raises(TypeError, match="patch_embed.proj.weight is float32: "):
        check_model(SWITCH.model(dtype="float32"), images, labels)
