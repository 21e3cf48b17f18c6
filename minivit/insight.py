"""Looking into a model: which patches it listens to, and on which pixels its answer hangs.

Attention maps show each head by itself. Rollout follows all of them through all blocks, skip connections included
(Abnar, Zuidema 2020, arXiv:2005.00928, section 3.2). The pixel gradient needs no method of its own: the backward pass
ends at the image (Simonyan et al. 2014, arXiv:1312.6034, section 3).
"""

from pathlib import Path
from typing import Any

import numpy as np

from .backend import Array, to_device, to_host
from .config import ViTConfig
from .preprocess.arrays import check_images, prepare
from .model import vit_backward, vit_forward
from .vit import ViT


def attention_maps(model: ViT, images: Any) -> np.ndarray:
    """The attention weights of every block and head: entry [l, b, h, t, s] is the part of what token t takes in that
    comes from token s.

    Shapes   images (B, C, Sh, Sw), uint8 or normalised floats  ->  (L, B, H, T, T), every row sums to 1
    Token 0 is the class token if the model has one. Raises ValueError or TypeError for images that do not fit.
    """
    _, _, attention = vit_forward(model.params, _inputs(model, images), model.config, return_attention=True)
    return to_host(attention)


def attention_rollout(model: ViT, images: Any) -> np.ndarray:
    """`rollout` of the model's attention maps.

    Shapes   images (B, C, Sh, Sw), uint8 or normalised floats  ->  (B, T, T), every row sums to 1
    Raises ValueError or TypeError for images that do not fit.
    """
    return rollout(attention_maps(model, images))


def rollout(attention: np.ndarray) -> np.ndarray:
    """Follow attention through all blocks: entry [b, t, s] is the part of token t, after the last block, that comes
    from token s, before the first.

    Shapes   attention (L, B, H, T, T), rows sum to 1  ->  (B, T, T), rows sum to 1
    Formula  R = M_L @ ... @ M_2 @ M_1,  M_l = (mean of the heads' attention in block l + I) / 2

    The identity I is the skip connection: a block makes x + attention(x), so a token keeps itself and adds what it
    heard, here with equal weights. Without it, a token would be what others said in the last block and nothing else.
    Heads are averaged and values and MLPs left out, so rollout is a picture of the flow and not a proof of a cause.
    """
    T = attention.shape[-1]
    identity = np.eye(T, dtype=attention.dtype)
    flow = identity
    for block in attention:  # from the first block to the last
        flow = (block.mean(1) + identity) / 2 @ flow  # (B, T, T) @ (B, T, T) -> (B, T, T)
    return flow


def on_grid(weights: np.ndarray, config: ViTConfig) -> np.ndarray:
    """What the head's vector takes from each patch, as a picture of the patch grid.

    Shapes   weights (..., T, T), attention or rollout  ->  (..., Sh/P, Sw/P)
    It is the class token's row without its first entry (what the class token keeps of itself); for a model that
    averages its tokens, the mean of all rows.
    """
    row = weights[..., 0, 1:] if config.pool == "cls" else weights.mean(-2)  # (..., T, T) -> (..., N)
    return row.reshape(*row.shape[:-1], *config.grid)  # (..., N) -> (..., Sh/P, Sw/P)


def pixel_gradient(model: ViT, images: Any, classes: Any = None) -> np.ndarray:
    """The exact gradient of a class's logit with respect to every pixel: how much the logit rises if it rises.

    Shapes   images (B, C, Sh, Sw), uint8 or normalised floats; classes (B,) integers, one for all, or None: the
             class with the largest logit  ->  (B, C, Sh, Sw), in logits per unit of the normalised pixel
    Raises ValueError or TypeError for images that do not fit, and for classes that the model does not have.
    """
    K = model.config.classes
    logits, cache = vit_forward(model.params, _inputs(model, images), model.config)
    classes = to_host(logits).argmax(-1) if classes is None else np.broadcast_to(classes, len(logits))
    if classes.dtype.kind not in "iu" or classes.min() < 0 or classes.max() >= K:
        raise ValueError(f"classes must be integers in 0..{K - 1}, not {classes.dtype} {sorted(set(classes.tolist()))}")
    dlogits = (classes[:, None] == np.arange(K)).astype(model.dtype)  # (B,) -> (B, K)
    _, dimages = vit_backward(to_device(dlogits, model.device), cache)
    return to_host(dimages)


