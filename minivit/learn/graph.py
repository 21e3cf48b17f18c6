"""The computation graph of the tiny model, as a list of steps: which operation computes which tensor, from what.

Every operation states its formulas and the lines of `minivit.ops` that compute them. In the formulas x0, x1, ... stand
for the inputs, dy for the gradient of the output y.
"""

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from einops import rearrange

from ..config import ViTConfig
from ..ops import attention, block, class_token, gelu, layernorm, linear, loss, patches, pool, positions, softmax


class Place(NamedTuple):
    """A line of the package: its function, and the text that the line begins with."""

    function: Callable[..., Any]
    begins: str

    def __str__(self) -> str:
        lines, first = inspect.getsourcelines(self.function)
        (found,) = (n for n, line in enumerate(lines, first) if line.strip().startswith(self.begins))
        package = Path(__file__).parents[1]
        return f"{package.name}/{Path(inspect.getfile(self.function)).relative_to(package).as_posix()}:{found}"


class Gradient(NamedTuple):
    """The gradient of one of an operation's inputs: its formula, and the line that computes it."""

    formula: str
    place: Place


class Operation(NamedTuple):
    """A pair of passes, the formula of the output, and those of the inputs' gradients, in order."""

    forward: Callable[..., tuple[Any, Any]]
    backward: Callable[..., Any]
    formula: str
    place: Place
    gradients: tuple[Gradient, ...]


class Step(NamedTuple):
    """One line of the model: the name of its output, the operation, and the names of its inputs."""

    name: str
    operation: Operation
    inputs: tuple[str, ...]


def graph(label: int, config: ViTConfig) -> list[Step]:
    """The steps from one normalised image to the loss for its label, in a model of one block with a class token and
    learned positions. The parameters have their names in the model."""

    def layer(name: str) -> tuple[str, str]:
        return f"{name}.weight", f"{name}.bias"

    return [
        Step("patches", _patchify(config), ("images",)),
        Step("embedded", LINEAR, ("patches", *layer("patch_embed.proj"))),
        Step("tokens", CLASS_TOKEN, ("embedded", "cls_token")),
        Step("x", POSITIONS, ("tokens", "pos_embed")),
        Step("normed1", LAYERNORM, ("x", *layer("blocks.0.norm1"))),
        Step("qkv", LINEAR, ("normed1", *layer("blocks.0.attn.qkv"))),
        Step("q", _split_heads(config.heads, 0), ("qkv",)),
        Step("k", _split_heads(config.heads, 1), ("qkv",)),
        Step("v", _split_heads(config.heads, 2), ("qkv",)),
        Step("scores", SCORES, ("q", "k")),
        Step("attn", SOFTMAX, ("scores",)),
        Step("attended", ATTENDED, ("attn", "v")),
        Step("joined", _join_heads(config.heads), ("attended",)),
        Step("attn_out", LINEAR, ("joined", *layer("blocks.0.attn.proj"))),
        Step("h", _add("h += x", "first += dh", "dbranch = dropout_backward(dh"), ("x", "attn_out")),
        Step("normed2", LAYERNORM, ("h", *layer("blocks.0.norm2"))),
        Step("hidden", LINEAR, ("normed2", *layer("blocks.0.mlp.fc1"))),
        Step("active", GELU, ("hidden",)),
        Step("mlp_out", LINEAR, ("active", *layer("blocks.0.mlp.fc2"))),
        Step("out", _add("y += h", "dh += dy", "dbranch = dropout_backward(dy"), ("h", "mlp_out")),
        Step("normed", LAYERNORM, ("out", *layer("norm"))),
        Step("pooled", POOL, ("normed",)),
        Step("logits", LINEAR, ("pooled", *layer("head"))),
        Step("loss", _cross_entropy(label), ("logits",)),
    ]


LINEAR = Operation(
    linear.linear_forward,
    linear.linear_backward,
    "x0 @ x1 + x2",
    Place(linear.linear_forward, "y = rows @ W"),
    (
        Gradient("dy @ x1ᵀ", Place(linear.linear_backward, "dx = drows")),
        Gradient("x0ᵀ @ dy", Place(linear.linear_backward, "dW = xp.matmul(rows")),
        Gradient("the sum of dy over its rows", Place(linear.linear_backward, "db = column_sums")),
    ),
)
LAYERNORM = Operation(
    layernorm.layernorm_forward,
    layernorm.layernorm_backward,
    "xhat·x1 + x2, xhat = (x0 - mean)/sqrt(variance + eps)",
    Place(layernorm.layernorm_forward, "y = xhat"),
    (
        Gradient("rstd·(u - mean(u) - xhat·mean(u·xhat)), u = dy·x1", Place(layernorm.layernorm_backward, "dx -=")),
        Gradient("the sum of dy·xhat over its rows", Place(layernorm.layernorm_backward, "dgamma =")),
        Gradient("the sum of dy over its rows", Place(layernorm.layernorm_backward, "dbeta =")),
    ),
)
CLASS_TOKEN = Operation(
    class_token.class_token_forward,
    class_token.class_token_backward,
    "x1 in front of x0",
    Place(class_token.class_token_forward, "y[:, :1] ="),
    (
        Gradient("dy without its first token", Place(class_token.class_token_backward, "return dy")),
        Gradient("the first token of dy", Place(class_token.class_token_backward, "return dy")),
    ),
)
POSITIONS = Operation(
    positions.add_positions_forward,
    positions.add_positions_backward,
    "x0 + x1",
    Place(positions.add_positions_forward, "return x"),
    (
        Gradient("dy", Place(positions.add_positions_backward, "return dy")),
        Gradient("dy", Place(positions.add_positions_backward, "return dy")),
    ),
)
SOFTMAX = Operation(
    softmax.softmax_forward,
    softmax.softmax_backward,
    "exp(x0) / the sum of exp(x0) over keys",
    Place(softmax._with_maximum, "y /= row_sums"),
    (Gradient("y·(dy - sum(dy·y))", Place(softmax.softmax_backward, "dx = dy")),),
)
GELU = Operation(
    gelu.gelu_forward,
    gelu.gelu_backward,
    "x0·Φ(x0)",
    Place(gelu.gelu_forward, "return x * cdf"),
    (Gradient("dy·(Φ(x0) + x0·Φ'(x0))", Place(gelu.gelu_backward, "slope *= dy")),),
)
POOL = Operation(
    pool.pool_forward,
    pool.pool_backward,
    "the first token of x0",
    Place(pool.pool_forward, "return x[:, 0]"),
    (Gradient("dy for the first token, 0 for the others", Place(pool.pool_backward, "dx[:, 0] = dy")),),
)


