"""The Vision Transformer: the list of its parameters, and its forward and backward pass.

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
from .ops.class_token import class_token_backward, class_token_forward
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
MLP = ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")


def parameter_shapes(config: ViTConfig) -> dict[str, tuple[int, ...]]:
    """Every parameter's name and shape, in the order of the architecture. This is the only such list in the program.
    The names are timm's; weights are (in, out)."""
    C, P, D, F, K = config.channels, config.patch_size, config.dim, config.mlp_dim, config.classes
    shapes: dict[str, tuple[int, ...]] = {}
    shapes["patch_embed.proj.weight"] = (C * P * P, D)
    shapes["patch_embed.proj.bias"] = (D,)
    if config.pool == "cls":
        shapes["cls_token"] = (1, 1, D)
    if config.positions == "learned":
        shapes["pos_embed"] = (1, config.tokens, D)
    for i in range(config.depth):
        shapes[f"blocks.{i}.norm1.weight"] = (D,)
        shapes[f"blocks.{i}.norm1.bias"] = (D,)
        shapes[f"blocks.{i}.attn.qkv.weight"] = (D, 3 * D)
        if config.qkv_bias:
            shapes[f"blocks.{i}.attn.qkv.bias"] = (3 * D,)
        shapes[f"blocks.{i}.attn.proj.weight"] = (D, D)
        shapes[f"blocks.{i}.attn.proj.bias"] = (D,)
        shapes[f"blocks.{i}.norm2.weight"] = (D,)
        shapes[f"blocks.{i}.norm2.bias"] = (D,)
        shapes[f"blocks.{i}.mlp.fc1.weight"] = (D, F)
        shapes[f"blocks.{i}.mlp.fc1.bias"] = (F,)
        shapes[f"blocks.{i}.mlp.fc2.weight"] = (F, D)
        shapes[f"blocks.{i}.mlp.fc2.bias"] = (D,)
    shapes["norm.weight"] = (D,)
    shapes["norm.bias"] = (D,)
    if config.head_hidden is None:
        shapes["head.weight"] = (D, K)
        shapes["head.bias"] = (K,)
    else:
        shapes["head.fc1.weight"] = (D, config.head_hidden)
        shapes["head.fc1.bias"] = (config.head_hidden,)
        shapes["head.fc2.weight"] = (config.head_hidden, K)
        shapes["head.fc2.bias"] = (K,)
    return shapes


class ViTCache(NamedTuple):
    config: ViTConfig
    params: Params
    embed: PatchEmbedCache
    masks: Masks | None
    blocks: tuple[BlockCache, ...]
    norm: LayerNormCache
    pool: PoolCache
    head: LinearCache | MlpCache


def vit_forward(
    params: Params,
    images: Array,
    config: ViTConfig,
    masks: Masks | None = None,
    keep_cache: bool = True,
    all_tokens: bool = False,
) -> tuple[Array, ViTCache]:
    """From pixels to logits.

    Shapes   images (B, C, Sh, Sw), of the parameters' dtype and device  ->  logits (B, K)
    Cache    the caches of the parts, and the parameters, which must not change until the backward pass. With
             keep_cache=False it is None, and each block's memory is freed for the next. The attention weights of block
             i, before dropout, are `cache.blocks[i].attn.dot.softmax.y`, (B, H, T, T).
    With pool="cls" the last block computes only the class token's output (its Tq is 1), unless all_tokens is set:
    logits and gradients are the same to rounding, and more than half of that block's work is saved.
    Raises DataError for a shape that does not match the config and for an empty batch, DataTypeError for a dtype other
    than the parameters'.
    """
    x, embed = embed_forward(params, images, config, masks)  # (B, C, Sh, Sw) -> (B, T, D)
    blocks: list[Any] = []
    for i in range(config.depth):
        only_class_token = config.pool == "cls" and i == config.depth - 1 and not all_tokens
        block_masks = BlockMasks() if masks is None else masks.blocks[i]
        queries = 1 if only_class_token else None
        norm1, attn, norm2, mlp = block_params(params, i)
        settings = config.heads, config.norm_eps, config.gelu
        x, block = block_forward(x, norm1, attn, norm2, mlp, *settings, block_masks, queries)
        blocks.append(block if keep_cache else None)
    gamma, beta = _take(params, "norm.", WEIGHT_BIAS)
    x, norm = layernorm_forward(x, gamma, beta, config.norm_eps)
    x, pool = pool_forward(x, config.pool)  # (B, T, D) -> (B, D)
    head: LinearCache | MlpCache
    if config.head_hidden is None:
        W, b = _take(params, "head.", WEIGHT_BIAS)
        logits, head = linear_forward(x, W, b)  # (B, D) -> (B, K)
    else:
        W1, b1, W2, b2 = _take(params, "head.", MLP)
        logits, head = mlp_forward(x, W1, b1, W2, b2, config.gelu)
    cache: Any = ViTCache(config, params, embed, masks, tuple(blocks), norm, pool, head) if keep_cache else None
    return logits, cache


