"""The Vision Transformer: its forward and its backward pass.

Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words" (arXiv:2010.11929), equations 1 to 4.
"""

from typing import Any, NamedTuple, cast

from .backend import Array
from .config import ViTConfig
from .embedding import EmbedCache, embed_backward, embed_forward
from .layers import trained
from .masks import Masks
from .ops.block import BlockCache, BlockMasks, block_backward, block_forward
from .ops.layernorm import LayerNormCache, layernorm_backward, layernorm_forward
from .ops.linear import LinearCache, linear_backward, linear_forward
from .ops.mlp import MlpCache, mlp_backward, mlp_forward
from .ops.pool import PoolCache, pool_backward, pool_forward
from .params import WEIGHT_BIAS, Params, keep, take

ATTENTION = ("qkv.weight", "qkv.bias", "proj.weight", "proj.bias")
SCALES = ("ls1.gamma", "ls2.gamma")
MLP = ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")


class ViTCache(NamedTuple):
    config: ViTConfig
    params: Params
    embed: EmbedCache
    masks: Masks | None
    blocks: tuple[BlockCache, ...]
    norm: LayerNormCache
    pool: PoolCache
    head: LinearCache | MlpCache | None
    frozen: int


def vit_forward(
    params: Params,
    images: Array,
    config: ViTConfig,
    masks: Masks | None = None,
    keep_cache: bool = True,
    all_tokens: bool = False,
    frozen: int = 0,
) -> tuple[Array, ViTCache]:
    """From pixels to logits; in a model without classes to what a head would read.

    Shapes   images (B, C, Sh, Sw), of the parameters' dtype and device  ->  logits (B, K); or, with everything in front
             of the head frozen, the embeddings (B, D) that such a model made of images
    Cache    the caches of the parts, and the parameters, which must not change until the backward pass. With
             keep_cache=False it is None, and each block's memory is freed for the next. The attention weights of block
             i, before dropout, are `cache.blocks[i].attn.dot.softmax.y`, (B, H, T, T). Of the first `frozen` layers
             (`layers.layer_of` counts them) nothing is kept, and the backward pass ends above them.
    With pool="cls" the last block computes only the class token's output (its Tq is 1), unless all_tokens is set:
    logits and gradients are the same to rounding, and more than half of that block's work is saved.
    Raises DataError for a shape that does not match the config and for an empty batch, DataTypeError for a dtype other
    than the parameters'.
    """
    if images.shape[1:] == (config.features,):
        x, head = head_forward(params, images, config)  # (B, D) -> (B, K)
        nothing = cast(Any, None)
        return x, ViTCache(config, params, nothing, masks, (), nothing, nothing, head, frozen=config.depth + 2)
    queries = 1 if config.pool == "cls" and not all_tokens else None
    x, embed, blocks = encoder_forward(params, images, config, masks, keep_cache, queries, frozen)  # -> (B, T, D)
    if config.norm == "tokens":
        gamma, beta = take(params, "norm.", WEIGHT_BIAS)
        x, norm = layernorm_forward(x, gamma, beta, config.norm_eps)
        x, pool = pool_forward(x, config.pool, config.prefix)  # (B, T, D) -> (B, D)
    else:
        x, pool = pool_forward(x, config.pool, config.prefix)  # (B, T, D) -> (B, D)
        gamma, beta = take(params, "fc_norm.", WEIGHT_BIAS)
        x, norm = layernorm_forward(x, gamma, beta, config.norm_eps)
    x, head = head_forward(params, x, config)  # (B, D) -> (B, K)
    if not keep_cache:
        return x, cast(Any, None)
    if frozen > config.depth + 1:
        norm = pool = cast(Any, None)
    return x, ViTCache(config, params, embed, masks, blocks, norm, pool, head, frozen)


