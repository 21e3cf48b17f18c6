"""The mathematics: every operation is a pair `y, cache = f_forward(...)` and `gradients = f_backward(dy, cache)`.

dy is the gradient of the loss with respect to y, and has y's shape. Every derivation uses one rule: dx_j is the sum,
over every y_i that x_j reaches, of dy_i times the slope of y_i along x_j. So a value that was used twice adds what its
uses hand back. A·B is entry by entry, A @ B a matrix product, [i = j] is 1 where it holds and 0 elsewhere.

In reading order: linear, softmax, patches, positions, attention, block, layernorm, gelu, mlp, dropout, pool, loss.
Caches are never written to, inputs never modified; the dtype that comes in goes out, on NumPy and on CuPy.
"""

from .attention import attention_backward, attention_forward, dot_product_backward, dot_product_forward
from .block import BlockMasks, block_backward, block_forward
from .dropout import dropout_backward, dropout_forward
from .gelu import gelu_backward, gelu_forward, normal_cdf
from .layernorm import layernorm_backward, layernorm_forward
from .linear import linear_backward, linear_forward
from .loss import cross_entropy_backward, cross_entropy_forward
from .mlp import mlp_backward, mlp_forward
from .patches import patch_embed_backward, patch_embed_forward, patchify, unpatchify
from .pool import pool_backward, pool_forward
from .positions import (
    add_positions_backward,
    add_positions_forward,
    class_token_backward,
    class_token_forward,
    sincos1d,
    sincos2d,
)
from .softmax import softmax_backward, softmax_forward

__all__ = [
    "BlockMasks",
    "add_positions_backward",
    "add_positions_forward",
    "attention_backward",
    "attention_forward",
    "block_backward",
    "block_forward",
    "class_token_backward",
    "class_token_forward",
    "cross_entropy_backward",
    "cross_entropy_forward",
    "dot_product_backward",
    "dot_product_forward",
    "dropout_backward",
    "dropout_forward",
    "gelu_backward",
    "gelu_forward",
    "layernorm_backward",
    "layernorm_forward",
    "linear_backward",
    "linear_forward",
    "mlp_backward",
    "mlp_forward",
    "normal_cdf",
    "patch_embed_backward",
    "patch_embed_forward",
    "patchify",
    "pool_backward",
    "pool_forward",
    "sincos1d",
    "sincos2d",
    "softmax_backward",
    "softmax_forward",
    "unpatchify",
]
