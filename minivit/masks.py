"""The dropout masks of a whole pass, drawn on the host: operations only ever multiply by them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .backend import Array, to_device
from .config import ViTConfig
from .ops.block import BlockMasks


class Masks(NamedTuple):
    """Every dropout mask of one forward pass; None where nothing is dropped. Patch dropout keeps Tk tokens."""

    embed: Array | None  # (B, T, D)
    blocks: tuple[BlockMasks, ...]  # of Tk tokens
    kept: Array | None = None  # (B, Tk) token numbers, ascending


def draw_masks(
    config: ViTConfig, batch: int, rng: np.random.Generator, dtype: Any, device: str = "cpu", frozen: int = 0
) -> Masks | None:
    """Draw the masks of one pass for `batch` images on the host, and put them on the device; None if the config drops
    nothing.

    A mask holds 0 with probability p and 1/(1-p) otherwise. Stochastic depth grows linearly with depth: block l of
    L is skipped with probability drop_path·l/L, l = 1..L (Huang et al. 2016, section 3). The first `frozen` layers
    (`layers.layer_of` counts them) drop nothing. Patch dropout keeps the class token, the registers and
    `config.patches_kept` of the patches, chosen for each image; all of them if `frozen` is not 0.
    """
    if not (config.dropout or config.patch_dropout or config.attention_dropout or config.drop_path):
        return None
    B, T, D = batch, config.tokens, config.dim

    def mask(p: float, *shape: int) -> Array | None:
        if p == 0:
            return None
        kept = rng.random(shape, dtype="float32") >= p
        return kept.astype(dtype) * np.array(1 / (1 - p), dtype)

    def branch(path: float) -> Array | None:
        drop, skip = mask(config.dropout, B, T, D), mask(path, B, 1, 1)
        both = drop if skip is None else skip if drop is None else drop * skip
        return None if both is None else to_device(both, device)

    def on_device(array: Array | None) -> Array | None:
        return None if array is None else to_device(array, device)

    embed = None if frozen else on_device(mask(config.dropout, B, T, D))
    kept = None
    if config.patch_dropout and not frozen:
        patches = np.sort(rng.random((B, config.patches)).argsort(1)[:, : config.patches_kept], axis=1)
        prefix = np.broadcast_to(np.arange(config.prefix), (B, config.prefix))
        kept = to_device(np.concatenate([prefix, config.prefix + patches], axis=1), device)
        T = kept.shape[1]
    blocks = [BlockMasks()] * min(max(0, frozen - 1), config.depth)
    for i in range(len(blocks), config.depth):
        path = config.drop_path * (i + 1) / config.depth
        attn = on_device(mask(config.attention_dropout, B, config.heads, T, T))
        blocks.append(BlockMasks(attn, branch(path), branch(path)))
    return Masks(embed, tuple(blocks), kept)


def joined(parts: Sequence[Masks | None], device: str) -> Masks | None:
    """The masks of successive slices of a batch, drawn on the host, as those of the whole on the device."""
    drawn = [part for part in parts if part is not None]
    if not drawn:
        return None

    def together(arrays: Sequence[Array | None]) -> Array | None:
        masks = [array for array in arrays if array is not None]
        return to_device(np.concatenate(masks) if len(masks) > 1 else masks[0], device) if masks else None

    blocks = [BlockMasks(*map(together, zip(*block))) for block in zip(*(part.blocks for part in drawn))]
    return Masks(together([part.embed for part in drawn]), tuple(blocks), together([part.kept for part in drawn]))