def vit_backward(
    dlogits: Array, cache: ViTCache, grads: Params | None = None, pixels: bool = True
) -> tuple[Params, Array]:
    """Given dlogits (B, K) and the cache, return the gradient of every parameter, as Params, and dimages
    (B, C, Sh, Sw). A given `grads` is written into and returned, every entry assigned exactly once. With pixels=False,
    dimages is not computed and is None.

    Derivation: the forward read from bottom to top.
    """
    config, params, embed, masks, blocks, norm, pool, head = cache
    grads = params.empty_like() if grads is None else grads
    if isinstance(head, LinearCache):
        out = _take(grads, "head.", WEIGHT_BIAS)
        dx, *dhead = linear_backward(dlogits, head, out)  # (B, K) -> (B, D)
    else:
        out = _take(grads, "head.", MLP)
        dx, *dhead = mlp_backward(dlogits, head, out)  # (B, K) -> (B, D)
    _keep(dhead, out)
    dx = pool_backward(dx, pool)  # (B, D) -> (B, T, D)
    out = _take(grads, "norm.", WEIGHT_BIAS)
    dx, *dnorm = layernorm_backward(dx, norm, out)
    _keep(dnorm, out)
    for i in reversed(range(config.depth)):
        parts = block_params(grads, i)
        dx, *dparts = block_backward(dx, blocks[i], parts)
        for dpart, out in zip(dparts, parts, strict=True):
            _keep(dpart, out)
    return grads, embed_backward(dx, cache, grads, pixels)  # (B, T, D) -> (B, C, Sh, Sw)


def embed_forward(
    params: Params, images: Array, config: ViTConfig, masks: Masks | None = None
) -> tuple[Array, PatchEmbedCache]:
    """The input of the first block: the embedded patches, with the class token (if there is one) and positions added.

    Shapes   images (B, C, Sh, Sw)  ->  x (B, T, D)
    Cache    that of the patch embedding. Errors as in `vit_forward`.
    """
    _check_input(params, images, config)
    W, b = _take(params, "patch_embed.proj.", WEIGHT_BIAS)
    x, cache = patch_embed_forward(images, W, b, config.patch_size)
    if config.pool == "cls":
        x, _ = class_token_forward(x, params["cls_token"])  # (B, N, D) -> (B, T, D)
    if config.positions == "learned":
        x, _ = add_positions_forward(x, params["pos_embed"])
    elif config.positions != "none":
        x, _ = add_positions_forward(x, _fixed_positions(array_module(x), config, x.dtype))
    if masks is not None:
        x, _ = dropout_forward(x, masks.embed)
    return x, cache


def embed_backward(dx: Array, cache: ViTCache, grads: Params, pixels: bool = True) -> Array:
    """Given dx (B, T, D) and the cache, return dimages (B, C, Sh, Sw), or None with pixels=False; the gradients of the
    parameters are written into `grads`.

    Derivation: the forward read from bottom to top. dx passes fixed positions unchanged.
    """
    config = cache.config
    if cache.masks is not None:
        dx = dropout_backward(dx, cache.masks.embed)
    if config.positions == "learned":
        dx, *dpos = add_positions_backward(dx, out=grads["pos_embed"])
        _keep(dpos, (grads["pos_embed"],))
    if config.pool == "cls":
        dx, *dtoken = class_token_backward(dx, out=grads["cls_token"])  # (B, T, D) -> (B, N, D)
        _keep(dtoken, (grads["cls_token"],))
    out = _take(grads, "patch_embed.proj.", WEIGHT_BIAS)
    dimages, *dembed = patch_embed_backward(dx, cache.embed, out, pixels=pixels)  # (B, N, D) -> (B, C, Sh, Sw)
    _keep(dembed, out)
    return dimages


def block_params(params: Params, i: int) -> tuple[tuple, tuple, tuple, tuple]:
    """Block i's parameters (or their gradients) as `block_forward` takes them: norm1, attn, norm2, mlp."""
    parts = (("norm1.", WEIGHT_BIAS), ("attn.", ATTENTION), ("norm2.", WEIGHT_BIAS), ("mlp.", MLP))
    norm1, attn, norm2, mlp = (_take(params, f"blocks.{i}.{part}", names) for part, names in parts)
    return norm1, attn, norm2, mlp


def _take(params: Params, prefix: str, names: tuple[str, ...]) -> tuple:
    """The views prefix + name, in order; None for a bias that the model does not have."""
    return tuple(params.get(prefix + name) for name in names)


def _keep(gradients: Sequence[Array], views: Sequence[Array]) -> None:
    """Make sure that the views hold these gradients. Our operations write them there; an edited one may return new
    arrays, which are copied. Raises ValueError if the numbers of gradients and of views differ."""
    for gradient, view in zip(gradients, views, strict=True):
        if gradient is not view:
            view[...] = gradient


@functools.lru_cache(maxsize=8)
def _fixed_positions(xp: ModuleType, config: ViTConfig, dtype: Any) -> Array:
    """The sine-cosine pattern (1, T, D), with a zero row for the class token; cached, and never modified."""
    if config.positions == "sincos1d":
        pattern = sincos1d(xp, config.patches, config.dim)
    else:
        pattern = sincos2d(xp, *config.grid, config.dim)
    positions = xp.zeros((1, config.tokens, config.dim), dtype)
    positions[0, config.tokens - config.patches :] = pattern
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
