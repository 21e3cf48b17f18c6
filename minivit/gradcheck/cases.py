"""The table of tests: every operation, with inputs to check it on. A new operation costs one row."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..rng import GRADIENT_CHECK, generator
from .checker import CAUSES, check_pair
from .report import Report
from .variants import gelu_float32_forward, softmax_fast_forward, softmax_maximum_forward

Draw = Callable[..., np.ndarray]  # draw(2, 3): a (2, 3) array of standard normal numbers, float64


class Sizes(NamedTuple):
    """The sizes of a case: in no case are two alike, and none is 1, so that no axis can pass for another."""

    B: int = 2  # images
    T: int = 5  # tokens
    D: int = 12  # width
    H: int = 3  # heads, 4 wide
    F: int = 7  # hidden width
    K: int = 6  # classes
    C: int = 4  # channels
    P: int = 3  # patch side
    Sh: int = 15  # image height
    Sw: int = 6  # image width


NORMAL = Sizes()
TINY = Sizes(B=4, T=5, D=6, H=2, F=7, K=8, C=3, P=2, Sh=8, Sw=10)


class Case(NamedTuple):
    """A pair of functions and what to call them with."""

    forward: Callable[..., tuple[Any, Any]]
    backward: Callable[..., Any]
    make: Callable[[Draw, Sizes], dict[str, Any]]  # the inputs, by name
    fixed: tuple[str, ...] = ()  # float inputs without a gradient
    key_bias: bool = False  # the key third of bqkv has gradient zero: softmax ignores a shift common to all keys
    takes_no_images: bool = True  # whether B may be 0
    bound: float | None = None  # the largest relative error that passes, where it is not the method's

    def inputs(self, seed: int = 0, sizes: Sizes = NORMAL) -> dict[str, Any]:
        """The inputs by name, arrays in float64."""
        rng = generator(seed, GRADIENT_CHECK, 0, 1)
        return self.make(lambda *shape: rng.standard_normal(shape), sizes)

    def zeros(self, sizes: Sizes = NORMAL) -> list[Any]:
        """What `check_pair` takes as `zeros`."""
        return [("bqkv", slice(sizes.D, 2 * sizes.D))] if self.key_bias else []

    def check(self, name: str, method: str = "differences", seed: int = 0, causes: int = CAUSES) -> Report:
        """The report of `check_pair`; "dense" on tiny shapes. A cache must outlive its backward."""
        sizes = TINY if method == "dense" else NORMAL
        inputs, zeros = self.inputs(seed, sizes), self.zeros(sizes)
        return check_pair(
            self.forward, self.backward, inputs, method=method, fixed=self.fixed, zeros=zeros, bound=self.bound,
            seed=seed, name=name, reuse=True, causes=causes,
        )  # fmt: skip


def masked(draw: Draw, *shape: int) -> np.ndarray:
    """A dropout mask: 0 for about a third of the entries, 1.5 for the others, and both if there are two."""
    mask = (draw(*shape) > -0.43) * 1.5
    if mask.size > 1:
        mask.flat[:2] = 0, 1.5
    return mask


def weight(draw: Draw, fan_in: int, fan_out: int) -> np.ndarray:
    """A weight matrix that keeps the size of what it multiplies."""
    return draw(fan_in, fan_out) / fan_in**0.5


def probabilities(draw: Draw, *shape: int) -> np.ndarray:
    """Rows that are positive and sum to 1."""
    p = np.exp(draw(*shape))
    return p / p.sum(-1, keepdims=True)


def linear_inputs(draw: Draw, s: Sizes, bias: bool = True) -> dict[str, Any]:
    return {"x": draw(s.B, s.T, s.D), "W": weight(draw, s.D, s.F), "b": draw(s.F) if bias else None}


def layernorm_inputs(draw: Draw, s: Sizes) -> dict[str, Any]:
    return {"x": 3 + 2 * draw(s.B, s.T, s.D), "gamma": 1 + 0.5 * draw(s.D), "beta": draw(s.D)}


def attention_inputs(
    draw: Draw, s: Sizes, bias: bool = True, mask: bool = False, queries: int | None = None
) -> dict[str, Any]:
    queries = queries and min(queries, s.T)
    return {
        "x": draw(s.B, s.T, s.D),
        "Wqkv": weight(draw, s.D, 3 * s.D),
        "bqkv": draw(3 * s.D) if bias else None,
        "Wproj": weight(draw, s.D, s.D),
        "bproj": draw(s.D),
        "heads": s.H,
        "mask": masked(draw, s.B, s.H, queries or s.T, s.T) if mask else None,
        "queries": queries,
    }


def dot_product_inputs(draw: Draw, s: Sizes, mask: bool = False) -> dict[str, Any]:
    q, k, v = (draw(s.B, s.H, s.T, s.D // s.H) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "mask": masked(draw, s.B, s.H, s.T, s.T) if mask else None}


def mlp_inputs(draw: Draw, s: Sizes, gelu: str = "erf") -> dict[str, Any]:
    W1, W2 = weight(draw, s.D, s.F), weight(draw, s.F, s.K)
    return {"x": draw(s.B, s.T, s.D), "W1": W1, "b1": draw(s.F), "W2": W2, "b2": draw(s.K), "gelu": gelu}


def patch_embed_inputs(draw: Draw, s: Sizes) -> dict[str, Any]:
    images = draw(s.B, s.C, s.Sh, s.Sw)
    return {"images": images, "W": weight(draw, s.C * s.P * s.P, s.D), "b": draw(s.D), "patch_size": s.P}


def block_inputs(
    draw: Draw, s: Sizes, masks: tuple[str, ...] = (), bias: bool = True, scales: bool = False, **settings: Any
) -> dict[str, Any]:
    queries = settings.get("queries")
    settings = {"gelu": "erf"} | settings | {"queries": queries and min(queries, s.T)}
    shapes = {"attn": (s.B, s.H, s.T, s.T), "features": (s.B, s.T, s.D), "images": (s.B, 1, 1)}
    drawn = [masked(draw, *shapes[mask]) for mask in masks]
    return {
        "x": draw(s.B, s.T, s.D),
        "gamma1": 1 + 0.5 * draw(s.D),
        "beta1": draw(s.D),
        **dict(list(attention_inputs(draw, s, bias).items())[1:5]),
        "gamma2": 1 + 0.5 * draw(s.D),
        "beta2": draw(s.D),
        "W1": weight(draw, s.D, s.F),
        "b1": draw(s.F),
        "W2": weight(draw, s.F, s.D),
        "b2": draw(s.D),
        "heads": s.H,
        "masks": ops.BlockMasks(*drawn),
        **settings,
        **({"gamma3": 1 + 0.5 * draw(s.D), "gamma4": 1 + 0.5 * draw(s.D)} if scales else {}),
    }


def _block_forward(x, gamma1, beta1, Wqkv, bqkv, Wproj, bproj, gamma2, beta2, W1, b1, W2, b2, heads, gamma3=None,
                   gamma4=None, **settings):  # fmt: skip
    """`ops.block_forward`, its tensors one by one; gamma3 and gamma4 are LayerScale's."""
    settings |= {"scales": (gamma3, gamma4)}
    attn = Wqkv, bqkv, Wproj, bproj
    return ops.block_forward(x, (gamma1, beta1), attn, (gamma2, beta2), (W1, b1, W2, b2), heads, **settings)


