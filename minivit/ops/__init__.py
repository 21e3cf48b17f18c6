"""The mathematics: every operation is a pair `y, cache = f_forward(...)` and `gradients = f_backward(dy, cache)`.

dy is the gradient of the loss with respect to y, the upstream gradient, and has y's shape. Every backward pass is one
application of the chain rule: dx_j = sum_i dy_i · ∂y_i/∂x_j. A value used in several places receives the sum of the
gradients from each use. A·B multiplies entry by entry, A @ B is the matrix product, [i = j] is 1 if i = j, else 0.
READING_ORDER names the modules in the order in which to read them.

The functions exported here modify neither their inputs nor a cache. Outputs have the dtype of the inputs, on NumPy and
on CuPy: float32 to train, float64 to check gradients, complex128 for the complex step (the range of float16 is too
small). `out` of a backward pass holds arrays into which the parameters' gradients are written, in the order in which
they are returned; for None a new array is made.
"""

from .attention import attention_backward, attention_forward, dot_product_backward, dot_product_forward
from .block import BlockMasks, block_backward, block_forward
from .class_token import class_token_backward, class_token_forward, registers_backward, registers_forward
from .dropout import dropout_backward, dropout_forward
from .gelu import gelu_backward, gelu_forward
from .layer_scale import layer_scale_backward, layer_scale_forward
from .layernorm import layernorm_backward, layernorm_forward
from .linear import linear_backward, linear_forward
from .loss import cross_entropy_backward, cross_entropy_forward
from .mlp import mlp_backward, mlp_forward
from .normal_cdf import normal_cdf
from .patch_dropout import patch_dropout_backward, patch_dropout_forward
from .patches import patch_embed_backward, patch_embed_forward, patchify, unpatchify
from .pool import pool_backward, pool_forward
from .positions import add_positions_backward, add_positions_forward, sincos1d, sincos2d
from .resize import DIALECTS, interpolation_matrix, resize_backward, resize_forward
from .softmax import softmax_backward, softmax_forward

READING_ORDER = (
    "linear",
    "softmax",
    "patches",
    "class_token",
    "positions",
    "resize",
    "attention",
    "block",
    "layernorm",
    "normal_cdf",
    "gelu",
    "mlp",
    "layer_scale",
    "dropout",
    "patch_dropout",
    "pool",
    "loss",
)

__all__ = [
    "DIALECTS",
    "READING_ORDER",
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
    "interpolation_matrix",
    "layer_scale_backward",
    "layer_scale_forward",
    "layernorm_backward",
    "layernorm_forward",
    "linear_backward",
    "linear_forward",
    "mlp_backward",
    "mlp_forward",
    "normal_cdf",
    "patch_dropout_backward",
    "patch_dropout_forward",
    "patch_embed_backward",
    "patch_embed_forward",
    "patchify",
    "pool_backward",
    "pool_forward",
    "registers_backward",
    "registers_forward",
    "resize_backward",
    "resize_forward",
    "sincos1d",
    "sincos2d",
    "softmax_backward",
    "softmax_forward",
    "unpatchify",
]
