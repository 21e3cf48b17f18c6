"""The encoder block adds the attention output and the MLP output to its residual stream: x + f(x).

A sum passes its gradient to both terms unchanged, so the gradient from the top of a deep stack also reaches its bottom.
Without skip connections all tokens, and all their gradients, collapse to nearly the same vector (minivit/ops/block.py).
"""

import numpy as np
from common import BLUE, ORANGE, draw_block, new_figure, save

from minivit import ViT, ViTConfig
from minivit.ops.attention import attention_backward, attention_forward
from minivit.ops.layernorm import layernorm_backward, layernorm_forward
from minivit.ops.mlp import mlp_backward, mlp_forward
from minivit.rng import SHUFFLE, generator

DEPTH, T, D, H = 24, 17, 64, 4
params = ViT(ViTConfig(depth=DEPTH), dtype="float64").params  # not trained
blocks = [[p for name, p in params.items() if name.startswith(f"blocks.{i}.")] for i in range(DEPTH)]
rng = generator(0, SHUFFLE)
tokens, dtop = rng.standard_normal((1, T, D)), rng.standard_normal((1, T, D))


def stack(skip: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The residual stream after 0, 1, ... blocks and the gradients there, with skip connections (1) or without (0)."""
    x, streams, caches = tokens, [tokens], []
    for p in blocks:
        normed, norm1 = layernorm_forward(x, *p[:2])
        branch, attn = attention_forward(normed, *p[2:6], H)
        h = skip * x + branch
        normed, norm2 = layernorm_forward(h, *p[6:8])
        branch, mlp = mlp_forward(normed, *p[8:])
        x = skip * h + branch
        streams.append(x)
        caches.append((norm1, attn, norm2, mlp))
    dx, gradients = dtop, [dtop]
    for norm1, attn, norm2, mlp in reversed(caches):
        dnormed, *_ = mlp_backward(dx, mlp)
        dh = skip * dx + layernorm_backward(dnormed, norm2)[0]  # h fed two branches: add
        dnormed, *_ = attention_backward(dh, attn)
        dx = skip * dh + layernorm_backward(dnormed, norm1)[0]  # x fed two branches: add
        gradients.append(dx)
    return streams, gradients[::-1]


def deviation(x: np.ndarray) -> float:
    """How far tokens deviate from their mean, relative to their norm: 0 if all are equal, at most 1."""
    return float(np.linalg.norm(x - x.mean(1, keepdims=True)) / np.linalg.norm(x))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


figure = new_figure(3.7)
sketch, forward, backward = figure.subplots(1, 3, width_ratios=[0.62, 1, 1])
for skip, name, style in ((1, "with skip", dict(color=BLUE)), (0, "without", dict(color=ORANGE, linestyle="--"))):
    streams, gradients = stack(skip)
    forward.plot([deviation(x) for x in streams], label=name, **style)
    backward.plot([cosine(dx, dtop) for dx in gradients], label=name, **style)
    after3, end = deviation(streams[3]), deviation(streams[-1])
    print(f"{name}: deviation from the mean token {after3:.3f} after 3 blocks, {end:.3f} at the end")
    for depth in (DEPTH - 1, DEPTH // 2, 3):
        dx = gradients[depth]
        alike, differ = cosine(dx, dtop), deviation(dx)
        print(f"  gradient at block {depth}: cosine with the top {alike:+.2f}, deviation from the mean {differ:.3f}")
forward.set(title="forward: are tokens still different?", ylabel="relative deviation from the mean token")
backward.set(title="backward: is the gradient preserved?", ylabel="cosine with the gradient at the top")
for axes in (forward, backward):
    axes.set(ylim=(-0.1, 1.05))
    axes.legend()
forward.set(xlabel="blocks passed")
backward.set(xlabel="block (the gradient flows right to left)")

draw_block(sketch)
save(figure, __file__)