def pool_inputs(draw: Draw, s: Sizes, pool: str) -> dict[str, Any]:
    return {"x": draw(s.B, s.T, s.D), "pool": pool, "prefix": min(2, s.T - 1)}


def cross_entropy_inputs(draw: Draw, s: Sizes, labels: str = "classes", label_smoothing: float = 0.0) -> dict[str, Any]:
    classes = (3 * np.arange(s.B) + 1) % s.K
    return {
        "logits": 2 * draw(s.B, s.K),
        "labels": classes if labels == "classes" else probabilities(draw, s.B, s.K),
        "label_smoothing": label_smoothing,
    }


def _x(*axes: str, size: float = 1.0, **others: Any) -> Callable[[Draw, Sizes], dict[str, Any]]:
    """Inputs of one tensor x with these axes, and other arguments."""
    return lambda draw, s: {"x": size * draw(*(getattr(s, axis) for axis in axes)), **others}


CASES: dict[str, Case] = {
    "linear": Case(ops.linear_forward, ops.linear_backward, linear_inputs),
    "linear, no bias": Case(ops.linear_forward, ops.linear_backward, partial(linear_inputs, bias=False)),
    "layernorm": Case(ops.layernorm_forward, ops.layernorm_backward, layernorm_inputs),
    "gelu, erf": Case(ops.gelu_forward, ops.gelu_backward, _x("B", "T", "D", size=2, form="erf")),
    "gelu, tanh": Case(ops.gelu_forward, ops.gelu_backward, _x("B", "T", "D", size=2, form="tanh")),
    "gelu, quick": Case(ops.gelu_forward, ops.gelu_backward, _x("B", "T", "D", size=2, form="quick")),
    "softmax": Case(ops.softmax_forward, ops.softmax_backward, _x("B", "H", "T", "K")),
    "softmax, fast": Case(softmax_fast_forward, ops.softmax_backward, _x("B", "H", "T", "K")),
    "softmax, maximum": Case(softmax_maximum_forward, ops.softmax_backward, _x("B", "H", "T", "K")),
    "layer_scale": Case(
        ops.layer_scale_forward, ops.layer_scale_backward,
        lambda draw, s: {"x": draw(s.B, s.T, s.D), "gamma": draw(s.D)},
    ),
    "dropout": Case(
        ops.dropout_forward, ops.dropout_backward,
        lambda draw, s: {"x": draw(s.B, s.T, s.D), "mask": masked(draw, s.B, s.T, s.D)}, ("mask",),
    ),
    "dropout, whole images": Case(
        ops.dropout_forward, ops.dropout_backward,
        lambda draw, s: {"x": draw(s.B, s.T, s.D), "mask": masked(draw, s.B, 1, 1)}, ("mask",),
    ),
    "dropout, none": Case(ops.dropout_forward, ops.dropout_backward, _x("B", "T", "D", mask=None)),
    "dot_product": Case(ops.dot_product_forward, ops.dot_product_backward, dot_product_inputs),
    "dot_product, mask": Case(
        ops.dot_product_forward, ops.dot_product_backward, partial(dot_product_inputs, mask=True), ("mask",)
    ),
    "attention": Case(ops.attention_forward, ops.attention_backward, attention_inputs, key_bias=True),
    "attention, no bias": Case(ops.attention_forward, ops.attention_backward, partial(attention_inputs, bias=False)),
    "attention, mask": Case(
        ops.attention_forward, ops.attention_backward, partial(attention_inputs, mask=True), ("mask",), key_bias=True
    ),
    "attention, two queries": Case(
        ops.attention_forward, ops.attention_backward, partial(attention_inputs, mask=True, queries=2), ("mask",),
        key_bias=True,
    ),
    "mlp": Case(ops.mlp_forward, ops.mlp_backward, mlp_inputs),
    "mlp, tanh": Case(ops.mlp_forward, ops.mlp_backward, partial(mlp_inputs, gelu="tanh")),
    "patch_embed": Case(ops.patch_embed_forward, ops.patch_embed_backward, patch_embed_inputs),
    "class_token": Case(
        ops.class_token_forward, ops.class_token_backward,
        lambda draw, s: {"x": draw(s.B, s.T, s.D), "token": draw(1, 1, s.D)},
    ),
    "registers": Case(
        ops.registers_forward, ops.registers_backward,
        lambda draw, s: {"x": draw(s.B, s.T, s.D), "registers": draw(1, s.F, s.D), "place": 1},
    ),
    "add_positions": Case(
        ops.add_positions_forward, ops.add_positions_backward,
        lambda draw, s: {"x": draw(s.B, s.T, s.D), "positions": draw(1, s.T, s.D)},
    ),
    "resize": Case(
        ops.resize_forward, ops.resize_backward,
        lambda draw, s: {
            "x": draw(s.B, s.H * s.T, s.D), "vertical": weight(draw, s.K, s.H), "horizontal": weight(draw, s.F, s.T)
        },
        ("vertical", "horizontal"),
    ),
    "pool, cls": Case(ops.pool_forward, ops.pool_backward, _x("B", "T", "D", pool="cls")),
    "pool, mean": Case(ops.pool_forward, ops.pool_backward, _x("B", "T", "D", pool="mean")),
    "pool, patches": Case(ops.pool_forward, ops.pool_backward, partial(pool_inputs, pool="patches")),
    "pool, cls+patches": Case(ops.pool_forward, ops.pool_backward, partial(pool_inputs, pool="cls+patches")),
    "block": Case(_block_forward, ops.block_backward, block_inputs, key_bias=True),
    "block, no bias": Case(_block_forward, ops.block_backward, partial(block_inputs, bias=False)),
    "block, tanh": Case(_block_forward, ops.block_backward, partial(block_inputs, gelu="tanh"), key_bias=True),
    "block, dropout": Case(
        _block_forward, ops.block_backward, partial(block_inputs, masks=("attn", "features", "features")), key_bias=True
    ),
    "block, stochastic depth": Case(
        _block_forward, ops.block_backward, partial(block_inputs, masks=("attn", "images", "images")), key_bias=True
    ),
    "block, LayerScale": Case(
        _block_forward, ops.block_backward, partial(block_inputs, masks=("attn", "features", "images"), scales=True),
        key_bias=True,
    ),
    "block, two queries": Case(
        _block_forward, ops.block_backward, partial(block_inputs, masks=("attn", "features", "features"), queries=2),
        key_bias=True,
    ),
    "cross_entropy": Case(
        ops.cross_entropy_forward, ops.cross_entropy_backward, cross_entropy_inputs, takes_no_images=False
    ),
    "cross_entropy, smoothing": Case(
        ops.cross_entropy_forward, ops.cross_entropy_backward, partial(cross_entropy_inputs, label_smoothing=0.1),
        takes_no_images=False,
    ),
    "cross_entropy, probabilities": Case(
        ops.cross_entropy_forward, ops.cross_entropy_backward, partial(cross_entropy_inputs, labels="probabilities"),
        ("labels",), takes_no_images=False,
    ),
    "cross_entropy, probabilities, smoothing": Case(
        ops.cross_entropy_forward, ops.cross_entropy_backward,
        partial(cross_entropy_inputs, labels="probabilities", label_smoothing=0.2), ("labels",), takes_no_images=False,
    ),
}  # fmt: skip

# The formulas of float32 in float64. The backward pass is that of exact GELU, so the error is that of the fit's slope.
FLOAT32_CASES: dict[str, Case] = {
    "gelu, float32 coefficients": Case(
        gelu_float32_forward, ops.gelu_backward, _x("B", "T", "D", size=2), bound=2e-7
    ),
    "softmax, fast": CASES["softmax, fast"],
}  # fmt: skip
