"""How many floating-point operations the matrix products of a training take: the same on every machine.

Counting. A product (m, k) @ (k, n) takes m·n sums of k products: 2·m·k·n operations. Per image, with N patches, T
tokens, width D, MLP width F, L blocks and K classes, a forward pass has

    patches      (N, C·P²) @ (C·P², D)                            2·N·C·P²·D
    each block   q, k, v    (T, D) @ (D, 3D)                      6·T·D²
                 scores     H times (T, Dh) @ (Dh, T), H·Dh = D   2·T²·D
                 values     H times (T, T) @ (T, Dh)              2·T²·D
                 projection (T, D) @ (D, D)                       2·T·D²
                 MLP        (T, D) @ (D, F) and (T, F) @ (F, D)   4·T·D·F
    head         (1, D) @ (D, K)                                  2·D·K, twice that with pool "cls+patches"

With patch dropout T counts the tokens that are left. So, with a head that reads D features,

    forward = B·(2·N·C·P²·D + L·(8·T·D² + 4·T²·D + 4·T·D·F) + 2·D·K).

The backward pass of C = A @ B is two products of the same cost, dA = dC @ Bᵀ and dB = Aᵀ @ dC, and training does not
need dA of the patches, which are pixels: step = 3·forward - B·2·N·C·P²·D. All tokens are counted in all blocks; the
last block needs fewer where the head reads the class token alone. `muon_flops` counts the products of a Muon step.
"""

import dataclasses
import math
from typing import NamedTuple

from ..config import ViTConfig
from ..muon import ITERATIONS
from .config import TrainConfig


class Product(NamedTuple):
    """`repeats` products (m, k) @ (k, n)."""

    name: str
    repeats: int
    m: int
    k: int
    n: int

    @property
    def flops(self) -> int:
        return 2 * self.repeats * self.m * self.k * self.n


def forward_products(config: ViTConfig, batch: int) -> list[Product]:
    """The products of a forward pass in training over `batch` images, in order."""
    D, H, F = config.dim, config.heads, config.mlp_dim
    T = config.prefix + config.patches_kept
    block = [
        Product("qkv", 1, batch * T, D, 3 * D),
        Product("scores", batch * H, T, D // H, T),
        Product("values", batch * H, T, T, D // H),
        Product("projection", 1, batch * T, D, D),
        Product("fc1", 1, batch * T, D, F),
        Product("fc2", 1, batch * T, F, D),
    ]
    patches = Product("patches", 1, batch * config.patches, config.channels * config.patch_size**2, D)
    widths = [config.features, *(width for width in (config.head_hidden, config.classes) if width is not None)]
    head = [Product("head", 1, batch, k, n) for k, n in zip(widths, widths[1:])]
    return [patches, *block * config.depth, *head]


def step_flops(config: ViTConfig, batch: int) -> int:
    """Operations of the products of one training step; the derivation is at the top."""
    products = forward_products(config, batch)
    return 3 * sum(product.flops for product in products) - products[0].flops


def muon_flops(config: ViTConfig) -> int:
    """Operations of one Muon step: in every iteration X Xᵀ, its square and that times X, for every weight matrix of the
    blocks, (m, n) with m <= n; queries, keys and values are three."""
    D, F = config.dim, config.mlp_dim
    sides = [(D, D)] * 4 + [(min(D, F), max(D, F))] * 2
    return config.depth * ITERATIONS * sum(2 * m * m * n + 2 * m**3 + 2 * m * m * n for m, n in sides)


def training_flops(config: ViTConfig, train: TrainConfig, steps: int, of: int | None = None) -> int:
    """Operations of the products of the first `steps` steps, of a training that has `of` (None: as many): with patch
    dropout as long as it lasts, and those of Muon. Every parameter learns, and every batch is whole."""
    dropping = min(steps, math.ceil(train.patch_dropout_until * (steps if of is None else of)))
    whole = dataclasses.replace(config, patch_dropout=0.0)
    products = dropping * step_flops(config, train.batch_size)
    products += (steps - dropping) * step_flops(whole, train.batch_size)
    return products + (0 if train.muon is None else steps * muon_flops(config))
