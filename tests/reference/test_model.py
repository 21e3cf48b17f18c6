"""The whole model against PyTorch autograd in float64: logits, loss, attention, every gradient, and the pixels."""

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest

from minivit.config import POOLS, POSITIONS, ViTConfig
from minivit.initial import initial_params
from minivit.masks import Masks, draw_masks
from minivit.model import vit_backward, vit_forward
from minivit.ops.loss import cross_entropy_backward, cross_entropy_forward
from minivit.ops.normal_cdf import FORMS
from minivit.params import Params

from .agreement import assert_agrees, tensor, torch, torch_vit

pytestmark = pytest.mark.reference

ODD = {
    "image_size": (6, 9), "patch_size": 3, "channels": 2, "classes": 5, "dim": 12, "depth": 2, "heads": 3, "mlp_dim": 7,
}  # fmt: skip
SWITCHES = {
    "pool": POOLS, "positions": POSITIONS, "gelu": FORMS, "qkv_bias": (True, False), "head_hidden": (None, 8),
}  # fmt: skip
DROPOUTS = {"dropout": 0.2, "attention_dropout": 0.3, "drop_path": 0.4}
SHAPES: dict[str, dict[str, Any]] = {
    "one channel": {"channels": 1},
    "tall images": {"image_size": (12, 3)},
    "one patch": {"image_size": 3},
    "one token": {"image_size": 3, "pool": "mean"},
    "patches of one pixel": {"image_size": (3, 2), "patch_size": 1},
    "one block": {"depth": 1},
    "five blocks": {"depth": 5},
    "one head": {"heads": 1},
    "heads = D": {"heads": 12},
    "an odd width": {"dim": 5, "heads": 1},
    "an MLP wider than ten times D": {"mlp_dim": 130},
    "two classes": {"classes": 2},
    "a large eps": {"norm_eps": 0.1},
    "dropout": {"dropout": 0.2},
    "attention dropout": {"attention_dropout": 0.3},
    "stochastic depth": {"drop_path": 0.5},
    "patch dropout": {"patch_dropout": 0.4},
    "every dropout, mean": {**DROPOUTS, "patch_dropout": 0.4, "pool": "mean"},
    "every dropout": DROPOUTS,
    "a class token that nobody reads": {"class_token": True, "pool": "mean"},
    "a class token beside the patches' mean": {"class_token": True, "pool": "patches"},
    "registers": {"registers": 3},
    "registers without a class token": {"registers": 3, "pool": "patches"},
    "registers, in the mean": {"registers": 2, "pool": "mean", "positions": "sincos2d"},
    "registers, double head": {"registers": 2, "pool": "cls+patches", "layer_scale": 0.3},
    "LayerScale, every dropout": {**DROPOUTS, "layer_scale": 0.3},
    "a norm before the blocks": {"pre_norm": True, "gelu": "quick", "registers": 1},
    "a norm after the pool": {"norm": "pool", "pool": "patches", "class_token": True, "registers": 2},
    "a norm after the class token": {"norm": "pool", "head_hidden": 8},
    "a norm after the double pool": {"norm": "pool", "pool": "cls+patches"},
    "every dropout, mean, MLP head": {**DROPOUTS, "pool": "mean", "head_hidden": 8},
}


class Problem(NamedTuple):
    """A model with no special numbers in it, and a batch."""

    config: ViTConfig
    params: Params
    images: np.ndarray
    labels: np.ndarray
    masks: Masks | None
    smoothing: float


def problem(batch: int = 4, labels: str = "classes", smoothing: float = 0.0, **settings: Any) -> Problem:
    config = ViTConfig(**{**ODD, **settings})
    rng = np.random.default_rng(20_260_102)
    params = initial_params(config, seed=3, dtype="float64")
    params.flat += 0.1 * rng.standard_normal(params.flat.shape)  # or biases would be 0 and LayerNorm's scales 1
    images = rng.standard_normal((batch, *config.image_shape))
    masks = draw_masks(config, batch, rng, "float64")
    if labels == "classes":
        return Problem(config, params, images, rng.integers(0, config.classes, batch), masks, smoothing)
    return Problem(config, params, images, rng.dirichlet(np.ones(config.classes), batch), masks, smoothing)


