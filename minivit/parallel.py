"""Loss and gradient of a batch, computed in shards on threads and summed in a fixed order.

A shard is a slice of the batch, long enough that Python's calls cost little and short enough that its memory stays
small. How a batch is cut depends on the model and the batch only, never on the number of threads, so the result is the
same to the last bit for any number of them. NumPy lets other threads run while it computes; each uses one BLAS thread.
"""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, NamedTuple

import numpy
from threadpoolctl import ThreadpoolController

from .backend import Array, array_module, device_of, to_device
from .config import ViTConfig
from .inputs import prepare
from .masks import draw_masks
from .model import vit_backward, vit_forward
from .ops.loss import cross_entropy_backward, cross_entropy_forward
from .params import Params
from .randomness import DROPOUT, generator

# A shard has about TOKENS_PER_SHARD tokens (32 images of 50, 8 of 197) or, in a model whose tokens are small, as many
# as hold NUMBERS_PER_SHARD numbers. Fewer cost more Python, more cost memory (benchmarks/README.md).
TOKENS_PER_SHARD = 1600
NUMBERS_PER_SHARD = 1_750_000
NUMBERS_FOR_THREADS = 200_000  # with less in a shard, threads wait for the interpreter's lock more than they gain


class Workers:
    """Threads that compute shards, with BLAS held to one thread each for as long as they do.

    threads: how many; 1 computes in the calling thread. Keep one for a whole run: finding the BLAS libraries takes
    longer than a small step.
    """

    def __init__(self, threads: int = 1) -> None:
        if threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        self.threads = threads
        self._executor = ThreadPoolExecutor(threads, "minivit") if threads > 1 else None
        self._blas = ThreadpoolController()

    def map(
        self, function: Callable[[Any], Any], items: Sequence[Any], in_turn: bool = False
    ) -> Generator[Any, None, None]:
        """The results of function(item), in order; BLAS gets its threads back at the end, and after an exception.
        in_turn computes one item after the other in the calling thread, as a single item always is."""
        with self._blas.limit(limits=1, user_api="blas"):
            if self._executor is None or in_turn or len(items) == 1:
                yield from map(function, items)
            else:
                yield from self._executor.map(function, items)


class BatchResult(NamedTuple):
    loss: Array  # (), mean over the batch
    correct: Array  # (), images whose largest logit is at their label's place
    grads: Params


def shards(batch: int, config: ViTConfig) -> list[slice]:
    """Cut a batch into slices of about TOKENS_PER_SHARD tokens (more if they are small), all of nearly the same size:
    an even number of them (but for a single image), so that two threads share them fairly."""
    tokens = max(TOKENS_PER_SHARD, NUMBERS_PER_SHARD // _numbers(config))
    pairs = -(-batch * config.tokens // (2 * tokens))
    count = min(batch, 2 * pairs)
    edges = [batch * i // count for i in range(count + 1)]
    return [slice(start, stop) for start, stop in zip(edges, edges[1:])]


def small(parts: Sequence[slice], config: ViTConfig) -> bool:
    """Whether shards are so small that one thread computes them in turn sooner than several do at once. This changes
    who computes, not what."""
    images = parts[-1].stop / len(parts)
    return images * config.tokens * _numbers(config) < NUMBERS_FOR_THREADS


def _numbers(config: ViTConfig) -> int:
    """How large a token is: its pixels, in the image and in the patch, and what one block keeps of it for the backward
    pass (inputs of LayerNorms and linear layers, queries, keys, values, attention weights, and what GELU needs)."""
    pixels = config.channels * config.patch_size**2
    return 2 * pixels + 8 * config.dim + 3 * config.mlp_dim + config.heads * config.tokens


def loss_and_grads(
    params: Params,
    images: numpy.ndarray,
    labels: numpy.ndarray,
    config: ViTConfig,
    workers: Workers,
    *,
    label_smoothing: float = 0.0,
    seed: int = 0,
    step: int = 0,
) -> BatchResult:
    """Mean loss of a batch and its gradient with respect to every parameter, dropouts on.

    Shapes   images (B, C, Sh, Sw) on the host, in the parameters' dtype; labels (B,) or (B, K) on the host
    Shard i of step `step` draws its dropout masks from generator(seed, DROPOUT, step, i).
    """
    device = device_of(params.flat)
    dropping = config.dropout or config.attention_dropout or config.drop_path

    def compute(shard: tuple[int, slice]) -> BatchResult:
        index, rows = shard
        count = rows.stop - rows.start
        rng = generator(seed, DROPOUT, step, index)
        masks = draw_masks(config, count, rng, params.flat.dtype, device) if dropping else None
        logits, cache = vit_forward(params, to_device(images[rows], device), config, masks)
        loss, loss_cache = cross_entropy_forward(logits, labels[rows], label_smoothing)
        share = params.flat.dtype.type(count / len(images))  # by which the mean over the batch weighs a shard's mean
        grads, _ = vit_backward(cross_entropy_backward(share, loss_cache), cache)
        correct = (logits.argmax(-1) == loss_cache.targets.argmax(-1)).sum()
        return BatchResult(loss * share, correct, grads)

    parts = shards(len(images), config)
    with closing(workers.map(compute, list(enumerate(parts)), in_turn=small(parts, config))) as results:
        loss, correct, grads = next(results)
        for result in results:
            loss, correct = loss + result.loss, correct + result.correct
            grads.flat += result.grads.flat
    xp = array_module(params.flat)
    return BatchResult(xp.asarray(loss), xp.asarray(correct), grads)


def predict_logits(params: Params, images: numpy.ndarray, config: ViTConfig, workers: Workers) -> Array:
    """Logits (B, K) of checked host images (B, C, Sh, Sw), uint8 or normalised floats, on the parameters' device.

    Dropouts are off. Works in shards, so any number of images fits into bounded memory.
    """
    device = device_of(params.flat)

    def compute(rows: slice) -> Array:
        inputs = prepare(images[rows], config, params.flat.dtype)
        return vit_forward(params, to_device(inputs, device), config, keep_cache=False)[0]

    parts = shards(len(images), config)
    logits = list(workers.map(compute, parts, in_turn=small(parts, config)))
    return array_module(params.flat).concatenate(logits)
