"""The Vision Transformer: the list of its parameters, their initial values, and the two passes.

Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words" (arXiv:2010.11929), equations 1 to 4.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy

from .backend import Array, array_module
from .config import ViTConfig
from .masks import Masks
from .ops.block import BlockCache, BlockMasks, block_backward, block_forward
from .ops.dropout import dropout_backward, dropout_forward
from .ops.layernorm import LayerNormCache, layernorm_backward, layernorm_forward
from .ops.linear import LinearCache, linear_backward, linear_forward
from .ops.mlp import MlpCache, mlp_backward, mlp_forward
from .ops.patches import PatchEmbedCache, patch_embed_backward, patch_embed_forward
from .ops.pool import PoolCache, pool_backward, pool_forward
from .ops.positions import (
    add_positions_backward,
    add_positions_forward,
    class_token_backward,
    class_token_forward,
    sincos1d,
    sincos2d,
)
from .params import Params
from .randomness import INITIAL_WEIGHTS, generator

NORM = ("weight", "bias")
ATTENTION = ("qkv.weight", "qkv.bias", "proj.weight", "proj.bias")
MLP = ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")


def parameter_shapes(config: ViTConfig) -> dict[str, tuple[int, ...]]:
    """Every parameter's name and shape, in the order of the architecture: the only such list. The names are timm's;
    weights are (in, out)."""
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


def initial_params(config: ViTConfig, seed: int = 0, dtype: Any = "float32", device: str = "cpu") -> Params:
    """Fresh parameters: weight matrices normal with standard deviation 0.7/sqrt(fan_in), class token and positions
    0.02, all truncated at two standard deviations; biases 0; LayerNorm 1 and 0. Drawn on the host in float64, so a
    float32 model, a float64 model and a GPU start from the same numbers."""
    params = Params.zeros(parameter_shapes(config), dtype)
    for index, (name, view) in enumerate(params.items()):
        if view.ndim > 1:
            std = 0.7 / math.sqrt(view.shape[0]) if view.ndim == 2 else 0.02
            draws = _truncated_normal(generator(seed, INITIAL_WEIGHTS, index), view.shape)
            params[name] = (std * draws).astype(dtype)
        elif name.endswith(("norm1.weight", "norm2.weight", "norm.weight")):
            view[...] = 1
    return params.to(device)


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
    return_attention: bool = False,
    keep_cache: bool = True,
    in_full: bool = False,
) -> Any:
    """From pixels to logits.

    Shapes   images (B, C, Sh, Sw), of the parameters' dtype and device  ->  logits (B, K)
    Returns (logits, cache); with return_attention also the attention weights of every block, (L, B, H, T, T), as
    they were before dropout. The cache holds the caches of the parts, and the parameters, which must not change
    until the backward pass. Without keep_cache it is None, and every block's memory is free for the next.
    If only the class token is read, the last block is computed for it alone, unless in_full or return_attention asks
    for every token: to rounding, logits and gradients are the same, for a good half of a block less work. T is then 1
    for what comes after that block.
    Raises ValueError for a shape that is not the config's, an empty batch or another dtype.
    """
    _check_input(params, images, config)
    W, b = _some(params, "patch_embed.proj.", NORM)
    x, embed = patch_embed_forward(images, W, b, config.patch_size)
    if config.pool == "cls":
        x, _ = class_token_forward(x, params["cls_token"])  # (B, N, D) -> (B, T, D)
    if config.positions != "none":
        x, _ = add_positions_forward(x, _positions(params, config))
    if masks is not None:
        x, _ = dropout_forward(x, masks.embed)
    blocks: list[Any] = []
    attention: list[Array] = []
    for i in range(config.depth):
        norm1, attn, norm2, mlp = _block(params, i)
        alone = config.pool == "cls" and i == config.depth - 1 and not (in_full or return_attention)
        wanted = 1 if alone else None
        block_masks = BlockMasks() if masks is None else masks.blocks[i]
        settings = config.heads, config.norm_eps, config.gelu
        x, block = block_forward(x, norm1, attn, norm2, mlp, *settings, block_masks, wanted)
        blocks.append(block if keep_cache else None)
        if return_attention:
            attention.append(block.attn.dot.softmax.y)
    gamma, beta = _some(params, "norm.", NORM)
    x, norm = layernorm_forward(x, gamma, beta, config.norm_eps)
    x, pool = pool_forward(x, config.pool)  # (B, T, D) -> (B, D)
    head: LinearCache | MlpCache
    if config.head_hidden is None:
        logits, head = linear_forward(x, *_some(params, "head.", NORM))  # (B, D) -> (B, K)
    else:
        W1, b1, W2, b2 = _some(params, "head.", MLP)
        logits, head = mlp_forward(x, W1, b1, W2, b2, config.gelu)
    cache = ViTCache(config, params, embed, masks, tuple(blocks), norm, pool, head) if keep_cache else None
    return (logits, cache, array_module(x).stack(attention)) if return_attention else (logits, cache)


def vit_backward(dlogits: Array, cache: ViTCache, grads: Params | None = None) -> tuple[Params, Array]:
    """Given dlogits (B, K) and the cache, return the gradient of every parameter, as Params, and dimages
    (B, C, Sh, Sw). A given `grads` is filled and returned, every entry assigned exactly once.

    Derivation: the forward read from bottom to top.
    """
    config, params, embed, masks, blocks, norm, pool, head = cache
    grads = params.empty_like() if grads is None else grads
    if isinstance(head, LinearCache):
        dx, *dhead = linear_backward(dlogits, head)  # (B, K) -> (B, D)
        _assign(grads, "head.", NORM, dhead)
    else:
        dx, *dhead = mlp_backward(dlogits, head)
        _assign(grads, "head.", MLP, dhead)
    dx = pool_backward(dx, pool)  # (B, D) -> (B, T, D)
    dx, *dnorm = layernorm_backward(dx, norm)
    _assign(grads, "norm.", NORM, dnorm)
    for i in reversed(range(config.depth)):
        dx, dnorm1, dattn, dnorm2, dmlp = block_backward(dx, blocks[i])
        _assign(grads, f"blocks.{i}.mlp.", MLP, dmlp)
        _assign(grads, f"blocks.{i}.norm2.", NORM, dnorm2)
        _assign(grads, f"blocks.{i}.attn.", ATTENTION, dattn)
        _assign(grads, f"blocks.{i}.norm1.", NORM, dnorm1)
    if masks is not None:
        dx = dropout_backward(dx, masks.embed)
    if config.positions == "learned":
        dx, grads["pos_embed"] = add_positions_backward(dx)
    if config.pool == "cls":
        dx, grads["cls_token"] = class_token_backward(dx)  # (B, T, D) -> (B, N, D)
    dimages, *dembed = patch_embed_backward(dx, embed)  # (B, N, D) -> (B, C, Sh, Sw)
    _assign(grads, "patch_embed.proj.", NORM, dembed)
    return grads, dimages


def _some(params: Mapping[str, Array], prefix: str, names: tuple[str, ...]) -> tuple:
    """The parameters prefix + name, in order; None for a bias that the model does not have."""
    return tuple(params.get(prefix + name) for name in names)


def _block(params: Params, i: int) -> tuple[tuple, tuple, tuple, tuple]:
    """Block i's parameters as `block_forward` takes them: norm1, attn, norm2, mlp."""
    parts = (("norm1.", NORM), ("attn.", ATTENTION), ("norm2.", NORM), ("mlp.", MLP))
    norm1, attn, norm2, mlp = (_some(params, f"blocks.{i}.{part}", names) for part, names in parts)
    return norm1, attn, norm2, mlp


