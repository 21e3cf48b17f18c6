"""Looking into a model: which patches it attends to, and which pixels its prediction depends on.

Attention maps show each head by itself. Rollout follows all of them through all blocks, skip connections included
(Abnar, Zuidema 2020, arXiv:2005.00928, section 3.2). The pixel gradient needs no method of its own: the backward pass
ends at the image (Simonyan et al. 2014, arXiv:1312.6034, section 3).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .backend import Array, to_device, to_host
from .config import ViTConfig
from .embedding import embed_forward
from .errors import ConfigError
from .model import block_params, vit_backward, vit_forward
from .ops.block import block_forward
from .plotting import check_picture_path, draw_shares, draw_signed, new_figure, save_figure
from .preprocess import check_images, to_inputs
from .vit import ViT


def attention_maps(model: ViT, images: Any) -> np.ndarray:
    """The attention weights of every block and head: entry [l, b, h, t, s] is the weight of token s in the average that
    token t receives.

    Shapes   images (B, C, Sh, Sw), uint8 or normalised floats  ->  (L, B, H, T, T), every row sums to 1
    Token 0 is the class token if the model has one. Raises ValueError or TypeError for images that do not fit.
    """
    return np.stack([to_host(attention) for attention in attention_by_block(model, images)])


def attention_by_block(model: ViT, images: Any) -> Iterator[Array]:
    """The attention weights (B, H, T, T) of one block after the other, on the model's device, so that no more than one
    block's cache is in memory at a time. Arguments and errors as in `attention_maps`."""
    config = model.config
    x, _ = embed_forward(model.params, _inputs(model, images), config)  # (B, C, Sh, Sw) -> (B, T, D)
    for i in range(config.depth):
        norm1, attn, norm2, mlp, scales = block_params(model.params, i)
        settings = config.heads, config.norm_eps, config.gelu
        x, cache = block_forward(x, norm1, attn, norm2, mlp, *settings, scales=scales)
        yield cache.attn.dot.softmax.y


def attention_rollout(model: ViT, images: Any) -> np.ndarray:
    """`rollout` of the model's attention maps.

    Shapes   images (B, C, Sh, Sw), uint8 or normalised floats  ->  (B, T, T), every row sums to 1
    Raises ValueError or TypeError for images that do not fit.
    """
    return rollout(map(to_host, attention_by_block(model, images)))


def rollout(attention: Iterable[np.ndarray]) -> np.ndarray:
    """Follow attention through all blocks: entry [b, t, s] is the share of token t after the last block that comes
    from token s before the first block.

    Shapes   attention (L, B, H, T, T), rows sum to 1, or one block after the other  ->  (B, T, T), rows sum to 1
    Formula  R = M_L @ ... @ M_2 @ M_1,  M_l = (mean of the heads' attention in block l + I) / 2

    The identity I is the skip connection: a block makes x + attention(x), so a token keeps itself and adds the
    attention output, here with equal weights. Without it a token would consist of the last block's attention only.
    Heads are averaged, and values and MLPs are ignored, so rollout illustrates the flow of information; it does not
    prove what caused the prediction.
    """
    flow = None
    for block in attention:  # from the first block to the last
        identity = np.eye(block.shape[-1], dtype=block.dtype)
        flow = identity if flow is None else flow
        flow = (block.mean(1) + identity) / 2 @ flow  # (B, T, T) @ (B, T, T) -> (B, T, T)
    if flow is None:
        raise ConfigError("rollout needs the attention of at least one block")
    return flow


def on_grid(weights: np.ndarray, config: ViTConfig) -> np.ndarray:
    """The share of each patch in the vector that the classification head reads, as a picture of the patch grid.

    Shapes   weights (..., T, T), attention or rollout  ->  (..., Sh/P, Sw/P)
    It is the class token's row for a model whose head reads it, else the mean of the rows that are averaged; without
    what the class token and the registers have in it.
    """
    if config.reads_class_token:
        row = weights[..., 0, :]  # (..., T, T) -> (..., T)
    else:
        row = weights[..., config.prefix if config.pool == "patches" else 0 :, :].mean(-2)
    row = row[..., config.prefix :]  # (..., T) -> (..., N)
    return row.reshape(*row.shape[:-1], *config.grid)  # (..., N) -> (..., Sh/P, Sw/P)


