"""Loss and gradient of a batch, computed in shards, on threads and in ranks, and summed in a fixed order.

A shard is a slice of the batch, large enough that Python's overhead is small and small enough that it needs little
memory. The shards depend on the model and the batch size only, and the order of their sum on their number only, so the
result is the same to the last bit for any number of threads and of ranks. NumPy releases the interpreter's lock while
it computes; each thread uses one BLAS thread (except with Apple's Accelerate, whose threads threadpoolctl cannot
limit).
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .backend import Array, array_module, device_of, to_device, to_host
from .blas import BLAS
from .config import ViTConfig
from .errors import TrainingError
from .layers import trained
from .masks import draw_masks, joined
from .model import vit_backward, vit_forward
from .ops.loss import cross_entropy_backward, cross_entropy_forward
from .params import Params
from .preprocess import to_inputs
from .ranks import ALONE, Ranks, tree_sum
from .rng import DROPOUT, generator
from .settings import check_count

if TYPE_CHECKING:
    from .data import Pictures

# A shard has about TOKENS_PER_SHARD tokens (32 images of 50, 8 of 197) or, in a model whose tokens are small, as many
# as need FLOATS_PER_SHARD floats. Smaller shards mean more Python overhead, larger ones more memory
# (benchmarks/README.md).
TOKENS_PER_SHARD = 1600
FLOATS_PER_SHARD = 1_750_000
FLOATS_FOR_THREADS = 200_000  # in shards with fewer, waiting for the interpreter's lock costs more than threads gain


class WorkerPool:
    """Threads that compute shards; BLAS is limited to one thread meanwhile.

    threads: the number of worker threads; with 1, the calling thread computes. The threads are started at the first
    use, and anew in a forked process; copies and pickles do not include them, nor other ranks. Several threads may use
    one pool. ranks: those that compute every batch together; all of them then need a pool, and the same batches.
    Raises ConfigError for fewer than one thread, and for a number of ranks that cannot share a batch.
    """

    def __init__(self, threads: int = 1, ranks: Ranks = ALONE) -> None:
        self.threads, self.ranks = check_count("threads", threads), ranks
        ranks.check()
        self._started: tuple[int, ThreadPoolExecutor] | None = None  # the process, and the threads in it

    def __reduce__(self) -> tuple[Any, ...]:
        return WorkerPool, (self.threads,)

    def __repr__(self) -> str:
        return f"WorkerPool({self.threads})"

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._started is not None:
            self._started[1].shutdown()
            self._started = None  # a pool that is used again starts threads again

    def map(
        self, function: Callable[[Any], Any], items: Sequence[Any], sequential: bool = False
    ) -> Generator[Any, None, None]:
        """The results of function(item), in order; no more than one item for each thread and one besides are ahead of
        what was taken, so results do not pile up. BLAS gets its threads back at the end, also after an exception.
        With sequential=True the calling thread computes one item after the other, as it does with a single item.
        Floating-point warnings are off meanwhile: callers check whether the results are finite."""
        caller = BLAS.limit()
        ahead: deque[Future[Any]] = deque()
        try:
            if self.threads == 1 or sequential or len(items) == 1:
                yield from map(_quiet(function), items)
                return
            executor = self._executor()
            for item in items:
                ahead.append(executor.submit(_quiet(function), item))
                if len(ahead) > self.threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
            BLAS.release(caller)

    def _executor(self) -> ThreadPoolExecutor:
        process = os.getpid()
        if self._started is None or self._started[0] != process:
            self._started = process, ThreadPoolExecutor(self.threads, "minivit")
        return self._started[1]


def _quiet(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def quiet(item: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(item)

    return quiet


class BatchResult(NamedTuple):
    loss: Array  # (), mean over the batch
    correct: Array  # (), the number of images classified correctly
    grads: Params


def shards(batch: int, config: ViTConfig) -> list[slice]:
    """Cut a batch into slices of about TOKENS_PER_SHARD tokens (more if they are small), all of nearly the same size:
    an even number of slices, so that two threads share them evenly, but no more than there are images."""
    tokens = max(TOKENS_PER_SHARD, FLOATS_PER_SHARD // _floats_per_token(config))
    pairs = -(-batch * config.tokens // (2 * tokens))
    count = min(batch, 2 * pairs)
    edges = [batch * i // count for i in range(count + 1)]
    return [slice(start, stop) for start, stop in zip(edges, edges[1:])]


def _shards_of(images: "np.ndarray | Pictures", config: ViTConfig) -> list[slice]:
    """The shards of a batch; embeddings are so small that they are one."""
    return [slice(0, len(images))] if images.ndim == 2 else shards(len(images), config)


def below_thread_threshold(parts: Sequence[slice], config: ViTConfig) -> bool:
    """Whether the shards are so small that one thread computes them faster than several. This changes which thread
    computes a shard, not its result."""
    images = parts[-1].stop / len(parts)
    return images * config.tokens * _floats_per_token(config) < FLOATS_FOR_THREADS


def _floats_per_token(config: ViTConfig) -> int:
    """The floats per token: its pixels, in the image and in the patch, and what one block caches for the backward pass
    (inputs of LayerNorms and linear layers, queries, keys, values, attention weights, and what GELU needs)."""
    pixels = config.channels * config.patch_size**2
    return 2 * pixels + 8 * config.dim + 3 * config.mlp_dim + config.heads * config.tokens


def loss_and_grads(
    params: Params,
    images: np.ndarray,
    labels: np.ndarray,
    config: ViTConfig,
    pool: WorkerPool,
    *,
    label_smoothing: float = 0.0,
    seed: int = 0,
    step: int = 0,
    frozen: int = 0,
) -> BatchResult:
    """Mean loss of a batch and its gradient with respect to every parameter that is not in the first `frozen` layers,
    dropouts on behind them.

    Shapes   images (B, C, Sh, Sw) or embeddings (B, D) on the host or on the parameters' device, in their dtype;
             labels (B,) or (B, K) on the host
    Shard i of step `step` draws its dropout masks from generator(seed, DROPOUT, step, i). A GPU computes all of its
    shards at once, as one slice of the batch.
    """
    device, dtype = device_of(params.flat), params.flat.dtype

    def compute(together: list[tuple[int, slice]]) -> BatchResult:
        rows = slice(together[0][1].start, together[-1][1].stop)
        drawn = [
            draw_masks(config, one.stop - one.start, generator(seed, DROPOUT, step, index), dtype, "cpu", frozen)
            for index, one in together
        ]
        masks = joined(drawn, device)
        logits, cache = vit_forward(params, to_device(images[rows], device), config, masks, frozen=frozen)
        loss, loss_cache = cross_entropy_forward(logits, labels[rows], label_smoothing)
        share = dtype.type((rows.stop - rows.start) / len(images))  # the weight of this mean in that of the batch
        grads, _ = vit_backward(cross_entropy_backward(share, loss_cache), cache, pixels=False)
        correct = (logits.argmax(-1) == loss_cache.targets.argmax(-1)).sum()
        return BatchResult(loss * share, correct, grads)

    parts = _shards_of(images, config)
    own = pool.ranks.own(len(parts))
    shards_here, alone = list(enumerate(parts))[own], below_thread_threshold(parts, config)
    pieces = [[shard] for shard in shards_here] if device == "cpu" else [shards_here] * bool(shards_here)
    with closing(pool.map(compute, pieces, sequential=alone)) as results:
        result = tree_sum(results, len(pieces), _add) if pieces else None
    if result is None or pool.ranks.size > 1:
        grads = trained(params, config, frozen).empty_like() if result is None else result.grads
        return _over_ranks(result, grads, pool.ranks, len(parts))
    xp = array_module(params.flat)
    return BatchResult(xp.asarray(result.loss), xp.asarray(result.correct), result.grads)


def _add(one: BatchResult, other: BatchResult) -> BatchResult:
    one.grads.flat += other.grads.flat
    return BatchResult(one.loss + other.loss, one.correct + other.correct, one.grads)


def _over_ranks(result: BatchResult | None, grads: Params, ranks: Ranks, count: int) -> BatchResult:
    """The sum of what the ranks have computed of a batch of `count` shards, in `grads`; a rank without a shard brings
    None. Gradient, loss and number of correct images travel as one vector, over the host."""
    flat, device, xp = grads.flat, device_of(grads.flat), array_module(grads.flat)
    rows = ranks.rows(flat.size + 2, flat.dtype, device)
    vector = rows.reshape(-1)[: flat.size + 2]
    if result is not None:
        to_host(flat, out=vector[:-2])
        vector[-2:] = float(result.loss), int(result.correct)
    ranks.sum(rows, count)
    flat[...] = to_device(vector[:-2], device)
    loss, correct = vector[-2:].copy()
    return BatchResult(xp.asarray(loss), xp.asarray(int(correct)), grads)


def predict_logits(params: Params, images: "np.ndarray | Pictures", config: ViTConfig, pool: WorkerPool) -> np.ndarray:
    """Logits (B, K), on the host, of checked host images (B, C, Sh, Sw), uint8 or normalised floats, or of embeddings
    (B, D).

    Dropouts are off. Works in shards, so any number of images fits into bounded memory.
    Raises TrainingError for parameters that give no finite logits.
    """
    device = device_of(params.flat)

    def compute(rows: slice) -> Array:
        inputs = to_inputs(images[rows], config, params.flat.dtype)
        return vit_forward(params, to_device(inputs, device), config, keep_cache=False)[0]

    parts = _shards_of(images, config)
    own, alone = parts[pool.ranks.own(len(parts))], below_thread_threshold(parts, config)
    results = list(pool.map(compute, own, sequential=alone))
    logits = to_host(array_module(params.flat).concatenate(results)) if own else np.empty(0, params.flat.dtype)
    if pool.ranks.size > 1:
        everywhere = b"".join(pool.ranks.gather(logits.tobytes()))
        logits = np.frombuffer(bytearray(everywhere), logits.dtype).reshape(len(images), -1)
    if not np.isfinite(logits).all():
        raise TrainingError(
            "a logit is not finite: the model's parameters hold NaN, infinity or too large values; if training caused "
            "it, start again with a lower --learning-rate and --muon"
        )
    return logits
