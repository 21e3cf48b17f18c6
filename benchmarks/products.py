"""The lower bound: the matrix products of a training step and nothing else, and their number of operations.

A step cannot be faster than its products as long as they are computed one by one by the same BLAS. The rest of a step's
time goes to softmax, GELU, LayerNorm, residual sums, memory and Python.

Counting. A product (m, k) @ (k, n) takes m·n sums of k products: 2·m·k·n operations. Per image, with N patches, T
tokens, width D, MLP width F, L blocks and K classes, a forward pass has

    patches      (N, C·P²) @ (C·P², D)                            2·N·C·P²·D
    each block   q, k, v    (T, D) @ (D, 3D)                      6·T·D²
                 scores     H times (T, Dh) @ (Dh, T), H·Dh = D   2·T²·D
                 values     H times (T, T) @ (T, Dh)              2·T²·D
                 projection (T, D) @ (D, D)                       2·T·D²
                 MLP        (T, D) @ (D, F) and (T, F) @ (F, D)   4·T·D·F
    head         (1, D) @ (D, K)                                  2·D·K, twice that with pool "cls+patches"

With patch dropout T counts the tokens that are left. So

    forward = B·(2·N·C·P²·D + L·(8·T·D² + 4·T²·D + 4·T·D·F) + 2·D·K).

The backward pass of C = A @ B is two products of the same cost, dA = dC @ Bᵀ and dB = Aᵀ @ dC, and training does not
need dA of the patches, which are pixels: step = 3·forward - B·2·N·C·P²·D.
"""

import math
from threading import local
from typing import Any, NamedTuple

import numpy as np

from minivit.config import ViTConfig
from minivit.parallel import WorkerPool, below_thread_threshold, shards

from .workload import Job


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


def forward_products(model: dict[str, Any], batch: int) -> list[Product]:
    """The products of a forward pass over `batch` images, in order."""
    Sh, Sw = model["image_size"]
    P, D, H, F = model["patch_size"], model["dim"], model["heads"], model["mlp_dim"]
    N = (Sh // P) * (Sw // P)
    left = max(1, round(N * (1 - model.get("patch_dropout", 0.0))))  # of the patches, after patch dropout
    token = model["pool"].startswith("cls") if model.get("class_token") is None else model["class_token"]
    T = left + token + model.get("registers", 0)
    read = 2 * D if model["pool"] == "cls+patches" else D  # what the head reads
    block = [
        Product("qkv", 1, batch * T, D, 3 * D),
        Product("scores", batch * H, T, D // H, T),
        Product("values", batch * H, T, T, D // H),
        Product("projection", 1, batch * T, D, D),
        Product("fc1", 1, batch * T, D, F),
        Product("fc2", 1, batch * T, F, D),
    ]
    patches = Product("patches", 1, batch * N, model["channels"] * P * P, D)
    return [patches, *block * model["depth"], Product("head", 1, batch, read, model["classes"])]


def flops(model: dict[str, Any], batch: int, task: str) -> int:
    """Floating-point operations of all products of one "forward" or "step"; the derivation is at the top."""
    products = forward_products(model, batch)
    forward = sum(product.flops for product in products)
    return forward if task == "forward" else 3 * forward - products[0].flops


def muon_flops(model: dict[str, Any]) -> int:
    """Operations of one Muon step: five times X Xᵀ, its square and that times X, for every weight matrix of the blocks,
    (m, n) with m <= n; queries, keys and values are three."""
    D, F = model["dim"], model["mlp_dim"]
    sides = [(D, D)] * 4 + [(min(D, F), max(D, F))] * 2
    return model["depth"] * sum(5 * (2 * m * m * n + 2 * m**3 + 2 * m * m * n) for m, n in sides)


def training_flops(model: dict[str, Any], batch: int, steps: int, until: float = 1.0, muon: bool = False) -> int:
    """Operations of the products of a training: `steps` steps, in the first `until` of them with the model's patch
    dropout, and those of Muon."""
    dropping = math.ceil(until * steps)
    whole = {**model, "patch_dropout": 0.0}
    step = dropping * flops(model, batch, "step") + (steps - dropping) * flops(whole, batch, "step")
    return step + muon * steps * muon_flops(model)


class Operands:
    """One product with its arrays, all of them allocated once."""

    def __init__(self, product: Product, rng: np.random.Generator):
        name, repeats, m, k, n = product
        self.needs_left = name != "patches"  # the gradient of the pixels is not needed
        self.a = rng.standard_normal((repeats, m, k), dtype=np.float32)
        self.b = rng.standard_normal((repeats, k, n), dtype=np.float32)
        self.c = np.empty((repeats, m, n), np.float32)
        self.da, self.db = np.empty_like(self.a), np.empty_like(self.b)

    def forward(self) -> None:
        """c = a @ b."""
        np.matmul(self.a, self.b, out=self.c)

    def backward(self) -> None:
        """da = c @ bᵀ and db = aᵀ @ c: the values do not matter, so c stands in for its gradient."""
        if self.needs_left:
            np.matmul(self.c, self.b.swapaxes(-1, -2), out=self.da)
        np.matmul(self.a.swapaxes(-1, -2), self.c, out=self.db)


class BareProducts:
    """The products of a job in minivit's shards, on its threads, on arrays allocated beforehand."""

    def __init__(self, job: Job):
        self.job = job
        config = ViTConfig(**job.model)
        parts = shards(job.batch, config)
        self.images = [shard.stop - shard.start for shard in parts]
        self.sequential = below_thread_threshold(parts, config)
        self.pool = WorkerPool(job.threads)
        self.own = local()  # the operands of this thread, one list for each size of shard

    def operands(self, images: int) -> list[Operands]:
        """This thread's operands for a shard of so many images."""
        by_size = self.own.__dict__
        if str(images) not in by_size:
            rng = np.random.default_rng(0)
            by_size[str(images)] = [Operands(product, rng) for product in forward_products(self.job.model, images)]
        return by_size[str(images)]

    def shard(self, images: int) -> None:
        """Forward and, for a step, backward through one shard."""
        operands = self.operands(images)
        for product in operands:
            product.forward()
        if self.job.task == "step":
            for product in reversed(operands):
                product.backward()

    def __call__(self) -> None:
        for _ in self.pool.map(self.shard, self.images, self.sequential):
            pass