def attend(model: ViT, image: np.ndarray, out: str | Path | None = None) -> str:
    """What the model makes of one image and where it looked, as text; drawn into the picture file `out` if given.

    image: (C, Sh, Sw), uint8 or normalised floats. Raises ValueError or TypeError for an image that does not fit,
    ModuleNotFoundError if `out` is given and matplotlib is missing, OSError if `out` cannot be written.
    """
    probabilities = model.predict(image[None])[0]
    flow = attention_rollout(model, image[None])[0]
    shares = 100 * on_grid(flow, model.config)
    best = np.argsort(-probabilities)[:3]
    lines = [", ".join(f"{k} ({100 * probabilities[k]:.1f} %)" for k in best), ""]
    lines += ["Attention rollout, in %: how much of what the head reads comes from each patch."]
    lines += ["".join(f"{share:7.1f}" for share in row) for row in shares]
    if model.config.pool == "cls":
        lines += [f"The class token keeps {100 * flow[0, 0]:.1f} % for itself."]
    if out is not None:
        _draw(model, image, int(best[0]), Path(out))
        lines += ["", f"The attention of every block, the rollout and the pixel gradient are drawn in {out}"]
    return "\n".join(lines)


def _inputs(model: ViT, images: Any) -> Array:
    return to_device(prepare(check_images(images, model.config), model.config, model.dtype), model.device)


def _draw(model: ViT, image: np.ndarray, answer: int, out: Path) -> None:
    """Above: the image, its rollout and its pixel gradient. Below: the attention of every block, heads averaged."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ModuleNotFoundError("drawing needs matplotlib, which is missing: pip install minivit[viz]") from None
    attention = attention_maps(model, image[None])
    blocks = on_grid(attention.mean(2)[:, 0], model.config)  # (L, B, H, T, T) -> (L, Sh/P, Sw/P)
    gradient = pixel_gradient(model, image[None], answer)[0].sum(0)  # (C, Sh, Sw) -> (Sh, Sw)
    picture = image.mean(0)
    across = max(3, len(blocks))
    figure: Any = Figure(figsize=(2.2 * across, 5.0), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1.15, 1])
    axes = above.subplots(1, 3)
    axes[0].imshow(picture, "gray")
    axes[0].set_title(f"answer: {answer}")
    draw_shares(axes[1], picture, on_grid(rollout(attention)[0], model.config))
    axes[1].set_title("attention rollout")
    draw_signed(axes[2], gradient)
    axes[2].set_title(f"gradient of logit {answer}")
    row = below.subplots(1, len(blocks), squeeze=False)[0]
    for number, (ax, shares) in enumerate(zip(row, blocks), 1):
        draw_shares(ax, picture, shares)
        ax.set_title(f"attention, block {number}")
    for ax in (*axes, *row):
        ax.set_axis_off()
    figure.savefig(out, dpi=120)


def draw_shares(axes: Any, picture: np.ndarray, shares: np.ndarray, most: float | None = None) -> Any:
    """Lay shares of patches (Sh/P, Sw/P) over a picture (Sh, Sw), on matplotlib axes; returns the coloured image."""
    height, width = picture.shape
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    axes.imshow(picture, "gray", extent=extent)
    return axes.imshow(shares, "viridis", extent=extent, alpha=0.7, vmin=0, vmax=most)


def draw_signed(axes: Any, values: np.ndarray) -> Any:
    """Draw signed values (Sh, Sw) on matplotlib axes, zero white, negative blue, positive red; returns the image."""
    limit = abs(values).max()
    return axes.imshow(values, "RdBu_r", vmin=-limit, vmax=limit)
