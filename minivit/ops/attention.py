"""Multi-head self-attention: every token asks a question (its query), holds it against every token's label (their
keys), and takes in the tokens' contents (their values) in proportion to how well they match. H heads do it side by
side, each on its own Dh = D/H features. Vaswani et al. 2017 (arXiv:1706.03762), equation 1 and section 3.2.2."""

import math
from typing import NamedTuple

from ..backend import Array, array_module
from .dropout import dropout_backward, dropout_forward
from .linear import LinearCache, linear_backward, linear_forward
from .softmax import SoftmaxCache, softmax_backward, softmax_forward


class DotProductCache(NamedTuple):
    qs: Array  # (B, H, T, Dh), q scaled by 1/sqrt(Dh)
    k: Array  # (B, H, T, Dh)
    v: Array  # (B, H, T, Dh)
    softmax: SoftmaxCache  # its y is attn, (B, H, T, T)
    mask: Array | None  # (B, H, T, T)
    dropped: Array  # (B, H, T, T), attn after dropout: what met the values


class AttentionCache(NamedTuple):
    qkv: LinearCache
    dot: DotProductCache
    proj: LinearCache


def dot_product_forward(q: Array, k: Array, v: Array, mask: Array | None = None) -> tuple[Array, DotProductCache]:
    """Scaled dot-product attention of every head.

    Shapes   q, k, v (B, H, T, Dh), mask (B, H, T, T) or None  ->  y (B, H, T, Dh)
    Formula  attn = softmax(q @ kᵀ / sqrt(Dh));  y = dropout(attn) @ v
    Cache    qs (the scaled q), k, v and the weights before and after dropout. The scores are not needed: the
             gradient of softmax is written in its output.
    The scale keeps the scores' spread near 1 whatever Dh is: a sum of Dh products of unit variance has spread
    sqrt(Dh), and large scores would make softmax choose one token, where its gradient is near zero. The scale is
    applied to q, which is smaller than the scores. y is laid out so that joining the heads is free.
    """
    xp = array_module(q)
    B, H, T, Dh = q.shape
    qs = q * (1 / math.sqrt(Dh))
    scores = qs @ k.swapaxes(-1, -2)  # (B, H, T, Dh) @ (B, H, Dh, T) -> (B, H, T, T)
    attn, softmax = softmax_forward(scores)
    dropped, mask = dropout_forward(attn, mask)
    y = xp.empty((B, T, H, Dh), q.dtype).swapaxes(1, 2)  # (B, T, H, Dh) -> (B, H, T, Dh), a view
    xp.matmul(dropped, v, out=y)  # (B, H, T, T) @ (B, H, T, Dh) -> (B, H, T, Dh)
    return y, DotProductCache(qs, k, v, softmax, mask, dropped)


def dot_product_backward(
    dy: Array, cache: DotProductCache, out: tuple[Array, Array, Array] | None = None
) -> tuple[Array, Array, Array]:
    """Given dy (B, H, T, Dh) and the cache, return dq, dk, dv, each (B, H, T, Dh), written into `out` if it is given.

    Derivation, for one head of one image; a product y = A @ V hands back dA = dy @ Vᵀ and dV = Aᵀ @ dy (linear.py).
      (1) y = A @ v with A = dropout(attn):  dv = Aᵀ @ dy,  dA = dy @ vᵀ.
      (2) Back through dropout and the softmax of every row:  dscores (softmax.py).
      (3) scores = qs @ kᵀ with the scaled query qs = q/sqrt(Dh):  dqs = dscores @ k,  dk = dscoresᵀ @ qs.
          The scale is inside qs. Summed over the keys, dk is sum_i qs_i·(sum_j dscores_ij) = 0 (softmax.py, Facts).
      (4) q came in before the scale:  dq = dqs/sqrt(Dh).
    In words: values hear from every token that listened to them; queries and keys hear through the weights they made.
    Facts    the sum of dk over tokens is 0: one vector added to every key adds one number to all scores of a query,
             and softmax does not see that. So the key bias of the layer below has gradient zero.
    """
    xp = array_module(dy)
    qs, k, v, softmax, mask, dropped = cache
    dq, dk, dv = out if out is not None else (xp.empty(qs.shape, qs.dtype) for _ in range(3))
    xp.matmul(dropped.swapaxes(-1, -2), dy, out=dv)  # (1)  (B, H, T, T) @ (B, H, T, Dh) -> (B, H, T, Dh)
    ddropped = dy @ v.swapaxes(-1, -2)  # (1)  (B, H, T, Dh) @ (B, H, Dh, T) -> (B, H, T, T)
    dscores = softmax_backward(dropout_backward(ddropped, mask), softmax)  # (2)
    xp.matmul(dscores, k, out=dq)  # (3)  (B, H, T, T) @ (B, H, T, Dh) -> (B, H, T, Dh)
    xp.matmul(dscores.swapaxes(-1, -2), qs, out=dk)  # (3)
    dq *= 1 / math.sqrt(qs.shape[-1])  # (4)
    return dq, dk, dv


