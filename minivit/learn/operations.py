"""The operations of the model: what each computes, the formulas of its gradients, and the lines that compute them.

The lines of `minivit.ops` compute; here they are only named. In the formulas x0, x1, ... stand for the inputs, y for
the output and dy for its gradient.
"""

from typing import NamedTuple

from ..backend import Array, array_module
from ..ops import attention, block, class_token, gelu, layer_scale, layernorm, linear, loss, patches, pool, positions
from ..ops import softmax as softmax_module
from .lines import Line


class Gradient(NamedTuple):
    """The gradient of one of an operation's inputs: its formula, and the line that computes it."""

    formula: str
    line: Line


class Operation(NamedTuple):
    """What computes an output from inputs, and their gradients, in order, from that of the output."""

    title: str  # what `minivit explain` calls it
    formula: str
    line: Line
    gradients: tuple[Gradient, ...]


def patchify(patch_size: int) -> Operation:
    """The image, cut into patches."""
    P = patch_size
    return Operation(
        "patches",
        f"x0 cut into patches of {P} x {P} pixels, each a row",
        Line(patches.patchify, "return rearrange"),
        (Gradient("dy, every pixel moved back to its place", Line(patches.unpatchify, "return rearrange")),),
    )


def linear_layer(has_bias: bool = True) -> Operation:
    """A linear layer of rows, weight and bias."""
    gradients = (
        Gradient("dy @ x1ᵀ", Line(linear.linear_backward, "dx = drows")),
        Gradient("x0ᵀ @ dy", Line(linear.linear_backward, "dW = ")),
        Gradient("the sum of dy over its rows", Line(linear.linear_backward, "db = ")),
    )
    return Operation(
        "linear",
        "x0 @ x1 + x2" if has_bias else "x0 @ x1",
        Line(linear.linear_forward, "y = rows @ W"),
        gradients[: 2 + has_bias],
    )


CLASS_TOKEN = Operation(
    "class_token",
    "x1 in front of x0",
    Line(class_token.class_token_forward, "y[:, :1] = token"),
    (
        Gradient("dy without its first token", Line(class_token.class_token_backward, "return dy")),
        Gradient("the first token of dy", Line(class_token.class_token_backward, "return dy")),
    ),
)
REGISTERS = Operation(
    "registers",
    "x1 between the class token, if there is one, and the patches of x0",
    Line(class_token.registers_forward, "y[:, place : place + R] = registers"),
    (
        Gradient("dy without the registers", Line(class_token.registers_backward, "dx = ")),
        Gradient("the registers of dy", Line(class_token.registers_backward, "return dx")),
    ),
)
FROM_SUM = Gradient("dy", Line(positions.add_positions_backward, "return dy"))
LEARNED_POSITIONS = Operation(
    "positions", "x0 + x1", Line(positions.add_positions_forward, "return x"), (FROM_SUM, FROM_SUM)
)
FIXED_POSITIONS = LEARNED_POSITIONS._replace(formula="x0 + a fixed pattern of sines", gradients=(FROM_SUM,))
NORMALISE = Operation(
    "layernorm",
    "rstd·(x0 - mean(x0)), rstd = 1/sqrt(mean((x0 - mean(x0))²) + eps)",
    Line(layernorm.layernorm_forward, "xhat *= rstd"),
    (Gradient("rstd·(dy - mean(dy) - y·mean(dy·y))", Line(layernorm.layernorm_backward, "dx -= mean")),),
)
SCALE_AND_SHIFT = Operation(
    "layernorm",
    "x0·x1 + x2",
    Line(layernorm.layernorm_forward, "y += beta"),
    (
        Gradient("dy·x1", Line(layernorm.layernorm_backward, "u = ")),
        Gradient("the sum of dy·x0 over tokens", Line(layernorm.layernorm_backward, "dgamma = ")),
        Gradient("the sum of dy over tokens", Line(layernorm.layernorm_backward, "dbeta = ")),
    ),
)
SCORES = Operation(
    "dot_product",
    "x0 @ x1ᵀ / sqrt(Dh)",
    Line(attention.dot_product_forward, "scores *= 1"),
    (
        Gradient("dy @ x1 / sqrt(Dh)", Line(attention.dot_product_backward, "xp.matmul(dscores, k")),
        Gradient("dyᵀ @ x0 / sqrt(Dh)", Line(attention.dot_product_backward, "xp.matmul(dscores.swap")),
    ),
)
SOFTMAX = Operation(
    "softmax",
    "exp(x0) / the sum of exp(x0) over keys",
    Line(softmax_module._without_maximum, "y /= sums"),
    (Gradient("y·(dy - sum(dy·y))", Line(softmax_module.softmax_backward, "dx *= y")),),
)
ATTENDED = Operation(
    "dot_product",
    "x0 @ x1",
    Line(attention.dot_product_forward, "xp.matmul(dropped, v"),
    (
        Gradient("dy @ x1ᵀ", Line(attention.dot_product_backward, "ddropped = dy")),
        Gradient("x0ᵀ @ dy", Line(attention.dot_product_backward, "xp.matmul(dropped.swap")),
    ),
)
JOIN_HEADS = Operation(
    "attention",
    "the heads of x0 side by side",
    Line(attention.attention_forward, "joined = "),
    (Gradient("dy, split into heads", Line(attention.attention_backward, "dheads = ")),),
)
JOINED_QKV = Gradient("dq, dk and dv side by side", Line(attention.attention_backward, "dot_product_backward(dheads"))