def vit_backward(
    dlogits: Array, cache: ViTCache, grads: Params | None = None, pixels: bool = True
) -> tuple[Params, Array]:
    """Given dlogits (B, K) and the cache, return the gradient of every parameter that is not frozen, as Params, and
    dimages (B, C, Sh, Sw). A given `grads` is written into and returned, every entry assigned exactly once. With
    pixels=False, and where layers are frozen, dimages is not computed and is None. Raises ValueError where `grads` are
    the parameters themselves.

    Derivation: the forward read from bottom to top, down to the frozen layers.
    """
    config, params, embed, masks, blocks, norm, pool, head, frozen = cache
    if grads is not None and grads.flat is params.flat:
        raise ValueError("grads are the model's own parameters, which would be overwritten: leave grads out")
    grads = trained(params, config, frozen).empty_like() if grads is None else grads
    dx = head_backward(dlogits, head, grads)  # (B, K) -> (B, D)
    if frozen > config.depth + 1:
        return grads, None
    if config.norm == "tokens":
        dx = pool_backward(dx, pool)  # (B, D) -> (B, T, D)
        out = take(grads, "norm.", WEIGHT_BIAS)
        dx, *dnorm = layernorm_backward(dx, norm, out)
    else:
        out = take(grads, "fc_norm.", WEIGHT_BIAS)
        dx, *dnorm = layernorm_backward(dx, norm, out)
        dx = pool_backward(dx, pool)  # (B, D) -> (B, T, D)
    keep(dnorm, out)
    for i in reversed(range(max(0, frozen - 1), config.depth)):
        parts = block_params(grads, i)
        dx, *dparts = block_backward(dx, blocks[i], parts)
        for dpart, out in zip(dparts, parts, strict=True):
            keep(dpart, out)
    if frozen:
        return grads, None
    return grads, embed_backward(dx, embed, config, masks, grads, pixels)  # (B, T, D) -> (B, C, Sh, Sw)


def head_forward(params: Params, x: Array, config: ViTConfig) -> tuple[Array, LinearCache | MlpCache | None]:
    """From what the head reads to the logits; in a model without classes x itself.

    Shapes   x (B, D)  ->  logits (B, K)
    Cache    that of the linear layer or of the MLP.
    """
    if config.head_hidden is not None:
        W1, b1, W2, b2 = take(params, "head.", MLP)
        return mlp_forward(x, W1, b1, W2, b2, config.gelu)
    if config.classes is not None:
        W, b = take(params, "head.", WEIGHT_BIAS)
        return linear_forward(x, W, b)
    return x, None


def head_backward(dlogits: Array, cache: LinearCache | MlpCache | None, grads: Params) -> Array:
    """Given dlogits (B, K) and the cache, return dx (B, D); the gradients of the head are written into `grads`.

    Derivation: the forward read from bottom to top.
    """
    dx = dlogits
    if isinstance(cache, MlpCache):
        out = take(grads, "head.", MLP)
        dx, *dhead = mlp_backward(dx, cache, out)  # (B, K) -> (B, D)
        keep(dhead, out)
    elif isinstance(cache, LinearCache):
        out = take(grads, "head.", WEIGHT_BIAS)
        dx, *dhead = linear_backward(dx, cache, out)  # (B, K) -> (B, D)
        keep(dhead, out)
    return dx


def encoder_forward(
    params: Params,
    images: Array,
    config: ViTConfig,
    masks: Masks | None = None,
    keep_cache: bool = True,
    queries: int | None = None,
    frozen: int = 0,
) -> tuple[Array, EmbedCache, tuple[BlockCache, ...]]:
    """From pixels to the tokens behind the last block: all of them, or the first `queries`.

    Shapes   images (B, C, Sh, Sw)  ->  x (B, T, D)
    Cache    those of the embedding and of every block (each None without keep_cache, or where it is frozen). Errors as
             in `vit_forward`.
    """
    x, embed = embed_forward(params, images, config, masks)  # (B, C, Sh, Sw) -> (B, T, D)
    if frozen:
        embed = cast(Any, None)  # its memory is free for the blocks
    blocks: list[Any] = []
    for i in range(config.depth):
        only = queries if i == config.depth - 1 else None
        block_masks = BlockMasks() if masks is None else masks.blocks[i]
        norm1, attn, norm2, mlp, scales = block_params(params, i)
        settings = config.heads, config.norm_eps, config.gelu
        x, block = block_forward(x, norm1, attn, norm2, mlp, *settings, block_masks, only, scales)
        blocks.append(block if keep_cache and i + 1 >= frozen else None)
    return x, embed, tuple(blocks)


def block_params(params: Params, i: int) -> tuple[tuple, tuple, tuple, tuple, tuple]:
    """Block i's parameters (or their gradients) as `block_forward` takes them: norm1, attn, norm2, mlp, scales."""
    parts = ("norm1.", WEIGHT_BIAS), ("attn.", ATTENTION), ("norm2.", WEIGHT_BIAS), ("mlp.", MLP), ("", SCALES)
    norm1, attn, norm2, mlp, scales = (take(params, f"blocks.{i}.{part}", names) for part, names in parts)
    return norm1, attn, norm2, mlp, scales