def torch_masks(masks: Masks | None) -> Any:
    """minivit's masks as the peer takes them."""

    def convert(mask: np.ndarray | None) -> Any:
        return None if mask is None else torch.from_numpy(mask)

    if masks is None:
        return None
    blocks = [torch_vit.BlockMasks(*map(convert, block)) for block in masks.blocks]
    return torch_vit.Masks(convert(masks.embed), blocks, convert(masks.kept))


def assert_same(problem: Problem, sdpa: bool = False) -> None:
    """Every number of a forward and a backward pass, on both sides."""
    config, params, images, labels, masks, smoothing = problem
    logits, cache = vit_forward(params, images, config, masks, all_tokens=True)
    attention = np.stack([block.attn.dot.softmax.y for block in cache.blocks])
    loss, loss_cache = cross_entropy_forward(logits, labels, smoothing)
    grads = params.empty_like()
    grads.flat[...] = np.nan  # what the backward pass leaves out stays NaN, and agrees with nothing
    grads, dimages = vit_backward(cross_entropy_backward(1.0, loss_cache), cache, grads)

    model = torch_vit.TorchViT(config, sdpa).double()
    model.load_minivit(params)
    maps: list[Any] = []
    for block in model.blocks:
        block.attn.softmax.register_forward_hook(lambda module, inputs, output: maps.append(output.detach()))
    pixels = tensor(images)
    expected = model(pixels, torch_masks(masks))
    expected_loss = torch.nn.functional.cross_entropy(expected, torch.tensor(labels), label_smoothing=smoothing)
    expected_loss.backward()

    assert_agrees("logits", logits, expected.detach())
    assert_agrees("loss", loss, expected_loss.detach())
    if not sdpa:
        assert_agrees("attention", attention, torch.stack(maps))
    assert_agrees("pixels", dimages, pixels.grad)
    expected_grads = model.minivit_grads()
    assert set(expected_grads) == set(grads)
    for name, ours in grads.items():
        theirs = expected_grads[name]
        if name.endswith("qkv.bias"):
            ours, theirs = without_key_bias(name, ours), without_key_bias(name, theirs)
        assert_agrees(name, ours, theirs)


def without_key_bias(name: str, gradient: np.ndarray) -> np.ndarray:
    """The gradient of the query and value biases. That of the key bias is zero, since softmax ignores a shift common
    to all keys: it is asserted to be, and not divided by."""
    query, key, value = gradient.reshape(3, -1)
    assert np.abs(key).max() <= 1e-13 * np.abs(gradient).max(), f"{name}: the key bias has a gradient"
    return np.stack([query, value])


@pytest.mark.parametrize("values", list(itertools.product(*SWITCHES.values())), ids=str)
def test_every_combination_of_switches(values):
    assert_same(problem(**dict(zip(SWITCHES, values))))


@pytest.mark.parametrize("name", SHAPES)
def test_odd_shapes_and_dropouts(name):
    assert_same(problem(**SHAPES[name]))


@pytest.mark.parametrize("labels", ["classes", "probabilities"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_every_form_of_labels(labels, smoothing):
    assert_same(problem(labels=labels, smoothing=smoothing))


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_every_size_of_batch(batch):
    assert_same(problem(batch=batch, **DROPOUTS))


def test_torchs_fused_attention_is_the_same_function():
    assert_same(problem(), sdpa=True)


def test_torch_names_the_parameters_that_it_does_not_share():
    config = ViTConfig(**ODD)
    params = dict(initial_params(config, dtype="float64"))
    params["head.scale"] = params.pop("head.bias")
    with pytest.raises(ValueError, match=r"parameter names differ: \['head.bias', 'head.scale'\]"):
        torch_vit.TorchViT(config).load_minivit(params)


def test_fused_attention_refuses_a_mask():
    case = problem(attention_dropout=0.3)
    model = torch_vit.TorchViT(case.config, sdpa=True).double()
    with pytest.raises(ValueError, match="no given dropout mask"):
        model(torch.from_numpy(case.images), torch_masks(case.masks))