def attention_forward(
    x: Array, Wqkv: Array, bqkv: Array | None, Wproj: Array, bproj: Array, heads: int, mask: Array | None = None
) -> tuple[Array, AttentionCache]:
    """Multi-head self-attention.

    Shapes   x (B, T, D), Wqkv (D, 3D), bqkv (3D,) or None, Wproj (D, D), bproj (D,), mask (B, H, T, T) or None
             ->  y (B, T, D)
    Formula  q, k, v = split(x @ Wqkv + bqkv);  y = join of heads(softmax(q @ kᵀ / sqrt(Dh)) @ v) @ Wproj + bproj
    Cache    the caches of the three parts. The weights attn (B, H, T, T) are `cache.dot.softmax.y`.
    The 3D columns are q, then k, then v, each head after head (head-major), as in timm.
    """
    B, T, D = x.shape
    qkv, qkv_cache = linear_forward(x, Wqkv, bqkv)  # (B, T, D) -> (B, T, 3D)
    q, k, v = _heads(qkv, heads)
    y, dot = dot_product_forward(q, k, v, mask)
    joined = y.swapaxes(1, 2).reshape(B, T, D)  # (B, H, T, Dh) -> (B, T, D), no copy
    y, proj = linear_forward(joined, Wproj, bproj)
    return y, AttentionCache(qkv_cache, dot, proj)


def attention_backward(dy: Array, cache: AttentionCache) -> tuple[Array, Array, Array | None, Array, Array]:
    """Given dy (B, T, D) and the cache, return dx (B, T, D), dWqkv (D, 3D), dbqkv (3D,) or None, dWproj (D, D),
    dbproj (D,).

    Derivation: the forward read from bottom to top.
      (1) Back through the output projection (linear.py).
      (2) Joining heads only moved numbers: their gradients move back.
      (3) Back through the heads (above); dq, dk and dv are written straight to their places in dqkv.
      (4) Back through the layer that made q, k and v.
    """
    xp = array_module(dy)
    B, T, D = dy.shape
    heads = cache.dot.qs.shape[1]
    djoined, dWproj, dbproj = linear_backward(dy, cache.proj)  # (1)
    dheads = djoined.reshape(B, T, heads, D // heads).swapaxes(1, 2)  # (2)  (B, T, D) -> (B, H, T, Dh)
    dqkv = xp.empty((B, T, 3 * D), dy.dtype)
    dot_product_backward(dheads, cache.dot, out=_heads(dqkv, heads))  # (3)
    dx, dWqkv, dbqkv = linear_backward(dqkv, cache.qkv)  # (4)  (B, T, 3D) -> (B, T, D)
    return dx, dWqkv, dbqkv, dWproj, dbproj


def _heads(qkv: Array, heads: int) -> tuple[Array, Array, Array]:
    """Views of q, k and v, each (B, H, T, Dh), in a (B, T, 3D) array."""
    B, T, D3 = qkv.shape
    parts = qkv.reshape(B, T, 3, heads, D3 // (3 * heads)).swapaxes(1, 3)  # (B, T, 3, H, Dh) -> (B, H, 3, T, Dh)
    return parts[:, :, 0], parts[:, :, 1], parts[:, :, 2]
