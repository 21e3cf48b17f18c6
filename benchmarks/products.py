"""The lower bound: the matrix products of a training step and nothing else, and their number of operations.

A step cannot be faster than its products as long as they are computed one by one by the same BLAS. The rest of a step's
time goes to softmax, GELU, LayerNorm, residual sums, memory and Python.
"""

from threading import local
from typing import Any

import numpy as np

from minivit.config import ViTConfig
from minivit.parallel import WorkerPool, below_thread_threshold, shards
from minivit.train.flops import Product, forward_products, step_flops

from .workload import Job


def flops(model: dict[str, Any], batch: int, task: str) -> int:
    """Floating-point operations of all products of one "forward" or "step"; minivit/train/flops.py derives them."""
    config = ViTConfig(**model)
    return step_flops(config, batch) if task == "step" else sum(each.flops for each in forward_products(config, batch))


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
        self.config = ViTConfig(**job.model)
        parts = shards(job.batch, self.config)
        self.images = [shard.stop - shard.start for shard in parts]
        self.sequential = below_thread_threshold(parts, self.config)
        self.pool = WorkerPool(job.threads)
        self.own = local()  # the operands of this thread, one list for each size of shard

    def operands(self, images: int) -> list[Operands]:
        """This thread's operands for a shard of so many images."""
        by_size = self.own.__dict__
        if str(images) not in by_size:
            rng = np.random.default_rng(0)
            by_size[str(images)] = [Operands(product, rng) for product in forward_products(self.config, images)]
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
