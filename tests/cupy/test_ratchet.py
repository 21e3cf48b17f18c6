"""What a training step costs on a card, counted on the published CuPy package. Numbers may fall; a rise needs a why."""

import numpy as np
import pytest

from minivit import ViT, ViTConfig
from minivit.optim import AdamWState, adamw_step, ema_step, norm
from minivit.parallel import shards
from minivit.train import TrainConfig, Trainer

pytestmark = pytest.mark.cupy

PER_BLOCK = {"launch": 45, "gemm": 36, "malloc": 0, "h2d": 0, "d2h": 0, "sync": 0}  # gemm: the products and sums
SIX_BLOCKS = {"launch": 306, "gemm": 226, "malloc": 0, "h2d": 2, "d2h": 0, "sync": 0}  # images and labels go up


def step_of(cupysim, depth, count=1):
    """The counters of the third step of a model of `depth` blocks: CuPy's memory pool is full by then."""
    config = ViTConfig(depth=depth)
    trainer = Trainer(ViT(config, device="gpu"), TrainConfig(), total_steps=9)
    images = np.random.default_rng(0).standard_normal((count, *config.image_shape), dtype=np.float32)
    for _ in range(3):
        cupysim.counters.reset()
        trainer.step(images, np.full(count, 3))
    moved = cupysim.counters.snapshot()
    return {name: moved[name] for name in PER_BLOCK}


def test_launches_of_a_step(cupysim):
    two, five = step_of(cupysim, 2), step_of(cupysim, 5)
    assert {name: (five[name] - two[name]) / 3 for name in two} == PER_BLOCK
    assert step_of(cupysim, 6) == SIX_BLOCKS


def test_a_batch_of_several_shards_is_computed_at_once(cupysim):
    assert len(shards(3, ViTConfig())) == 2
    moved = step_of(cupysim, 2, 3)
    assert (moved["launch"], moved["h2d"], moved["malloc"], moved["sync"]) == (124, 2, 0, 0)  # one image: 126, 2, 0, 0


def test_launches_of_the_optimiser(cupysim):
    """The norm is two; AdamW, which clips, and the average are one each."""
    import cupy

    params, grads, decay = (cupy.ones(50, "float32") for _ in range(3))
    state, average = AdamWState.zeros_like(params), params.copy()
    for _ in range(2):
        cupysim.counters.reset()
        adamw_step(params, grads, state, 1e-3, decay, grad_norm=norm(grads), clip_norm=1.0)
        ema_step(average, params, 0.9, state.step)
    moved = cupysim.counters.snapshot()
    assert (moved["launch"], moved["malloc"], moved["sync"]) == (4, 0, 0)
