"""Every op pair against PyTorch's own function and autograd, in float64, and against SciPy's special functions."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest

from minivit.gradcheck.variants import softmax_fast_forward, softmax_maximum_forward
from minivit.ops.attention import attention_backward, attention_forward, dot_product_backward, dot_product_forward
from minivit.ops.block import BlockMasks, block_backward, block_forward
from minivit.ops.class_token import class_token_backward, class_token_forward, registers_backward, registers_forward
from minivit.ops.dropout import dropout_backward, dropout_forward
from minivit.ops.gelu import gelu_backward, gelu_forward
from minivit.ops.layer_scale import layer_scale_backward, layer_scale_forward
from minivit.ops.layernorm import layernorm_backward, layernorm_forward
from minivit.ops.linear import linear_backward, linear_forward
from minivit.ops.loss import cross_entropy_backward, cross_entropy_forward
from minivit.ops.mlp import mlp_backward, mlp_forward
from minivit.ops.normal_cdf import normal_cdf
from minivit.ops.patches import patch_embed_backward, patch_embed_forward
from minivit.ops.pool import pool_backward, pool_forward
from minivit.ops.positions import add_positions_backward, add_positions_forward, sincos1d, sincos2d
from minivit.ops.softmax import softmax_backward, softmax_forward

from .agreement import assert_agrees, torch, torch_pair

pytestmark = pytest.mark.reference
F = torch.nn.functional

B, C, T, D, H, Dh, M, K, P = 2, 3, 5, 12, 3, 4, 7, 6, 2  # M is the MLP's hidden width: F is torch's


def rng() -> np.random.Generator:
    return np.random.default_rng(20_260_101)


MASK = (rng().random((B, T, D)) > 0.3) / 0.7
ATTENTION_MASK = (rng().random((B, H, T, T)) > 0.3) / 0.7


def torch_attention(x: Any, Wqkv: Any, bqkv: Any, Wproj: Any, bproj: Any) -> Any:
    """nn.MultiheadAttention's own arithmetic; it works on (T, B, D) and (out, in)."""
    y, _ = F.multi_head_attention_forward(
        *[x.transpose(0, 1)] * 3, D, H, Wqkv.T, bqkv, None, None, False, 0.0, Wproj.T, bproj, need_weights=False
    )
    return y.transpose(0, 1)


def torch_block(x: Any, *parameters: Any) -> Any:
    """nn.TransformerEncoderLayer, pre-norm and GELU, with these tensors for its parameters."""
    layer = torch.nn.TransformerEncoderLayer(
        D, H, M, dropout=0.0, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    ).double()
    names = (
        "norm1.weight", "norm1.bias",
        "self_attn.in_proj_weight", "self_attn.in_proj_bias", "self_attn.out_proj.weight", "self_attn.out_proj.bias",
        "norm2.weight", "norm2.bias",
        "linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias",
    )  # fmt: skip
    values = {name: value.T if value.ndim == 2 else value for name, value in zip(names, parameters, strict=True)}
    return torch.func.functional_call(layer, values, (x,))


def our_block(x: Any, *p: Any) -> Any:
    return block_forward(x, p[:2], p[2:6], p[6:8], p[8:], H)


def our_block_backward(dy: Any, cache: Any) -> Any:
    dx, *groups = block_backward(dy, cache)
    return [dx, *(gradient for group in groups for gradient in group if gradient is not None)]


def torch_patch_embed(images: Any, W: Any, b: Any) -> Any:
    """A convolution with stride P."""
    return F.conv2d(images, W.T.reshape(D, C, P, P), b, stride=P).flatten(2).transpose(1, 2)


class Case(NamedTuple):
    forward: Callable  # (*inputs) -> (y, cache)
    backward: Callable  # (dy, cache) -> one gradient, or one for each input
    theirs: Callable  # (*tensors) -> y
    shapes: tuple[tuple[int, ...], ...]


