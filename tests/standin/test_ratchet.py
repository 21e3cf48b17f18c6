"""What one training step costs, counted: noise cannot move these numbers, only code can.

They may fall: then lower them here. A rise needs a reason in the commit that makes it.
"""

import tracemalloc

import numpy as np
import pytest

from minivit import ViT, ViTConfig
from minivit.model import vit_forward
from minivit.train import TrainConfig, Trainer

pytestmark = pytest.mark.standin

# Of a step on one shard: for every encoder block, and for all the rest together (embedding, head, loss, AdamW, and the
# zeros for the queries that the last block does not ask).
PER_BLOCK = {"launch": 69, "alloc": 42, "copy": 0, "float64": 0}
THE_REST = {"launch": 57, "alloc": 42, "copy": 2, "float64": 0}
CALLS_FORWARD = 317  # of NumPy in a forward pass of one image through six blocks
BYTES_PER_FEATURE = 69  # that a block keeps at the peak of a step, for each of D features of each token of a shard


def batch(config, count):
    rng = np.random.default_rng(0)
    images = rng.standard_normal((count, *config.image_shape), dtype=np.float32)
    return images, rng.integers(0, config.classes, count)


def counted(fakecupy, depth):
    """The counters of the third step of a model of `depth` blocks, on one image, which is one shard."""
    config = ViTConfig(depth=depth)
    trainer = Trainer(ViT(config, device="gpu"), TrainConfig(keep_memory=False), total_steps=9)
    for _ in range(3):
        fakecupy.stats.clear()
        trainer.step(*batch(config, 1))
    return {name: fakecupy.stats[name] for name in PER_BLOCK}


def test_operations_of_a_step(fakecupy):
    two, five = counted(fakecupy, 2), counted(fakecupy, 5)
    per_block = {name: (five[name] - two[name]) / 3 for name in two}
    assert per_block == PER_BLOCK
    assert {name: two[name] - 2 * per_block[name] for name in two} == THE_REST


def test_calls_of_a_forward_pass_of_one_image(fakecupy, monkeypatch):
    """Those of NumPy: every line by itself, arrays that are only made (`empty`) not counted."""
    monkeypatch.setattr(fakecupy, "fuse", lambda kernel_name: lambda lines: lines)
    monkeypatch.setattr("minivit.backend._kernel", lambda lines: lines.function)
    config = ViTConfig(patch_size=4, depth=6)
    params, image = ViT(config, device="gpu").params, fakecupy.asarray(batch(config, 1)[0])
    empty, made = fakecupy.empty, []
    monkeypatch.setattr(fakecupy, "empty", lambda *args, **settings: made.append(1) or empty(*args, **settings))
    for _ in range(2):  # what is kept from pass to pass is made in the first
        made.clear()
        fakecupy.stats.clear()
        vit_forward(params, image, config, keep_cache=False)
    assert fakecupy.stats["launch"] - len(made) == CALLS_FORWARD


def peak_of_a_step(depth, images):
    config = ViTConfig(depth=depth)
    trainer = Trainer(ViT(config), TrainConfig(threads=1, keep_memory=False), total_steps=9)
    data = batch(config, images)
    trainer.step(*data)
    tracemalloc.start()
    trainer.step(*data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_bytes_that_a_block_keeps():
    images = 60  # two shards of 30, one after the other
    config = ViTConfig()
    kept = (peak_of_a_step(5, images) - peak_of_a_step(2, images)) / 3 / (images // 2 * config.tokens * config.dim)
    assert 0.8 * BYTES_PER_FEATURE < kept <= BYTES_PER_FEATURE


def test_memory_is_bounded_by_a_shard():
    """Sixteen times the images add their own bytes and little more: activations live as long as their shard."""
    few, many = peak_of_a_step(2, 100), peak_of_a_step(2, 1600)
    images = 1500 * 28 * 28 * 4
    assert many - few < 2 * images