def pixel_gradient(model: ViT, images: Any, classes: Any = None) -> np.ndarray:
    """The exact gradient of a class's logit with respect to every pixel: how steeply the logit rises with that pixel.

    Shapes   images (B, C, Sh, Sw), uint8 or normalised floats; classes (B,) integers, one for all, or None: the
             class with the largest logit  ->  (B, C, Sh, Sw), in logits per unit of the normalised pixel
    Raises ValueError or TypeError for images that do not fit, and for classes that the model does not have.
    """
    K = model.config.classes
    if K is None:
        raise ConfigError("the model has no head, so no class whose logit could have a gradient")
    logits, cache = vit_forward(model.params, _inputs(model, images), model.config)
    classes = to_host(logits).argmax(-1) if classes is None else np.broadcast_to(classes, len(logits))
    if classes.dtype.kind not in "iu" or classes.min() < 0 or classes.max() >= K:
        raise ConfigError(
            f"classes must be integers in 0..{K - 1}, not {classes.dtype} {sorted(set(classes.tolist()))}"
        )
    dlogits = (classes[:, None] == np.arange(K)).astype(model.dtype)  # (B,) -> (B, K)
    _, dimages = vit_backward(to_device(dlogits, model.device), cache)
    return to_host(dimages)


def attend(model: ViT, image: np.ndarray, out: str | Path | None = None) -> str:
    """What the model predicts for one image, if it has a head of classes, and where it attends, as text; drawn into the
    file `out` if given.

    image: (C, Sh, Sw), uint8 or normalised floats. Raises ValueError or TypeError for an image that does not fit,
    MissingPackageError if `out` is given and matplotlib is missing, OSError if `out` cannot be written, ConfigError if
    its name is no picture's.
    """
    if out is not None:
        check_picture_path(out)
    lines, answer, reader = [], None, "a head would read"
    if model.config.predicts:
        probabilities = model.predict(image[None])[0]
        best = np.argsort(-probabilities)[:3]
        lines += [", ".join(f"{model.config.class_name(int(k))} ({100 * probabilities[k]:.1f} %)" for k in best), ""]
        answer, reader = int(best[0]), "the head classifies"
    flow = attention_rollout(model, image[None])[0]
    shares = 100 * on_grid(flow, model.config)
    lines += [f"Attention rollout, in %: the share of each patch in the vector that {reader}."]
    lines += ["".join(f"{share:7.1f}" for share in row) for row in shares]
    if model.config.reads_class_token:
        lines += [f"The class token's own share is {100 * flow[0, 0]:.1f} %."]
    if out is not None:
        _draw(model, image, answer, Path(out))
        drawn = "the rollout" if answer is None else "the rollout and the pixel gradient"
        lines += ["", f"The attention of every block and {drawn} are drawn in {out}"]
    return "\n".join(lines)


def _inputs(model: ViT, images: Any) -> Array:
    return to_device(to_inputs(check_images(images, model.config), model.config, model.dtype), model.device)


def _draw(model: ViT, image: np.ndarray, answer: int | None, out: Path) -> None:
    """Above: the image, its rollout and, for the predicted class, its pixel gradient. Below: the attention of every
    block, heads averaged."""
    figure = new_figure(2.2 * max(3, model.config.depth), 5.0)
    attention = [to_host(block).mean(1, keepdims=True) for block in attention_by_block(model, image[None])]
    blocks = on_grid(np.stack(attention)[:, 0, 0], model.config)  # (L, 1, 1, T, T) -> (L, Sh/P, Sw/P)
    picture = image.mean(0)
    above, below = figure.subfigures(2, 1, height_ratios=[1.15, 1])
    axes = above.subplots(1, 2 if answer is None else 3)
    if image.dtype == np.uint8 and len(image) == 3:
        axes[0].imshow(np.moveaxis(image, 0, -1))
    else:
        axes[0].imshow(picture, "gray")
    draw_shares(axes[1], picture, on_grid(rollout(attention)[0], model.config))
    axes[1].set_title("attention rollout")
    if answer is not None:
        axes[0].set_title(f"predicted: {model.config.class_name(answer)}")
        draw_signed(axes[2], pixel_gradient(model, image[None], answer)[0].sum(0))  # (C, Sh, Sw) -> (Sh, Sw)
        axes[2].set_title(f"gradient of logit {model.config.class_name(answer)}")
    row = below.subplots(1, len(blocks), squeeze=False)[0]
    for number, (ax, shares) in enumerate(zip(row, blocks), 1):
        draw_shares(ax, picture, shares)
        ax.set_title(f"attention, block {number}")
    for ax in (*axes, *row):
        ax.set_axis_off()
    save_figure(figure, out)
