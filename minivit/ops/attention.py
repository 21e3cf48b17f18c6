"""Multi-head self-attention: three linear maps make of every token a query (what it looks for), a key (what it offers
to match) and a value (what it passes on). Every token compares its query with the keys of all tokens, and receives the
average of their values, weighted by how well query and key match. H heads do this in parallel, each on Dh = D/H
features of its own. Vaswani et al. 2017 (arXiv:1706.03762), equation 1 and section 3.2.2."""

import math
from typing import NamedTuple

from ..backend import Array, array_module
from .dropout import dropout_backward, dropout_forward
from .linear import LinearCache, linear_backward, linear_forward
from .softmax import SoftmaxCache, softmax_backward, softmax_forward


class DotProductCache(NamedTuple):
    q: Array  # (B, H, Tq, Dh)
    k: Array  # (B, H, T, Dh)
    v: Array  # (B, H, T, Dh)
    softmax: SoftmaxCache  # its y is attn, (B, H, Tq, T)
    mask: Array | None  # (B, H, Tq, T)
    dropped: Array  # (B, H, Tq, T), attn after dropout: the weights of the values


class AttentionCache(NamedTuple):
    qkv: LinearCache
    dot: DotProductCache
    proj: LinearCache


def dot_product_forward(q: Array, k: Array, v: Array, mask: Array | None = None) -> tuple[Array, DotProductCache]:
    """Scaled dot-product attention of every head.

    Shapes   q (B, H, Tq, Dh), k, v (B, H, T, Dh), mask (B, H, Tq, T) or None  ->  y (B, H, Tq, Dh)
    Formula  attn = softmax(q @ kᵀ / sqrt(Dh));  y = dropout(attn) @ v
    Cache    q, k, v and the weights before and after dropout. The scores are not needed: the gradient of softmax
             is a function of its output.
    If the entries of q and k are independent with mean 0 and variance 1, q·k has standard deviation sqrt(Dh), and
    dividing by sqrt(Dh) gives the scores one near 1. Large scores would saturate softmax: all weight on one token, and
    a gradient near zero. The scores are scaled in place, since scaling q would need another array. In memory y is
    (B, Tq, H, Dh), so the heads can be joined without a copy.

    >>> q, k, v = np.eye(2)[None, None], 4 * np.eye(2)[None, None], np.array([[[[1.0, 0.0], [0.0, 10.0]]]])
    >>> y, cache = dot_product_forward(q, k, v)  # each token attends mostly to itself
    >>> y[0, 0].round(3)
    array([[0.944, 0.558],
           [0.056, 9.442]])
    >>> dot_product_backward(np.array([[[[1.0, 0.0], [0.0, 0.0]]]]), cache)[2][0, 0].round(3)  # dv
    array([[0.944, 0.   ],
           [0.056, 0.   ]])
    """
    xp = array_module(q)
    B, H, Tq, Dh = q.shape
    scores = q @ k.swapaxes(-1, -2)  # (B, H, Tq, Dh) @ (B, H, Dh, T) -> (B, H, Tq, T)
    scores *= 1 / math.sqrt(Dh)
    attn, softmax = softmax_forward(scores)
    dropped, mask = dropout_forward(attn, mask)
    y = xp.empty((B, Tq, H, Dh), q.dtype).swapaxes(1, 2)  # (B, Tq, H, Dh) -> (B, H, Tq, Dh), a view
    xp.matmul(dropped, v, out=y)  # (B, H, Tq, T) @ (B, H, T, Dh) -> (B, H, Tq, Dh)
    return y, DotProductCache(q, k, v, softmax, mask, dropped)


def dot_product_backward(
    dy: Array, cache: DotProductCache, out: tuple[Array, Array, Array] | None = None
) -> tuple[Array, Array, Array]:
    """Given dy (B, H, Tq, Dh) and the cache, return dq (B, H, Tq, Dh), dk (B, H, T, Dh), dv (B, H, T, Dh), written
    into `out` if it is given.

    Derivation, for one head of one image; the gradients of a product y = A @ V are dA = dy @ Vᵀ and dV = Aᵀ @ dy
    (linear.py).
      (1) y = A @ v with A = dropout(attn):  dv = Aᵀ @ dy,  dA = dy @ vᵀ.
      (2) Back through dropout and the softmax of every row:  dscores (softmax.py).
      (3) scores = s·(q @ kᵀ) with s = 1/sqrt(Dh), so the product q @ kᵀ receives s·dscores.
      (4) Back through that product:  dq = (s·dscores) @ k,  dk = (s·dscores)ᵀ @ q.
          Summing dk over the keys gives s·sum_i q_i·(sum_j dscores_ij) = 0 (softmax.py, Facts).
    In words: a value receives the gradient of every token that attended to it; queries and keys receive theirs through
    the attention weights.
    Facts    the sum of dk over tokens is 0: adding one vector to every key adds one constant to all scores of a query,
             which does not change their softmax. So the gradient of the key bias is zero.
    """
    xp = array_module(dy)
    q, k, v, softmax, mask, dropped = cache
    dq, dk, dv = out if out is not None else (xp.empty(a.shape, a.dtype) for a in (q, k, v))
    xp.matmul(dropped.swapaxes(-1, -2), dy, out=dv)  # (1)  (B, H, T, Tq) @ (B, H, Tq, Dh) -> (B, H, T, Dh)
    ddropped = dy @ v.swapaxes(-1, -2)  # (1)  (B, H, Tq, Dh) @ (B, H, Dh, T) -> (B, H, Tq, T)
    dscores = softmax_backward(dropout_backward(ddropped, mask), softmax)  # (2)
    dscores *= 1 / math.sqrt(q.shape[-1])  # (3)
    xp.matmul(dscores, k, out=dq)  # (4)  (B, H, Tq, T) @ (B, H, T, Dh) -> (B, H, Tq, Dh)
    xp.matmul(dscores.swapaxes(-1, -2), q, out=dk)  # (4)
    return dq, dk, dv