BLOCK = ((D,), (D,), (D, 3 * D), (3 * D,), (D, D), (D,), (D,), (D,), (D, M), (M,), (M, D), (D,))
CASES = {
    "linear": Case(linear_forward, linear_backward, lambda x, W, b: F.linear(x, W.T, b), ((B, T, D), (D, M), (M,))),
    "linear, no bias": Case(
        partial(linear_forward, b=None), lambda dy, cache: linear_backward(dy, cache)[:2],
        lambda x, W: F.linear(x, W.T), ((B, T, D), (D, M)),
    ),
    "layernorm": Case(
        layernorm_forward, layernorm_backward,
        lambda x, gamma, beta: F.layer_norm(x, (D,), gamma, beta, 1e-6), ((B, T, D), (D,), (D,)),
    ),
    "layernorm, eps 0.1": Case(
        partial(layernorm_forward, eps=0.1), layernorm_backward,
        lambda x, gamma, beta: F.layer_norm(x, (D,), gamma, beta, 0.1), ((B, T, D), (D,), (D,)),
    ),
    "gelu, erf": Case(gelu_forward, gelu_backward, F.gelu, ((B, T, D),)),
    "gelu, tanh": Case(
        partial(gelu_forward, form="tanh"), gelu_backward, partial(F.gelu, approximate="tanh"), ((B, T, D),)
    ),
    "gelu, quick": Case(
        partial(gelu_forward, form="quick"), gelu_backward, lambda x: x * torch.sigmoid(1.702 * x), ((B, T, D),)
    ),
    "layer_scale": Case(layer_scale_forward, layer_scale_backward, lambda x, gamma: x * gamma, ((B, T, D), (D,))),
    "registers": Case(
        partial(registers_forward, place=1), registers_backward,
        lambda x, r: torch.cat([x[:, :1], r.expand(len(x), -1, -1), x[:, 1:]], 1), ((B, T, D), (1, 3, D)),
    ),
    "pool, patches": Case(
        partial(pool_forward, pool="patches", prefix=2), pool_backward, lambda x: x[:, 2:].mean(1), ((B, T, D),)
    ),
    "pool, cls+patches": Case(
        partial(pool_forward, pool="cls+patches", prefix=2), pool_backward,
        lambda x: torch.cat([x[:, 0], x[:, 2:].mean(1)], -1), ((B, T, D),),
    ),
    "softmax": Case(softmax_forward, softmax_backward, partial(F.softmax, dim=-1), ((B, H, T, K),)),
    "softmax, with the maximum": Case(
        softmax_maximum_forward, softmax_backward, partial(F.softmax, dim=-1), ((B, H, T, K),)
    ),
    "softmax, without the maximum": Case(
        softmax_fast_forward, softmax_backward, partial(F.softmax, dim=-1), ((B, H, T, K),)
    ),
    "dot product": Case(
        dot_product_forward, dot_product_backward, F.scaled_dot_product_attention, ((B, H, T, Dh),) * 3
    ),
    "dot product, dropout": Case(
        partial(dot_product_forward, mask=ATTENTION_MASK), dot_product_backward,
        lambda q, k, v: (F.softmax(q @ k.mT / math.sqrt(Dh), -1) * torch.tensor(ATTENTION_MASK)) @ v,
        ((B, H, T, Dh),) * 3,
    ),
    "attention": Case(
        partial(attention_forward, heads=H), attention_backward, torch_attention,
        ((B, T, D), (D, 3 * D), (3 * D,), (D, D), (D,)),
    ),
    "mlp": Case(
        mlp_forward, mlp_backward,
        lambda x, W1, b1, W2, b2: F.linear(F.gelu(F.linear(x, W1.T, b1)), W2.T, b2),
        ((B, T, D), (D, M), (M,), (M, K), (K,)),
    ),
    "block": Case(our_block, our_block_backward, torch_block, ((B, T, D), *BLOCK)),
    "patch embedding": Case(
        partial(patch_embed_forward, patch_size=P), patch_embed_backward, torch_patch_embed,
        ((B, C, 3 * P, 2 * P), (C * P * P, D), (D,)),
    ),
    "class token": Case(
        class_token_forward, class_token_backward,
        lambda x, token: torch.cat([token.expand(B, -1, -1), x], 1), ((B, T, D), (1, 1, D)),
    ),
    "positions": Case(add_positions_forward, add_positions_backward, torch.add, ((B, T, D), (1, T, D))),
    "dropout": Case(
        partial(dropout_forward, mask=MASK), dropout_backward, lambda x: x * torch.tensor(MASK), ((B, T, D),)
    ),
    "pool, class token": Case(partial(pool_forward, pool="cls"), pool_backward, lambda x: x[:, 0], ((B, T, D),)),
    "pool, mean": Case(partial(pool_forward, pool="mean"), pool_backward, lambda x: x.mean(1), ((B, T, D),)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_op_and_its_gradients_are_autograds(name):
    forward, backward, theirs, shapes = CASES[name]
    draws = rng()
    inputs = [draws.standard_normal(shape) for shape in shapes]
    y, cache = forward(*inputs)
    dy = draws.standard_normal(y.shape)
    gradients = backward(dy, cache)
    expected, expected_gradients = torch_pair(theirs, inputs, dy)
    assert_agrees("y", y, expected)
    gradients = gradients if isinstance(gradients, (tuple, list)) else [gradients]
    for index, (gradient, expected_gradient) in enumerate(zip(gradients, expected_gradients, strict=True)):
        assert_agrees(f"gradient of input {index}", gradient, expected_gradient)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("kind", ["classes", "probabilities"])
def test_cross_entropy_is_torchs(kind, smoothing):
    draws = rng()
    logits = 3 * draws.standard_normal((B, K))
    labels = draws.integers(0, K, B) if kind == "classes" else draws.dirichlet(np.ones(K), B)
    loss, cache = cross_entropy_forward(logits, labels, smoothing)
    theirs = partial(F.cross_entropy, target=torch.tensor(labels), label_smoothing=smoothing)
    expected, (dlogits,) = torch_pair(theirs, [logits], 1.7)
    assert_agrees("loss", loss, expected)
    assert_agrees("dlogits", cross_entropy_backward(1.7, cache), dlogits)


def test_the_key_bias_has_no_gradient():
    """Softmax ignores a shift common to all keys: the exact gradient is zero on both sides, so it is not divided by."""
    draws = rng()
    inputs = [draws.standard_normal(shape) for shape in CASES["attention"].shapes]
    y, cache = attention_forward(*inputs, heads=H)
    dy = draws.standard_normal(y.shape)
    _, _, dbqkv, _, _ = attention_backward(dy, cache)
    _, (_, _, expected, _, _) = torch_pair(torch_attention, inputs, dy)
    for gradient in (dbqkv, expected):
        assert np.abs(gradient[D : 2 * D]).max() <= 1e-13 * np.abs(gradient).max()


@pytest.mark.parametrize("dtype, bound", [("float64", 1e-15), ("float32", 1.2e-7)])
def test_the_normal_cdf_is_scipys(dtype, bound):
    special = pytest.importorskip("scipy.special", reason='compares with SciPy: pip install ".[reference]"')
    x = np.linspace(-12, 12, 200_001, dtype=dtype)
    exact = (1 + special.erf(x.astype(np.float64) / math.sqrt(2))) / 2
    cdf = normal_cdf(x)
    assert cdf.dtype == dtype
    assert np.abs(cdf - exact).max() <= bound


def test_one_axis_of_sines_is_the_formula_of_the_paper():
    table = sincos1d(np, T, D)
    for n in range(T):
        for i in range(D // 2):
            angle = n / 10000 ** (2 * i / D)
            assert math.isclose(table[n, 2 * i], math.sin(angle), abs_tol=1e-15)
            assert math.isclose(table[n, 2 * i + 1], math.cos(angle), abs_tol=1e-15)


def test_two_axes_of_sines_tell_the_row_and_the_column():
    rows, columns, quarter = 3, 2, D // 4
    table = sincos2d(np, rows, columns, D).reshape(rows, columns, 4, quarter)
    for row in range(rows):
        for column in range(columns):
            for j in range(quarter):
                omega = 10000 ** (-j / quarter)
                expected = [f(place * omega) for place in (row, column) for f in (math.sin, math.cos)]
                assert np.abs(table[row, column, :, j] - expected).max() <= 1e-15


def test_dropped_branches_of_a_block_are_products_with_the_masks():
    """A block whose branches are both dropped for the first image leaves that image alone, in both directions."""
    draws = rng()
    x, *parameters = [draws.standard_normal(shape) for shape in CASES["block"].shapes]
    skip = np.array([0.0, 1.0]).reshape(B, 1, 1)
    p = parameters
    y, cache = block_forward(x, p[:2], p[2:6], p[6:8], p[8:], H, masks=BlockMasks(None, skip, skip))
    dy = draws.standard_normal(y.shape)
    dx = block_backward(dy, cache)[0]
    expected, (expected_dx, *_) = torch_pair(torch_block, [x[1:], *parameters], dy[1:])
    assert np.array_equal(y[0], x[0]) and np.array_equal(dx[0], dy[0])
    assert_agrees("y of the second image", y[1:], expected)
    assert_agrees("dx of the second image", dx[1:], expected_dx)
