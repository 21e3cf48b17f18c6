"""The same Vision Transformer in PyTorch: a peer for the benchmarks and, in float64, a reference for the tests.

It has every option of `minivit.ViTConfig` and is written in the usual PyTorch style: modules, autograd, and PyTorch's
own kernels. Two things differ from a textbook model, to make the comparison possible. Parameters have minivit's names,
so that weights and gradients can be exchanged (`nn.Linear` stores (out, in), hence the transposes). And dropouts take
given masks, already scaled by 1/keep, instead of drawing their own.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BlockMasks(NamedTuple):
    """Factors for one encoder block; None: no dropout there. They broadcast, so stochastic depth is (B, 1, 1)."""

    attn: Tensor | None = None  # (B, H, T, T), after the softmax
    attn_branch: Tensor | None = None  # (B, T, D), before the residual sum
    mlp_branch: Tensor | None = None  # (B, T, D), before the residual sum


class Masks(NamedTuple):
    """Factors for the whole model."""

    embedding: Tensor | None  # (B, T, D)
    blocks: list[BlockMasks]
    kept: Tensor | None = None  # (B, Tk), the tokens that patch dropout keeps


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Dropout with a given mask."""
    return x if mask is None else x * mask


def sinusoid(positions: Tensor, omega: Tensor) -> Tensor:
    """The angles positions[n] * omega[j], (N,) and (J,) -> (N, J)."""
    return positions[:, None] * omega[None, :]


def sincos1d(patches: int, dim: int) -> Tensor:
    """Vaswani et al. 2017, section 3.5: PE[n, 2j] = sin(n / 10000^(2j/D)), PE[n, 2j+1] = cos(same). -> (N, D)"""
    omega = 10000 ** -(torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angles = sinusoid(torch.arange(patches, dtype=torch.float64), omega)  # (N, D/2)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)


def sincos2d(rows: int, columns: int, dim: int) -> Tensor:
    """Half of the features for the row, half for the column, each [sin, cos] over D/4 frequencies. -> (N, D)"""
    omega = 10000 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    row = torch.arange(rows, dtype=torch.float64).repeat_interleave(columns)  # (N,)
    column = torch.arange(columns, dtype=torch.float64).repeat(rows)
    halves = [sinusoid(row, omega), sinusoid(column, omega)]
    return torch.cat([table for angles in halves for table in (angles.sin(), angles.cos())], -1)


class PatchEmbed(nn.Module):
    """Cut images into patches, flatten each (c p q) and project it: a convolution whose stride is its size."""

    def __init__(self, patch: int, channels: int, dim: int):
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, kernel_size=patch, stride=patch)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(images).flatten(2).transpose(1, 2)  # (B, D, h, w) -> (B, N, D)


class Attention(nn.Module):
    """Multi-head self-attention, as two products and a softmax or as one fused call (SDPA)."""

    def __init__(self, dim: int, heads: int, qkv_bias: bool, sdpa: bool):
        super().__init__()
        self.heads, self.sdpa = heads, sdpa
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.softmax = nn.Softmax(-1)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        B, T, D = x.shape
        Dh = D // self.heads
        q, k, v = self.qkv(x).view(B, T, 3, self.heads, Dh).permute(2, 0, 3, 1, 4)  # (B, H, T, Dh) each
        if self.sdpa:
            if mask is not None:
                raise ValueError("SDPA takes no given dropout mask; use attention by matmul (sdpa=False)")
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            attn = self.softmax((q * Dh**-0.5) @ k.transpose(-2, -1))  # (B, H, T, T)
            y = masked(attn, mask) @ v
        return self.proj(y.transpose(1, 2).reshape(B, T, D))


