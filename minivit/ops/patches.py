"""Patches: a Transformer reads a sequence, so the image is cut into squares of P x P pixels and every square is
flattened into one vector. Embedding them with one linear layer is a convolution with stride P.
Dosovitskiy et al. 2021 (arXiv:2010.11929), equation 1."""

from typing import NamedTuple

from einops import rearrange

from ..backend import Array
from .linear import LinearCache, linear_backward, linear_forward


class PatchEmbedCache(NamedTuple):
    image_size: tuple[int, int]  # Sh, Sw
    patch_size: int
    linear: LinearCache


def patchify(images: Array, patch_size: int) -> Array:
    """Cut images into flattened patches, row by row, each flattened channel first (c p q).

    Shapes   images (B, C, Sh, Sw)  ->  (B, N, C·P·P), N = (Sh/P)·(Sw/P)
    Raises ValueError unless P is at least 1 and divides both sides.

    >>> images = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> patchify(images, 2)[0]
    array([[ 0.,  1.,  4.,  5.],
           [ 2.,  3.,  6.,  7.],
           [ 8.,  9., 12., 13.],
           [10., 11., 14., 15.]])
    >>> bool((unpatchify(patchify(images, 2), (4, 4), 2) == images).all())
    True
    """
    Sh, Sw = images.shape[-2:]
    if patch_size < 1 or Sh % patch_size or Sw % patch_size:
        raise ValueError(
            f"cannot cut images of {Sh} x {Sw} pixels into patches of {patch_size} x {patch_size}: "
            "the patch size must divide the height and the width; choose another, or resize or pad the images"
        )
    return rearrange(images, "b c (h p) (w q) -> b (h w) (c p q)", p=patch_size, q=patch_size)


def unpatchify(patches: Array, image_size: tuple[int, int], patch_size: int) -> Array:
    """Put patches back into images: the inverse of `patchify`, and also its transpose, since pixels are only permuted.

    Shapes   patches (B, N, C·P·P)  ->  images (B, C, Sh, Sw)
    """
    h = image_size[0] // patch_size
    w = image_size[1] // patch_size
    c = patches.shape[-1] // (patch_size * patch_size)
    return rearrange(patches, "b (h w) (c p q) -> b c (h p) (w q)", h=h, w=w, c=c, p=patch_size, q=patch_size)


def patch_embed_forward(images: Array, W: Array, b: Array, patch_size: int) -> tuple[Array, PatchEmbedCache]:
    """Cut into patches and embed each.

    Shapes   images (B, C, Sh, Sw), W (C·P·P, D), b (D,)  ->  y (B, N, D)
    Formula  y = patchify(images) @ W + b
    Cache    that of the linear layer, and the sizes that put patches back into an image.
    """
    patches = patchify(images, patch_size)  # (B, C, Sh, Sw) -> (B, N, C·P·P)
    y, linear = linear_forward(patches, W, b)  # (B, N, C·P·P) -> (B, N, D)
    return y, PatchEmbedCache(images.shape[-2:], patch_size, linear)


def patch_embed_backward(
    dy: Array, cache: PatchEmbedCache, out: tuple[Array | None, ...] = (None, None), pixels: bool = True
) -> tuple[Array, Array, Array]:
    """Given dy (B, N, D) and the cache, return dimages (B, C, Sh, Sw), dW (C·P·P, D), db (D,); dW and db are written
    into the arrays of `out` that are not None. With pixels=False, dimages is not computed and is None:
    training does not need it.

    Derivation.
      (1) Back through the linear layer (linear.py): dpatches = dy @ Wᵀ.
      (2) patchify moves every pixel to exactly one place, so its gradient is moved back from there:
          dimages = unpatchify(dpatches).
    Facts    the squared norms of dpatches and dimages are equal.
    """
    dpatches, dW, db = linear_backward(dy, cache.linear, out, need_dx=pixels)  # (1)
    if dpatches is None:
        return None, dW, db
    dimages = unpatchify(dpatches, cache.image_size, cache.patch_size)  # (2)  (B, N, C·P·P) -> (B, C, Sh, Sw)
    return dimages, dW, db
