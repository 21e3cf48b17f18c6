"""The table of tests: every operation, with inputs to check it on. A new operation costs one row."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from .. import ops
from ..rng import GRADIENT_CHECK, generator
from .case_inputs import (
    NORMAL,
    TINY,
    Draw,
    Sizes,
    attention_inputs,
    block_inputs,
    block_of_tensors,
    cross_entropy_inputs,
    dot_product_inputs,
    layernorm_inputs,
    linear_inputs,
    masked,
    mlp_inputs,
    one_tensor,
    patch_embed_inputs,
    pool_inputs,
    weight,
)
from .checker import CAUSES, check_pair
from .report import Report
from .variants import gelu_float32_forward, softmax_fast_forward, softmax_maximum_forward


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


CASES: dict[str, Case] = {
    "linear": Case(ops.linear_forward, ops.linear_backward, linear_inputs),
    "linear, no bias": Case(ops.linear_forward, ops.linear_backward, partial(linear_inputs, bias=False)),
    "layernorm": Case(ops.layernorm_forward, ops.layernorm_backward, layernorm_inputs),
    "gelu, erf": Case(ops.gelu_forward, ops.gelu_backward, one_tensor("B", "T", "D", size=2, form="erf")),
    "gelu, tanh": Case(ops.gelu_forward, ops.gelu_backward, one_tensor("B", "T", "D", size=2, form="tanh")),
    "gelu, quick": Case(ops.gelu_forward, ops.gelu_backward, one_tensor("B", "T", "D", size=2, form="quick")),
    "softmax": Case(ops.softmax_forward, ops.softmax_backward, one_tensor("B", "H", "T", "K")),
    "softmax, fast": Case(softmax_fast_forward, ops.softmax_backward, one_tensor("B", "H", "T", "K")),
    "softmax, maximum": Case(softmax_maximum_forward, ops.softmax_backward, one_tensor("B", "H", "T", "K")),
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
    "dropout, none": Case(ops.dropout_forward, ops.dropout_backward, one_tensor("B", "T", "D", mask=None)),
    "patch_dropout": Case(
        ops.patch_dropout_forward, ops.patch_dropout_backward,
        lambda draw, s: {"x": draw(s.B, s.T, s.D), "kept": draw(s.B, s.T).argsort(1)[:, : s.H]},
    ),
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
    "pool, cls": Case(ops.pool_forward, ops.pool_backward, one_tensor("B", "T", "D", pool="cls")),
    "pool, mean": Case(ops.pool_forward, ops.pool_backward, one_tensor("B", "T", "D", pool="mean")),
    "pool, patches": Case(ops.pool_forward, ops.pool_backward, partial(pool_inputs, pool="patches")),
    "pool, cls+patches": Case(ops.pool_forward, ops.pool_backward, partial(pool_inputs, pool="cls+patches")),
    "block": Case(block_of_tensors, ops.block_backward, block_inputs, key_bias=True),
    "block, no bias": Case(block_of_tensors, ops.block_backward, partial(block_inputs, bias=False)),
    "block, tanh": Case(block_of_tensors, ops.block_backward, partial(block_inputs, gelu="tanh"), key_bias=True),
    "block, dropout": Case(
        block_of_tensors, ops.block_backward,
        partial(block_inputs, masks=("attn", "features", "features")), key_bias=True
    ),
    "block, stochastic depth": Case(
        block_of_tensors, ops.block_backward, partial(block_inputs, masks=("attn", "images", "images")), key_bias=True
    ),
    "block, LayerScale": Case(
        block_of_tensors, ops.block_backward, partial(block_inputs, masks=("attn", "features", "images"), scales=True),
        key_bias=True,
    ),
    "block, two queries": Case(
        block_of_tensors, ops.block_backward, partial(block_inputs, masks=("attn", "features", "features"), queries=2),
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
        gelu_float32_forward, ops.gelu_backward, one_tensor("B", "T", "D", size=2), bound=2e-7
    ),
    "softmax, fast": CASES["softmax, fast"],
}  # fmt: skip
