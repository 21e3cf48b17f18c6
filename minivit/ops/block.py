"""The encoder block, of which a Transformer is a stack: attention moves information between the tokens, then the MLP
transforms each of them. Each half reads a normalised copy of the residual stream and adds its output to the stream, so
an identity path leads from the first block to the last. Vaswani et al. 2017 (arXiv:1706.03762); pre-norm as in
Dosovitskiy et al. 2021 (arXiv:2010.11929), equations 2 and 3."""

from typing import NamedTuple

from ..backend import Array
from .attention import AttentionCache, attention_backward, attention_forward
from .dropout import dropout_backward, dropout_forward
from .layernorm import LayerNormCache, layernorm_backward, layernorm_forward
from .mlp import MlpCache, mlp_backward, mlp_forward

NO_OUT = ((None,) * 2, (None,) * 4, (None,) * 2, (None,) * 4)  # new arrays for the gradients of all four parts


class BlockMasks(NamedTuple):
    """Dropout masks of one block, each None where nothing is dropped."""

    attn: Array | None = None  # (B, H, T, T)
    attn_branch: Array | None = None  # (B, T, D), or (B, 1, 1) for stochastic depth only
    mlp_branch: Array | None = None  # (B, T, D), or (B, 1, 1)

    def first(self, queries: int | None) -> "BlockMasks":
        """The masks of the first `queries` tokens; None: of all."""
        attn, *branches = self
        first = (None if mask is None else mask[:, :queries] for mask in branches)
        return BlockMasks(None if attn is None else attn[:, :, :queries], *first)


class BlockCache(NamedTuple):
    norm1: LayerNormCache
    attn: AttentionCache
    norm2: LayerNormCache
    mlp: MlpCache
    masks: BlockMasks


def block_forward(
    x: Array,
    norm1: tuple[Array, Array],
    attn: tuple[Array, Array | None, Array, Array],
    norm2: tuple[Array, Array],
    mlp: tuple[Array, Array, Array, Array],
    heads: int,
    eps: float = 1e-6,
    gelu: str = "erf",
    masks: BlockMasks = BlockMasks(),
    queries: int | None = None,
) -> tuple[Array, BlockCache]:
    """One pre-norm encoder block.

    Shapes   x (B, T, D); norm1, norm2 = gamma (D,), beta (D,); attn = Wqkv (D, 3D), bqkv (3D,) or None, Wproj (D, D),
             bproj (D,); mlp = W1 (D, F), b1 (F,), W2 (F, D), b2 (D,)  ->  y (B, Tq, D); masks of all T tokens
    Formula  h = x + dropout(attention(layernorm(x)));  y = h + dropout(mlp(layernorm(h)))
    Cache    the caches of the four parts, and the masks.
    Often only the class token's output of the last block is used. With queries=Tq, outputs are computed for the first
    Tq tokens only; they are unchanged, because keys and values still cover all T tokens. None: all T tokens.

    >>> x, ones, zeros, eye = np.array([[[1.0, -1.0], [2.0, 0.0]]]), np.ones(2), np.zeros(2), np.eye(2)
    >>> attn, mlp = (np.tile(eye, 3), np.zeros(6), eye, zeros), (eye, zeros, eye, zeros)
    >>> y, cache = block_forward(x, (ones, zeros), attn, (ones, zeros), mlp, heads=1)
    >>> y[0].round(4)  # x, the attention output (1, -1) and the MLP output (0.8413, -0.1587), added
    array([[ 2.8413, -2.1587],
           [ 3.8413, -1.1587]])
    >>> [gradient.shape for gradient in block_backward(np.ones_like(y), cache)[3]]  # of norm2: dgamma, dbeta
    [(2,), (2,)]
    """
    masks = masks.first(queries)
    normed, norm1_cache = layernorm_forward(x, *norm1, eps)
    branch, attn_cache = attention_forward(normed, *attn, heads, masks.attn, queries)  # (B, T, D) -> (B, Tq, D)
    h = dropout_forward(branch, masks.attn_branch)[0]  # without a mask: branch itself, which is in no cache
    h += x[:, :queries]
    normed, norm2_cache = layernorm_forward(h, *norm2, eps)
    branch, mlp_cache = mlp_forward(normed, *mlp, gelu)
    y = dropout_forward(branch, masks.mlp_branch)[0]
    y += h
    return y, BlockCache(norm1_cache, attn_cache, norm2_cache, mlp_cache, masks)


def block_backward(
    dy: Array, cache: BlockCache, out: tuple[tuple[Array | None, ...], ...] = NO_OUT
) -> tuple[Array, tuple, tuple, tuple, tuple]:
    """Given dy (B, Tq, D) and the cache, return dx (B, T, D) and the gradients of norm1, attn, norm2 and mlp, each a
    tuple in the order in which `block_forward` takes it; they are written into the arrays of `out`, four tuples in that
    order, where it holds some.

    Derivation: the forward read from bottom to top.
      (1) y = h + mlp(layernorm(h)): back through the branch, which is dropout, MLP and LayerNorm.
      (2) h reaches y on two paths, whose gradients add: dh = (the gradient from the branch) + dy.
      (3) h = x + attention(layernorm(x)): back through the branch.
      (4) x reaches h on two paths: dx = (the gradient from the branch) + dh, where dh holds the first Tq tokens.
    In words: dy passes through the identity unchanged, however deep the stack, and every branch adds its own gradient.
    """
    norm1, attn, norm2, mlp = out
    dbranch = dropout_backward(dy, cache.masks.mlp_branch)  # (1)
    dnormed, *dmlp = mlp_backward(dbranch, cache.mlp, mlp)  # (1)
    dh, *dnorm2 = layernorm_backward(dnormed, cache.norm2, norm2)  # (1)
    dh += dy  # (2) h fed two branches: add
    dbranch = dropout_backward(dh, cache.masks.attn_branch)  # (3)
    dnormed, *dattn = attention_backward(dbranch, cache.attn, attn)  # (3)  (B, Tq, D) -> (B, T, D)
    dx, *dnorm1 = layernorm_backward(dnormed, cache.norm1, norm1)  # (3)
    first = dx[:, : dh.shape[1]]  # (B, T, D) -> (B, Tq, D), a view
    first += dh  # (4) x fed two branches: add
    return dx, tuple(dnorm1), tuple(dattn), tuple(dnorm2), tuple(dmlp)