def split_heads(part: int) -> Operation:
    """q, k or v: part 0, 1 or 2 of the columns of qkv, split into heads."""
    third = ("the first third", "the second third", "the last third")[part]
    return Operation(
        "attention", f"{third} of x0's columns, split into heads", Line(attention._heads, "return parts"), (JOINED_QKV,)
    )


LAYER_SCALE = Operation(
    "layer_scale",
    "x0·x1",
    Line(layer_scale.layer_scale_forward, "return (x, None)"),
    (
        Gradient("dy·x1", Line(layer_scale.layer_scale_backward, "return dy * gamma")),
        Gradient("the sum of dy·x0 over tokens", Line(layer_scale.layer_scale_backward, "dgamma = ")),
    ),
)
THROUGH_NORM = "rstd·(dxhat - mean(dxhat) - xhat·mean(dxhat·xhat))"


ADD_ATTENTION = Operation(
    "block",
    "x0 + x1",
    Line(block.block_forward, "h += x"),
    (
        Gradient(f"dy + {THROUGH_NORM}", Line(block.block_backward, "first += dh")),
        Gradient("dy", Line(block.block_backward, "dbranch = dropout_backward(dh")),
    ),
)
ADD_MLP = Operation(
    "block",
    "x0 + x1",
    Line(block.block_forward, "y += h"),
    (
        Gradient(f"dy + {THROUGH_NORM}", Line(block.block_backward, "dh += dy")),
        Gradient("dy", Line(block.block_backward, "dbranch = dropout_backward(dy")),
    ),
)


def gelu_of(form: str) -> Operation:
    """GELU in one of its forms, "erf", "tanh" or "quick"."""
    formula, slope = {
        "erf": ("x0·Φ(x0)", "Φ(x0) + x0·Φ'(x0)"),
        "tanh": ("x0·Φ(x0), Φ(x) = (1 + tanh(√(2/π)·(x + 0.044715·x³)))/2", "Φ(x0) + x0·Φ'(x0)"),
        "quick": ("x0·σ(1.702·x0)", "σ(1.702·x0) + 1.702·x0·σ'(1.702·x0)"),
    }[form]
    line, back = Line(gelu.gelu_forward, "return x / reciprocal"), Line(gelu.gelu_backward, "slope *= dy")
    return Operation("gelu", formula, line, (Gradient(f"dy·({slope})", back),))


def pooling(kind: str) -> Operation:
    """The pooling of this kind, one of `minivit.ops.pool.POOLS`."""
    formula, begins, gradient, back = {
        "cls": ("the first token of x0", "return x[:, 0]", "dy for the first token, 0 for the others", "dx[:, 0] = "),
        "mean": ("the mean of x0 over tokens", "return x.sum(1)", "dy/T for every token", "return xp.broadcast_to"),
        "patches": (
            "the mean of x0 over patches", "patches = ",
            "dy/N for every patch, 0 for the other tokens", "dx[:, prefix:] = ",
        ),
        "cls+patches": (
            "the first token of x0, and the mean over patches", "return array_module(x).concatenate",
            "the first half of dy for the first token, the second half/N for every patch", "dx[:, prefix:] = ",
        ),
    }[kind]  # fmt: skip
    gradients = (Gradient(gradient, Line(pool.pool_backward, back)),)
    return Operation("pool", formula, Line(pool.pool_forward, begins), gradients)


def cross_entropy(label: int) -> Operation:
    """The loss of a class."""
    return Operation(
        "loss",
        f"log of the sum of exp(x0), minus x0[{label}]",
        Line(loss.cross_entropy_forward, "losses = "),
        (Gradient(f"softmax(x0), minus 1 at {label}", Line(loss.cross_entropy_backward, "dlogits = prob")),),
    )


def minus_feature(k: int) -> Operation:
    """The loss of a model without classes."""
    gradient = Gradient(f"-1 at {k}, 0 elsewhere", Line(feature_loss, "doutput[0, k] = -1"))
    return Operation("loss", f"-x0[{k}]", Line(feature_loss, "loss = -output"), (gradient,))


def feature_loss(output: Array, k: int) -> tuple[float, Array]:
    """The loss of a model without classes: minus feature number k of its output (1, K); and its gradient."""
    loss = -output[0, k]
    doutput = array_module(output).zeros_like(output)
    doutput[0, k] = -1
    return loss, doutput
