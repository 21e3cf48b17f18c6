"""What a call means when it leaves something out, and images that cannot be cut."""

import inspect
import math

import numpy as np
import pytest

from minivit import ops

DEFAULTS = {
    "layernorm_forward": {"eps": 1e-6},
    "block_forward": {
        "eps": 1e-6,
        "gelu": "erf",
        "masks": ops.BlockMasks(None, None, None),
        "queries": None,
        "scales": (None, None),
    },
    "gelu_forward": {"form": "erf"},
    "normal_cdf": {"form": "erf"},
    "mlp_forward": {"gelu": "erf"},
    "pool_forward": {"pool": "cls", "prefix": 1},
    "cross_entropy_forward": {"label_smoothing": 0.0},
    "attention_forward": {"mask": None, "queries": None},
    "dot_product_forward": {"mask": None},
    "dot_product_backward": {"out": None},
    "class_token_backward": {"cache": None, "out": None},
    "registers_forward": {"place": 1},
    "registers_backward": {"out": None},
    "layer_scale_backward": {"out": None},
    "add_positions_backward": {"cache": None, "out": None},
    "linear_backward": {"out": (None, None), "need_dx": True},
    "layernorm_backward": {"out": (None, None)},
    "mlp_backward": {"out": (None,) * 4},
    "attention_backward": {"out": (None,) * 4},
    "block_backward": {"out": ((None,) * 2, (None,) * 4, (None,) * 2, (None,) * 4, (None,) * 2)},
    "patch_embed_backward": {"out": (None, None), "pixels": True},
}


def test_the_defaults_are_these_and_no_others():
    found = {}
    for name in ops.__all__:
        parameters = inspect.signature(getattr(ops, name)).parameters if callable(getattr(ops, name)) else {}
        defaults = {key: p.default for key, p in parameters.items() if p.default is not p.empty}
        if defaults and name != "BlockMasks":
            found[name] = defaults
    assert found == DEFAULTS


def test_layernorms_eps_is_added_to_the_variance():
    x = np.array([[1.0, -1.0, 1.0, -1.0]])  # variance 1
    y, _ = ops.layernorm_forward(x, np.ones(4), np.zeros(4), eps=3.0)
    np.testing.assert_allclose(y, x / 2, rtol=1e-15)
    y, _ = ops.layernorm_forward(1e-3 * x, np.ones(4), np.zeros(4))
    np.testing.assert_allclose(y, x / math.sqrt(2), rtol=1e-12)


@pytest.mark.parametrize("size, patch", [((6, 8), 3), ((8, 6), 3), ((7, 7), 2), ((4, 4), 8)])
def test_images_that_a_patch_does_not_divide_are_refused(size, patch):
    message = f"cannot cut images of {size[0]} x {size[1]} pixels into patches of {patch} x {patch}"
    with pytest.raises(ValueError, match=message):
        ops.patchify(np.zeros((1, 2, *size)), patch)


def test_pooling_reads_the_first_token_or_the_mean_of_all():
    x = np.arange(30.0).reshape(2, 5, 3)
    np.testing.assert_array_equal(ops.pool_forward(x, "cls")[0], x[:, 0])
    np.testing.assert_allclose(ops.pool_forward(x, "mean")[0], x.mean(1), rtol=1e-15)
