"""The Vision Transformer: its forward and its backward pass.

Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words" (arXiv:2010.11929), equations 1 to 4.
"""

import functools
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

from .backend import Array, array_module
from .config import ViTConfig
from .errors import DataError, DataTypeError
from .masks import Masks
from .ops.block import BlockCache, BlockMasks, block_backward, block_forward
from .ops.class_token import (
    RegistersCache,
    class_token_backward,
    class_token_forward,
    registers_backward,
    registers_forward,
)
from .ops.dropout import dropout_backward, dropout_forward
from .ops.layernorm import LayerNormCache, layernorm_backward, layernorm_forward
from .ops.linear import LinearCache, linear_backward, linear_forward
from .ops.mlp import MlpCache, mlp_backward, mlp_forward
from .ops.patches import PatchEmbedCache, patch_embed_backward, patch_embed_forward
from .ops.pool import PoolCache, pool_backward, pool_forward
from .ops.positions import add_positions_backward, add_positions_forward, sincos1d, sincos2d
from .params import Params

WEIGHT_BIAS = ("weight", "bias")
ATTENTION = ("qkv.weight", "qkv.bias", "proj.weight", "proj.bias")
SCALES = ("ls1.gamma", "ls2.gamma")
MLP = ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")


class EmbedCache(NamedTuple):
    patches: PatchEmbedCache
    registers: RegistersCache | None
    norm: LayerNormCache | None


class ViTCache(NamedTuple):
    config: ViTConfig
    params: Params
    embed: EmbedCache
    masks: Masks | None
    blocks: tuple[BlockCache, ...]
    norm: LayerNormCache
    pool: PoolCache
    head: LinearCache | MlpCache | None


def vit_forward(
    params: Params,
    images: Array,
    config: ViTConfig,
    masks: Masks | None = None,
    keep_cache: bool = True,
    all_tokens: bool = False,
) -> tuple[Array, ViTCache]:
    """From pixels to logits; in a model without classes to what a head would read.

    Shapes   images (B, C, Sh, Sw), of the parameters' dtype and device  ->  logits (B, K)
    Cache    the caches of the parts, and the parameters, which must not change until the backward pass. Without
             keep_cache it is None, and every block's memory is free for the next. The attention weights of block i,
             before dropout, are `cache.blocks[i].attn.dot.softmax.y`, (B, H, T, T).
    With pool="cls" the last block computes only the class token's output (its Tq is 1), unless all_tokens is set:
    logits and gradients are the same to rounding, and more than half of that block's work is saved.
    Raises DataError for a shape that is not the config's and an empty batch, DataTypeError for another dtype.
    """
    queries = 1 if config.pool == "cls" and not all_tokens else None
    x, embed, blocks = encoder_forward(params, images, config, masks, keep_cache, queries)  # -> (B, T, D)
    if config.norm == "tokens":
        gamma, beta = _take(params, "norm.", WEIGHT_BIAS)
        x, norm = layernorm_forward(x, gamma, beta, config.norm_eps)
        x, pool = pool_forward(x, config.pool, config.prefix)  # (B, T, D) -> (B, D)
    else:
        x, pool = pool_forward(x, config.pool, config.prefix)  # (B, T, D) -> (B, D)
        gamma, beta = _take(params, "fc_norm.", WEIGHT_BIAS)
        x, norm = layernorm_forward(x, gamma, beta, config.norm_eps)
    head: LinearCache | MlpCache | None = None
    if config.head_hidden is not None:
        W1, b1, W2, b2 = _take(params, "head.", MLP)
        x, head = mlp_forward(x, W1, b1, W2, b2, config.gelu)  # (B, D) -> (B, K)
    elif config.classes is not None:
        W, b = _take(params, "head.", WEIGHT_BIAS)
        x, head = linear_forward(x, W, b)  # (B, D) -> (B, K)
    cache: Any = ViTCache(config, params, embed, masks, blocks, norm, pool, head) if keep_cache else None
    return x, cache


