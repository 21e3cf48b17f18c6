"""Ranks that compute on cards: what they have summed travels through pinned memory of the host."""

import numpy as np
import pytest

from minivit import ViT, ViTConfig
from minivit.parallel import WorkerPool, loss_and_grads, shards
from minivit.ranks import ALONE
from tests.tools import tiny
from tests.tools.thread_ranks import in_ranks

pytestmark = pytest.mark.standin

CONFIG = ViTConfig(image_size=(4, 6), patch_size=2, channels=2, classes=3, dim=8, depth=2, heads=2, mlp_dim=5)
STEPS = 3


@pytest.fixture
def pinned(fakecupy, monkeypatch):
    """The sizes in bytes of the pinned memory that was asked for."""
    sizes = []

    def allocate(size):
        sizes.append(size)
        return bytearray(size)

    monkeypatch.setattr(fakecupy.cuda, "alloc_pinned_memory", allocate)
    return sizes


@pytest.mark.parametrize("size", [2, 4])
def test_gradients_are_staged_through_pinned_memory(size, fakecupy, pinned, monkeypatch):
    """It is made once, not once a step; a rank without a shard has it, too."""
    tiny.little_shards(monkeypatch, 30)
    rng, count = np.random.default_rng(2), 7
    images, labels = rng.standard_normal((count, 2, 4, 6), dtype=np.float32), rng.integers(0, 3, count)
    assert len(shards(count, CONFIG)) == 2
    params = ViT(CONFIG, 1, device="gpu").params

    def act(ranks):
        pool = WorkerPool(1, ranks)
        for step in range(STEPS):
            loss, correct, grads = loss_and_grads(params, images, labels, CONFIG, pool, step=step)
        assert all(isinstance(array, fakecupy.ndarray) for array in (loss, correct, grads.flat))
        return loss.get(), correct.get(), grads.flat.get()

    alone = act(ALONE)
    assert not pinned
    everywhere = in_ranks(size, act)
    values = params.flat.size + 2  # and the loss and the number of correct images
    assert pinned == [4 * size * -(-values // size)] * size
    for loss, correct, flat in everywhere:
        assert flat.tobytes() == everywhere[0][2].tobytes()
        np.testing.assert_allclose(loss, alone[0], rtol=1e-6)
        np.testing.assert_allclose(flat, alone[2], rtol=0, atol=1e-6 * abs(alone[2]).max())
        assert correct == alone[1]
