"""minivit's training step in PyTorch: the same weights, batches and dropout masks, so the same losses."""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from minivit.masks import draw_masks
from minivit.muon import ITERATIONS, QUINTIC
from minivit.parallel import shards
from minivit.rng import DROPOUT, generator
from minivit.train import Trainer

from .torch_vit import BlockMasks, Masks, TorchViT, decay_groups


class TorchTrainer:
    """The peer of a Trainer, which must not have stepped yet and is only read: its settings, weights and schedule."""

    def __init__(self, trainer: Trainer, sdpa: bool = True) -> None:
        config, model = trainer.config, trainer.model
        self.trainer, self.config = trainer, config
        drops = model.config.attention_dropout > 0
        self.model = TorchViT(model.config, sdpa=sdpa and not drops)
        self.model.load_minivit(model.params)
        matrices = {name: p for name, p in self.model.blocks.named_parameters() if p.ndim == 2}
        self.muon = [] if config.muon is None else list(matrices.values())
        self.counts = [3 if "qkv" in name else 1 for name in matrices]
        groups = decay_groups(self.model, config.weight_decay)
        for group in groups:
            group["params"] = [p for p in group["params"] if not any(p is matrix for matrix in self.muon)]
        self.adamw = torch.optim.AdamW(groups, lr=1.0, betas=(config.beta1, config.beta2), eps=1e-8, fused=True)
        self.momentum = [torch.zeros_like(matrix) for matrix in self.muon]
        self.ema = [p.detach().clone() for p in self.model.parameters()] if config.ema else []

    def update(self, images: np.ndarray, labels: np.ndarray, rate: float, step: int, masks: Masks | None) -> float:
        """The loss of a batch, before one step at this learning rate; step counts from 0."""
        config = self.config
        self.model.zero_grad()
        logits = self.model(torch.from_numpy(images), masks)
        loss = F.cross_entropy(logits, torch.from_numpy(labels), label_smoothing=config.label_smoothing)
        loss.backward()
        if config.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        for group in self.adamw.param_groups:
            group["lr"] = rate
        self.adamw.step()
        if config.muon is not None:
            self._muon_step(config.muon * rate / config.learning_rate)
        if config.ema:
            part = 1 - min(config.ema, (step + 1) / (step + 10))
            torch._foreach_lerp_(self.ema, [p.detach() for p in self.model.parameters()], part)
        return loss.item()

    @torch.no_grad()
    def _muon_step(self, rate: float) -> None:
        """`minivit.muon.muon_step`, matrices of one shape together; qkv.weight (3D, D) is three."""
        beta = self.config.beta1
        groups: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}
        for W, mean, count in zip(self.muon, self.momentum, self.counts):
            assert W.grad is not None
            mean.lerp_(W.grad, 1 - beta)
            ahead = beta * mean + (1 - beta) * W.grad
            rows, columns = W.shape
            parts = ahead.view(count, rows // count, columns)
            groups.setdefault(tuple(parts.shape[1:]), []).append((W.view(parts.shape), parts))
        for (rows, columns), pairs in groups.items():
            moves = orthogonalised(torch.cat([parts for _, parts in pairs]))
            moves *= rate * math.sqrt(max(rows, columns))
            for (W, _), move in zip(pairs, moves.split([len(parts) for _, parts in pairs])):
                W.mul_(1 - rate * self.config.muon_decay).sub_(move)

    def masks(self, batch: int, step: int) -> Masks | None:
        """The masks of minivit's shards, side by side."""
        config, seed = self.trainer.step_config, self.config.seed
        drawn = [
            draw_masks(config, rows.stop - rows.start, generator(seed, DROPOUT, step, i), "float32")
            for i, rows in enumerate(shards(batch, config))
        ]
        if drawn[0] is None:
            return None

        def joined(of_shards: Any) -> Tensor | None:
            return None if of_shards[0] is None else torch.from_numpy(np.concatenate(of_shards))

        blocks = [
            BlockMasks(*(joined(kind) for kind in zip(*(of.blocks[i] for of in drawn)))) for i in range(config.depth)
        ]
        return Masks(joined([of.embed for of in drawn]), blocks, joined([of.kept for of in drawn]))


def orthogonalised(M: Tensor) -> Tensor:
    """`minivit.muon.orthogonalised`."""
    a, b, c = QUINTIC
    tall = M.shape[1] > M.shape[2]
    X = M.mT if tall else M
    X = X / X.flatten(1).norm(dim=1)[:, None, None]
    for _ in range(ITERATIONS):
        XX = X @ X.mT
        X = a * X + (b * XX + c * (XX @ XX)) @ X
    return X.mT if tall else X