def vit_backward(
    dlogits: Array, cache: ViTCache, grads: Params | None = None, pixels: bool = True
) -> tuple[Params, Array]:
    """Given dlogits (B, K) and the cache, return the gradient of every parameter, as Params, and dimages
    (B, C, Sh, Sw). A given `grads` is written into and returned, every entry assigned exactly once. With pixels=False
    dimages is not computed, and None.

    Derivation: the forward read from bottom to top.
    """
    config, params, _, _, blocks, norm, pool, head = cache
    grads = params.empty_like() if grads is None else grads
    dx = dlogits
    if isinstance(head, MlpCache):
        out = _take(grads, "head.", MLP)
        dx, *dhead = mlp_backward(dx, head, out)  # (B, K) -> (B, D)
        _keep(dhead, out)
    elif isinstance(head, LinearCache):
        out = _take(grads, "head.", WEIGHT_BIAS)
        dx, *dhead = linear_backward(dx, head, out)  # (B, K) -> (B, D)
        _keep(dhead, out)
    if config.norm == "tokens":
        dx = pool_backward(dx, pool)  # (B, D) -> (B, T, D)
        out = _take(grads, "norm.", WEIGHT_BIAS)
        dx, *dnorm = layernorm_backward(dx, norm, out)
    else:
        out = _take(grads, "fc_norm.", WEIGHT_BIAS)
        dx, *dnorm = layernorm_backward(dx, norm, out)
        dx = pool_backward(dx, pool)  # (B, D) -> (B, T, D)
    _keep(dnorm, out)
    for i in reversed(range(config.depth)):
        parts = block_params(grads, i)
        dx, *dparts = block_backward(dx, blocks[i], parts)
        for dpart, out in zip(dparts, parts, strict=True):
            _keep(dpart, out)
    return grads, embed_backward(dx, cache, grads, pixels)  # (B, T, D) -> (B, C, Sh, Sw)


def encoder_forward(
    params: Params,
    images: Array,
    config: ViTConfig,
    masks: Masks | None = None,
    keep_cache: bool = True,
    queries: int | None = None,
) -> tuple[Array, EmbedCache, tuple[BlockCache, ...]]:
    """From pixels to the tokens behind the last block: all of them, or the first `queries`.

    Shapes   images (B, C, Sh, Sw)  ->  x (B, T, D)
    Cache    those of the embedding and of every block (each None without keep_cache). Errors as in `vit_forward`.
    """
    x, embed = embed_forward(params, images, config, masks)  # (B, C, Sh, Sw) -> (B, T, D)
    blocks: list[Any] = []
    for i in range(config.depth):
        only = queries if i == config.depth - 1 else None
        block_masks = BlockMasks() if masks is None else masks.blocks[i]
        norm1, attn, norm2, mlp, scales = block_params(params, i)
        settings = config.heads, config.norm_eps, config.gelu
        x, block = block_forward(x, norm1, attn, norm2, mlp, *settings, block_masks, only, scales)
        blocks.append(block if keep_cache else None)
    return x, embed, tuple(blocks)


def embed_forward(
    params: Params, images: Array, config: ViTConfig, masks: Masks | None = None
) -> tuple[Array, EmbedCache]:
    """What the first block reads: the embedded patches behind the class token, positions added, then the registers;
    and the LayerNorm in front of the blocks, if there is one.

    Shapes   images (B, C, Sh, Sw)  ->  x (B, T, D)
    Cache    those of the patch embedding and of the LayerNorm. Errors as in `vit_forward`.
    """
    _check_input(params, images, config)
    W, b = _take(params, "patch_embed.proj.", WEIGHT_BIAS)
    x, patches = patch_embed_forward(images, W, b, config.patch_size)
    if config.class_token:
        x, _ = class_token_forward(x, params["cls_token"])  # (B, N, D) -> (B, N + 1, D)
    if config.positions == "learned":
        x, _ = add_positions_forward(x, params["pos_embed"])
    elif config.positions != "none":
        x, _ = add_positions_forward(x, _fixed_positions(array_module(x), config, x.dtype))
    registers = norm = None
    if config.registers:
        x, registers = registers_forward(x, params["reg_token"], int(bool(config.class_token)))  # -> (B, T, D)
    if masks is not None:
        x, _ = dropout_forward(x, masks.embed)
    if config.pre_norm:
        gamma, beta = _take(params, "norm_pre.", WEIGHT_BIAS)
        x, norm = layernorm_forward(x, gamma, beta, config.norm_eps)
    return x, EmbedCache(patches, registers, norm)