def _scores_forward(q: Any, k: Any) -> tuple[Any, Any]:
    return q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1]), (q, k)


def _scores_backward(dy: Any, cache: Any) -> tuple[Any, Any]:
    q, k = cache
    dproduct = dy / math.sqrt(q.shape[-1])
    return dproduct @ k, dproduct.swapaxes(-1, -2) @ q


SCORES = Operation(
    _scores_forward,
    _scores_backward,
    "x0 @ x1ᵀ / sqrt(Dh)",
    Place(attention.dot_product_forward, "scores *= 1"),
    (
        Gradient("dy @ x1 / sqrt(Dh)", Place(attention.dot_product_backward, "xp.matmul(dscores, k")),
        Gradient("dyᵀ @ x0 / sqrt(Dh)", Place(attention.dot_product_backward, "xp.matmul(dscores.swap")),
    ),
)
ATTENDED = Operation(
    lambda attn, v: (attn @ v, (attn, v)),
    lambda dy, cache: (dy @ cache[1].swapaxes(-1, -2), cache[0].swapaxes(-1, -2) @ dy),
    "x0 @ x1",
    Place(attention.dot_product_forward, "xp.matmul(dropped, v"),
    (
        Gradient("dy @ x1ᵀ", Place(attention.dot_product_backward, "ddropped = dy")),
        Gradient("x0ᵀ @ dy", Place(attention.dot_product_backward, "xp.matmul(dropped.swap")),
    ),
)


def _split_heads(heads: int, part: int) -> Operation:
    """q, k or v, part 0, 1 or 2 of the columns of qkv, split into heads."""

    def split(qkv: Any) -> tuple[Any, Any]:
        return rearrange(qkv, "b t (qkv h e) -> qkv b h t e", qkv=3, h=heads)[part], None

    def back(dy: Any, cache: None) -> Any:
        parts = [dy if i == part else np.zeros_like(dy) for i in range(3)]
        return rearrange(parts, "qkv b h t e -> b t (qkv h e)")

    third = ("the first third", "the second third", "the last third")[part]
    return Operation(
        split,
        back,
        f"{third} of x0's columns, split into heads",
        Place(attention._heads, "return parts"),
        (Gradient(f"dy in {third} of the columns", Place(attention.attention_backward, "dot_product_backward")),),
    )


def _join_heads(heads: int) -> Operation:
    return Operation(
        lambda y: (rearrange(y, "b h t e -> b t (h e)"), None),
        lambda dy, cache: rearrange(dy, "b t (h e) -> b h t e", h=heads),
        "the heads of x0 concatenated",
        Place(attention.attention_forward, "joined ="),
        (Gradient("dy, split into heads", Place(attention.attention_backward, "dheads =")),),
    )


def _add(forward: str, skip: str, branch: str) -> Operation:
    """The skip connection; the arguments are what its lines in `minivit.ops.block` begin with."""
    return Operation(
        lambda stream, branch: (stream + branch, None),
        lambda dy, cache: (dy, dy),
        "x0 + x1",
        Place(block.block_forward, forward),
        (Gradient("dy", Place(block.block_backward, skip)), Gradient("dy", Place(block.block_backward, branch))),
    )


def _patchify(config: ViTConfig) -> Operation:
    P, size = config.patch_size, config.image_shape[1:]
    return Operation(
        lambda images: (patches.patchify(images, P), None),
        lambda dy, cache: patches.unpatchify(dy, size, P),
        f"x0 cut into patches of {P} x {P} pixels",
        Place(patches.patchify, "return rearrange"),
        (Gradient("dy, every pixel moved back to its place", Place(patches.unpatchify, "return rearrange")),),
    )


def _cross_entropy(label: int) -> Operation:
    return Operation(
        lambda logits: loss.cross_entropy_forward(logits, np.array([label])),
        loss.cross_entropy_backward,
        f"log of the sum of exp(x0), minus x0[{label}]",
        Place(loss.cross_entropy_forward, "losses ="),
        (Gradient(f"softmax(x0), minus 1 at {label}", Place(loss.cross_entropy_backward, "dlogits = prob")),),
    )