def attention_forward(
    x: Array,
    Wqkv: Array,
    bqkv: Array | None,
    Wproj: Array,
    bproj: Array,
    heads: int,
    mask: Array | None = None,
    queries: int | None = None,
) -> tuple[Array, AttentionCache]:
    """Multi-head self-attention.

    Shapes   x (B, T, D), Wqkv (D, 3D), bqkv (3D,) or None, Wproj (D, D), bproj (D,), mask (B, H, Tq, T) or None
             ->  y (B, Tq, D), where Tq is `queries`: the output of the first Tq tokens only; None: of all T
    Formula  q, k, v = split(x @ Wqkv + bqkv);  y = join of heads(softmax(q @ kᵀ / sqrt(Dh)) @ v) @ Wproj + bproj
    Cache    the caches of the three parts. The weights attn (B, H, Tq, T) are `cache.dot.softmax.y`.
    Raises ValueError for heads that do not divide D, and for queries outside 1..T.
    """
    B, T, D = x.shape
    if heads < 1 or D % heads:
        raise ValueError(f"{heads} heads cannot share a width of {D}: choose a number that divides it")
    if queries is not None and not 1 <= queries <= T:
        raise ValueError(f"queries must lie in 1..{T}, the number of tokens, not {queries}")
    qkv, qkv_cache = linear_forward(x, Wqkv, bqkv)  # (B, T, D) -> (B, T, 3D)
    q, k, v = _heads(qkv, heads, queries)
    y, dot = dot_product_forward(q, k, v, mask)
    joined = y.swapaxes(1, 2).reshape(B, q.shape[2], D)  # (B, H, Tq, Dh) -> (B, Tq, D), no copy
    y, proj = linear_forward(joined, Wproj, bproj)
    return y, AttentionCache(qkv_cache, dot, proj)


def attention_backward(
    dy: Array, cache: AttentionCache, out: tuple[Array | None, ...] = (None,) * 4
) -> tuple[Array, Array, Array | None, Array, Array]:
    """Given dy (B, Tq, D) and the cache, return dx (B, T, D), dWqkv (D, 3D), dbqkv (3D,) or None, dWproj (D, D),
    dbproj (D,); the last four are written into the arrays of `out` that are not None.

    Derivation: the forward read from bottom to top.
      (1) Back through the output projection (linear.py).
      (2) Joining the heads only moves values, so their gradients are moved back.
      (3) Back through the heads (above); dq, dk and dv are written straight to their places in dqkv. The queries of
          the tokens after the first Tq are not used, so their gradient is zero.
      (4) Back through the linear layer that computes q, k and v.
    """
    xp = array_module(dy)
    B, Tq, D = dy.shape
    _, heads, T, _ = cache.dot.k.shape
    djoined, dWproj, dbproj = linear_backward(dy, cache.proj, out[2:])  # (1)
    dheads = djoined.reshape(B, Tq, heads, D // heads).swapaxes(1, 2)  # (2)  (B, Tq, D) -> (B, H, Tq, Dh)
    dqkv = xp.empty((B, T, 3 * D), dy.dtype)
    dot_product_backward(dheads, cache.dot, out=_heads(dqkv, heads, Tq))  # (3)
    if Tq < T:
        dqkv[:, Tq:, :D] = 0  # (3)
    dx, dWqkv, dbqkv = linear_backward(dqkv, cache.qkv, out[:2])  # (4)  (B, T, 3D) -> (B, T, D)
    return dx, dWqkv, dbqkv, dWproj, dbproj


def _heads(qkv: Array, heads: int, queries: int | None) -> tuple[Array, Array, Array]:
    """Views of q (B, H, Tq, Dh) of the first `queries` tokens, or of all, and of k and v (B, H, T, Dh), in a
    (B, T, 3D) array. Its columns are q, then k, then v, each head after head (head-major), as in timm."""
    B, T, D3 = qkv.shape
    parts = qkv.reshape(B, T, 3, heads, D3 // (3 * heads)).swapaxes(1, 3)  # (B, T, 3, H, Dh) -> (B, H, 3, T, Dh)
    return parts[:, :, 0, :queries], parts[:, :, 1], parts[:, :, 2]