def _assign(grads: Params, prefix: str, names: tuple[str, ...], values: Any) -> None:
    for name, value in zip(names, values):
        if value is not None:
            grads[prefix + name] = value


def _positions(params: Params, config: ViTConfig) -> Array:
    """What is added to the tokens, (1, T, D): learned, or the fixed pattern with a zero row for the class token."""
    if config.positions == "learned":
        return params["pos_embed"]
    xp = array_module(params.flat)
    if config.positions == "sincos1d":
        pattern = sincos1d(xp, config.patches, config.dim)
    else:
        pattern = sincos2d(xp, *config.grid, config.dim)
    positions = xp.zeros((1, config.tokens, config.dim), params.flat.dtype)
    positions[0, config.tokens - config.patches :] = pattern
    return positions


def _check_input(params: Params, images: Array, config: ViTConfig) -> None:
    if images.ndim != 4 or images.shape[1:] != config.image_shape:
        C, Sh, Sw = config.image_shape
        raise ValueError(f"images of shape {images.shape} do not fit this model: expected (batch, {C}, {Sh}, {Sw})")
    if len(images) == 0:
        raise ValueError("an empty batch was passed: the model needs at least one image")
    if images.dtype != params.flat.dtype:
        raise ValueError(
            f"images are {images.dtype}, the model is {params.flat.dtype}: forward takes floats as they are; "
            "use predict for uint8 images, or images.astype"
        )


def _truncated_normal(rng: numpy.random.Generator, shape: tuple[int, ...]) -> numpy.ndarray:
    """Standard normal draws with those beyond ±2 drawn again."""
    draws = rng.standard_normal(shape)
    while (beyond := numpy.abs(draws) > 2).any():
        draws[beyond] = rng.standard_normal(int(beyond.sum()))
    return draws