def embed_backward(dx: Array, cache: ViTCache, grads: Params, pixels: bool = True) -> Array:
    """Given dx (B, T, D) and the cache, return dimages (B, C, Sh, Sw), or None without pixels; the gradients of the
    parameters are written into `grads`.

    Derivation: the forward read from bottom to top. dx passes fixed positions unchanged.
    """
    config = cache.config
    if cache.embed.norm is not None:
        out = _take(grads, "norm_pre.", WEIGHT_BIAS)
        dx, *dnorm = layernorm_backward(dx, cache.embed.norm, out)
        _keep(dnorm, out)
    if cache.masks is not None:
        dx = dropout_backward(dx, cache.masks.embed)
    if cache.embed.registers is not None:
        dx, *dregisters = registers_backward(dx, cache.embed.registers, out=grads["reg_token"])  # -> (B, N + 1, D)
        _keep(dregisters, (grads["reg_token"],))
    if config.positions == "learned":
        dx, *dpos = add_positions_backward(dx, out=grads["pos_embed"])
        _keep(dpos, (grads["pos_embed"],))
    if config.class_token:
        dx, *dtoken = class_token_backward(dx, out=grads["cls_token"])  # (B, N + 1, D) -> (B, N, D)
        _keep(dtoken, (grads["cls_token"],))
    out = _take(grads, "patch_embed.proj.", WEIGHT_BIAS)
    dimages, *dembed = patch_embed_backward(dx, cache.embed.patches, out, pixels=pixels)  # (B, N, D) -> (B, C, Sh, Sw)
    _keep(dembed, out)
    return dimages


def block_params(params: Params, i: int) -> tuple[tuple, tuple, tuple, tuple, tuple]:
    """Block i's parameters (or their gradients) as `block_forward` takes them: norm1, attn, norm2, mlp, scales."""
    parts = ("norm1.", WEIGHT_BIAS), ("attn.", ATTENTION), ("norm2.", WEIGHT_BIAS), ("mlp.", MLP), ("", SCALES)
    norm1, attn, norm2, mlp, scales = (_take(params, f"blocks.{i}.{part}", names) for part, names in parts)
    return norm1, attn, norm2, mlp, scales


def _take(params: Params, prefix: str, names: tuple[str, ...]) -> tuple:
    """The views prefix + name, in order; None for a bias that the model does not have."""
    return tuple(params.get(prefix + name) for name in names)


def _keep(gradients: Sequence[Array], views: Sequence[Array]) -> None:
    """See that the views hold these gradients: operations write them there, but one that somebody edited may not.
    Raises ValueError for another number of gradients than there are views."""
    for gradient, view in zip(gradients, views, strict=True):
        if gradient is not view:
            view[...] = gradient


@functools.lru_cache(maxsize=8)
def _fixed_positions(xp: ModuleType, config: ViTConfig, dtype: Any) -> Array:
    """The sine-cosine pattern (1, N, D), with a zero row for a class token; made once, and never written to."""
    if config.positions == "sincos1d":
        pattern = sincos1d(xp, config.patches, config.dim)
    else:
        pattern = sincos2d(xp, *config.grid, config.dim)
    token = int(bool(config.class_token))
    positions = xp.zeros((1, token + config.patches, config.dim), dtype)
    positions[0, token:] = pattern
    return positions


def _check_input(params: Params, images: Array, config: ViTConfig) -> None:
    if images.ndim != 4 or images.shape[1:] != config.image_shape:
        C, Sh, Sw = config.image_shape
        raise DataError(f"images of shape {images.shape} do not fit this model: expected (batch, {C}, {Sh}, {Sw})")
    if len(images) == 0:
        raise DataError("an empty batch was passed: the model needs at least one image")
    if images.dtype != params.flat.dtype:
        raise DataTypeError(
            f"images are {images.dtype}, the model is {params.flat.dtype}: forward takes floats as they are; "
            "use predict for uint8 images, or images.astype"
        )