class MLP(nn.Module):
    """Linear, GELU, linear."""

    def __init__(self, width: int, hidden: int, out: int, gelu: str):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = QuickGELU() if gelu == "quick" else nn.GELU(approximate="tanh" if gelu == "tanh" else "none")
        self.fc2 = nn.Linear(hidden, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class LayerScale(nn.Module):
    """A learned factor for each feature."""

    def __init__(self, width: int, initial: float):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), initial))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class QuickGELU(nn.Module):
    """x times the logistic function of 1.702 x."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    """Pre-norm encoder block."""

    def __init__(self, config: Any, sdpa: bool):
        super().__init__()
        self.norm1 = nn.LayerNorm(config.dim, eps=config.norm_eps)
        self.attn = Attention(config.dim, config.heads, config.qkv_bias, sdpa)
        self.norm2 = nn.LayerNorm(config.dim, eps=config.norm_eps)
        self.mlp = MLP(config.dim, config.mlp_dim, config.dim, config.gelu)
        scaled = config.layer_scale is not None
        self.ls1 = LayerScale(config.dim, config.layer_scale) if scaled else nn.Identity()
        self.ls2 = LayerScale(config.dim, config.layer_scale) if scaled else nn.Identity()

    def forward(self, x: Tensor, masks: BlockMasks) -> Tensor:
        x = x + masked(self.ls1(self.attn(self.norm1(x), masks.attn)), masks.attn_branch)
        return x + masked(self.ls2(self.mlp(self.norm2(x))), masks.mlp_branch)


class TorchViT(nn.Module):
    """minivit's model on PyTorch.

    `config` is a `minivit.ViTConfig` or anything with its fields; its dropout rates are not read, masks are given to
    `forward`. `sdpa` selects `F.scaled_dot_product_attention`.
    """

    def __init__(self, config: Any, sdpa: bool = False):
        super().__init__()
        size = config.image_size
        Sh, Sw = (size, size) if isinstance(size, int) else size
        rows, columns = Sh // config.patch_size, Sw // config.patch_size
        reads_token = config.pool in ("cls", "cls+patches")
        class_token = reads_token if config.class_token is None else config.class_token
        self.pool, self.prefix = config.pool, class_token + config.registers
        self.patch_embed = PatchEmbed(config.patch_size, config.channels, config.dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.dim)) if class_token else None
        self.reg_token = nn.Parameter(torch.zeros(1, config.registers, config.dim)) if config.registers else None
        if config.positions == "learned":
            self.pos_embed = nn.Parameter(torch.empty(1, class_token + rows * columns, config.dim).normal_(std=0.02))
        elif config.positions == "none":
            self.pos_embed = None
        else:
            one_axis = config.positions == "sincos1d"
            table = sincos1d(rows * columns, config.dim) if one_axis else sincos2d(rows, columns, config.dim)
            table = F.pad(table, (0, 0, int(class_token), 0))  # the class token's row is zero
            self.register_buffer("pos_embed", table[None], persistent=False)  # (1, T, D)
        self.blocks = nn.ModuleList(Block(config, sdpa) for _ in range(config.depth))
        features = 2 * config.dim if config.pool == "cls+patches" else config.dim
        after = config.norm == "pool"
        self.norm_pre = nn.LayerNorm(config.dim, eps=config.norm_eps) if config.pre_norm else nn.Identity()
        self.norm = nn.Identity() if after else nn.LayerNorm(config.dim, eps=config.norm_eps)
        self.fc_norm = nn.LayerNorm(features, eps=config.norm_eps) if after else nn.Identity()
        self.head: nn.Module = nn.Identity()
        if config.head_hidden is not None:
            self.head = MLP(features, config.head_hidden, config.classes, config.gelu)
        elif config.classes is not None:
            self.head = nn.Linear(features, config.classes)

    def forward(self, images: Tensor, masks: Masks | None = None) -> Tensor:
        """Logits (B, K) of images (B, C, Sh, Sw)."""
        embedding_mask, block_masks, kept = masks or Masks(None, [BlockMasks()] * len(self.blocks))
        x = self.patch_embed(images)  # (B, N, D)
        if self.cls_token is not None:
            x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1)  # (B, T, D)
        if self.pos_embed is not None:
            x = x + self.pos_embed.to(x.dtype)
        if self.reg_token is not None:
            place = int(self.cls_token is not None)
            x = torch.cat([x[:, :place], self.reg_token.expand(len(x), -1, -1), x[:, place:]], 1)  # (B, T, D)
        x = masked(x, embedding_mask)
        if kept is not None:
            x = x[torch.arange(len(x))[:, None], kept]  # (B, T, D) -> (B, Tk, D)
        x = self.norm_pre(x)
        for block, block_mask in zip(self.blocks, block_masks, strict=True):
            x = block(x, block_mask)
        x = self.norm(x)
        return self.head(self.fc_norm(self.pooled(x)))  # (B, D) -> (B, K)

    def pooled(self, x: Tensor) -> Tensor:
        """What the head reads of the tokens: (B, T, D) -> (B, D)."""
        if self.pool == "cls":
            return x[:, 0]
        if self.pool == "mean":
            return x.mean(1)
        patches = x[:, self.prefix :].mean(1)
        return patches if self.pool == "patches" else torch.cat([x[:, 0], patches], 1)

    def load_minivit(self, params: Mapping[str, Any]) -> None:
        """Copy minivit's parameters, name by name. Raises ValueError if the two sets of names differ."""
        ours = dict(self.named_parameters())
        if set(ours) != set(params):
            raise ValueError(f"parameter names differ: {sorted(set(ours) ^ set(params))}")
        with torch.no_grad():
            for name, parameter in ours.items():
                value = torch.from_numpy(np.array(params[name]))
                parameter.copy_(value.T.reshape(parameter.shape) if is_weight(parameter) else value)

    def minivit_grads(self) -> dict[str, np.ndarray]:
        """The gradients of the last backward pass under minivit's names, weights (in, out)."""
        return {name: minivit_layout(parameter.grad).numpy() for name, parameter in self.named_parameters()}


def is_weight(parameter: Tensor) -> bool:
    """Whether this is a weight matrix, or a convolution's, which is one: (D, C, P, P) is (D, C P P)."""
    return parameter.ndim in (2, 4)


def minivit_layout(tensor: Tensor) -> Tensor:
    """A parameter or its gradient as minivit lays it out: weights (in, out), all else unchanged."""
    return tensor.flatten(1).T if is_weight(tensor) else tensor


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """AdamW's parameter groups with minivit's decay mask: weights decay; biases, LayerNorm and tokens do not."""
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if is_weight(p)], "weight_decay": weight_decay},
        {"params": [p for p in parameters if not is_weight(p)], "weight_decay": 0.0},
    ]
