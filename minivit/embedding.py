"""From pixels to what the first block reads: patches, class token, positions, registers. Forward and backward.

Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words" (arXiv:2010.11929), equation 1.
"""

import functools
from types import ModuleType
from typing import Any, NamedTuple

from .backend import Array, array_module
from .config import ViTConfig
from .errors import DataError, DataTypeError
from .masks import Masks
from .ops.class_token import (
    RegistersCache,
    class_token_backward,
    class_token_forward,
    registers_backward,
    registers_forward,
)
from .ops.dropout import dropout_backward, dropout_forward
from .ops.layernorm import LayerNormCache, layernorm_backward, layernorm_forward
from .ops.patch_dropout import PatchDropoutCache, patch_dropout_backward, patch_dropout_forward
from .ops.patches import PatchEmbedCache, patch_embed_backward, patch_embed_forward
from .ops.positions import add_positions_backward, add_positions_forward, sincos1d, sincos2d
from .params import WEIGHT_BIAS, Params, keep, take


class EmbedCache(NamedTuple):
    patches: PatchEmbedCache
    registers: RegistersCache | None
    dropped: PatchDropoutCache | None
    norm: LayerNormCache | None


def embed_forward(
    params: Params, images: Array, config: ViTConfig, masks: Masks | None = None
) -> tuple[Array, EmbedCache]:
    """What the first block reads: the embedded patches behind the class token, positions added, then the registers;
    without the patches that masks leave out; and the LayerNorm in front of the blocks, if there is one.

    Shapes   images (B, C, Sh, Sw)  ->  x (B, T, D), with patch dropout (B, Tk, D)
    Cache    those of the patch embedding and of what follows it. Errors as in `vit_forward`.
    """
    _check_input(params, images, config)
    W, b = take(params, "patch_embed.proj.", WEIGHT_BIAS)
    x, patches = patch_embed_forward(images, W, b, config.patch_size)
    if config.has_class_token:
        x, _ = class_token_forward(x, params["cls_token"])  # (B, N, D) -> (B, N + 1, D)
    if config.positions == "learned":
        x, _ = add_positions_forward(x, params["pos_embed"])
    elif config.positions != "none":
        x, _ = add_positions_forward(x, fixed_positions(array_module(x), config, x.dtype))
    registers = dropped = norm = None
    if config.registers:
        x, registers = registers_forward(x, params["reg_token"], int(config.has_class_token))  # -> (B, T, D)
    if masks is not None:
        x, _ = dropout_forward(x, masks.embed)
        if masks.kept is not None:
            x, dropped = patch_dropout_forward(x, masks.kept)  # (B, T, D) -> (B, Tk, D)
    if config.pre_norm:
        gamma, beta = take(params, "norm_pre.", WEIGHT_BIAS)
        x, norm = layernorm_forward(x, gamma, beta, config.norm_eps)
    return x, EmbedCache(patches, registers, dropped, norm)


def embed_backward(
    dx: Array, cache: EmbedCache, config: ViTConfig, masks: Masks | None, grads: Params, pixels: bool
) -> Array:
    """Given dx (B, T, D) and the cache, return dimages (B, C, Sh, Sw), or None with pixels=False; the gradients of the
    parameters are written into `grads`.

    Derivation: the forward read from bottom to top. dx passes fixed positions unchanged.
    """
    if cache.norm is not None:
        out = take(grads, "norm_pre.", WEIGHT_BIAS)
        dx, *dnorm = layernorm_backward(dx, cache.norm, out)
        keep(dnorm, out)
    if cache.dropped is not None:
        dx = patch_dropout_backward(dx, cache.dropped)  # (B, Tk, D) -> (B, T, D)
    if masks is not None:
        dx = dropout_backward(dx, masks.embed)
    if cache.registers is not None:
        dx, *dregisters = registers_backward(dx, cache.registers, out=grads["reg_token"])  # -> (B, N + 1, D)
        keep(dregisters, (grads["reg_token"],))
    if config.positions == "learned":
        dx, *dpos = add_positions_backward(dx, out=grads["pos_embed"])
        keep(dpos, (grads["pos_embed"],))
    if config.has_class_token:
        dx, *dtoken = class_token_backward(dx, out=grads["cls_token"])  # (B, N + 1, D) -> (B, N, D)
        keep(dtoken, (grads["cls_token"],))
    out = take(grads, "patch_embed.proj.", WEIGHT_BIAS)
    dimages, *dembed = patch_embed_backward(dx, cache.patches, out, pixels=pixels)  # (B, N, D) -> (B, C, Sh, Sw)
    keep(dembed, out)
    return dimages


@functools.lru_cache(maxsize=8)
def fixed_positions(xp: ModuleType, config: ViTConfig, dtype: Any) -> Array:
    """The sine-cosine pattern (1, N, D), with a zero row for a class token; cached, and never modified."""
    if config.positions == "sincos1d":
        pattern = sincos1d(xp, config.patches, config.dim)
    else:
        pattern = sincos2d(xp, *config.grid, config.dim)
    token = int(config.has_class_token)
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
