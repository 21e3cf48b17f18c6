"""Shards and threads change nothing: not a bit with their number, and no more than rounding against the whole batch."""

import dataclasses
import threading
import time

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from minivit import ViTConfig, cross_entropy_backward, cross_entropy_forward, parallel, vit_backward, vit_forward
from minivit.initial import initial_params
from minivit.masks import draw_masks
from minivit.parallel import WorkerPool, loss_and_grads, predict_logits, shards
from minivit.preprocess import to_inputs
from tests.tools import tiny

PLAIN = dict(image_size=(4, 6), patch_size=2, channels=2, classes=3, dim=8, depth=2, heads=2, mlp_dim=5)
DROPPING = ViTConfig(**PLAIN, dropout=0.2, attention_dropout=0.1, drop_path=0.3)
CONFIG = ViTConfig(**PLAIN)
BATCH = 23


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    """Six shards of a batch of 23 small images."""
    tiny.little_shards(monkeypatch, 30)


def batch(dtype="float32", soft=False):
    rng = np.random.default_rng(2)
    images = rng.standard_normal((BATCH, 2, 4, 6)).astype(dtype)
    return images, rng.dirichlet(np.ones(3), BATCH).astype(dtype) if soft else rng.integers(0, 3, BATCH)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 23, 64, 1000])
def test_shards_cover_the_batch_once_and_evenly(count):
    parts = shards(count, CONFIG)
    assert [i for part in parts for i in range(count)[part]] == list(range(count))
    sizes = {len(range(count)[part]) for part in parts}
    assert max(sizes) - min(sizes) <= 1 and min(sizes) >= 1
    assert count == 1 or len(parts) % 2 == 0 or len(parts) == count
    assert max(sizes) * CONFIG.tokens <= 30 + CONFIG.tokens


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bytes_are_the_same_for_any_number_of_threads(dtype):
    """With every dropout on, and a batch that no number of threads divides."""
    assert len(shards(BATCH, DROPPING)) == 6
    params = initial_params(DROPPING, seed=1, dtype=dtype)
    images, labels = batch(dtype)
    found = {
        threads: loss_and_grads(
            params, images, labels, DROPPING, WorkerPool(threads), seed=4, step=9, label_smoothing=0.1
        )
        for threads in (1, 2, 8)
    }
    for threads in (2, 8):
        assert found[threads].loss.tobytes() == found[1].loss.tobytes()
        assert found[threads].grads.flat.tobytes() == found[1].grads.flat.tobytes()
        assert found[threads].correct == found[1].correct
        logits = predict_logits(params, images, DROPPING, WorkerPool(threads))
        assert logits.tobytes() == predict_logits(params, images, DROPPING, WorkerPool()).tobytes()


def test_small_shards_are_computed_in_turn_and_large_ones_on_threads(monkeypatch):
    """Which shards they are, and the bytes, are the same."""
    params, (images, labels), parts = initial_params(DROPPING), batch(), shards(BATCH, DROPPING)
    threads: set[int] = set()
    for name, function in (("draw_masks", draw_masks), ("to_inputs", to_inputs)):
        monkeypatch.setattr(parallel, name, lambda *a, f=function: threads.add(threading.get_ident()) or f(*a))
    numbers = BATCH / 6 * 7 * (2 * 8 + 8 * 8 + 3 * 5 + 2 * 7)  # of a shard: tokens, pixels, and what a block keeps
    found = {}
    for limit in (numbers, numbers + 1):
        monkeypatch.setattr(parallel, "FLOATS_FOR_THREADS", limit)
        assert shards(BATCH, DROPPING) == parts
        threads.clear()
        grads = loss_and_grads(params, images, labels, DROPPING, WorkerPool(2)).grads
        assert (threads == {threading.get_ident()}) == (limit > numbers)
        threads.clear()
        logits = predict_logits(params, images, DROPPING, WorkerPool(2))
        assert (threads == {threading.get_ident()}) == (limit > numbers)
        found[limit] = grads.flat.tobytes() + logits.tobytes()
    assert found[numbers] == found[numbers + 1]


def test_a_narrow_model_has_longer_shards(monkeypatch):
    monkeypatch.undo()
    small = ViTConfig(patch_size=4, depth=6)  # of 50 tokens, and 64 features
    for config, batch, count in (
        (small, 128, 4),
        (dataclasses.replace(small, dim=32, mlp_dim=64), 102, 2),  # 2·16 + 8·32 + 3·64 + 4·50 = 680 numbers a token
        (dataclasses.replace(small, dim=32, mlp_dim=64), 103, 4),
        (dataclasses.replace(small, dim=128, mlp_dim=256), 128, 4),
        (ViTConfig(image_size=224, patch_size=56, channels=3, dim=16, heads=1, mlp_dim=32, depth=1), 189, 4),
        (ViTConfig(image_size=224, patch_size=16, channels=3, dim=192, heads=3, mlp_dim=768, depth=12), 8, 2),
    ):
        assert len(shards(batch, config)) == count


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_shards_give_the_gradient_of_the_whole_batch(smoothing, soft):
    """Shards of 3 and of 4 images: each counts by its size."""
    params = initial_params(CONFIG, seed=1, dtype="float64")
    images, labels = batch("float64", soft)
    result = loss_and_grads(params, images, labels, CONFIG, WorkerPool(2), label_smoothing=smoothing)
    logits, cache = vit_forward(params, images, CONFIG)
    loss, loss_cache = cross_entropy_forward(logits, labels, smoothing)
    grads, _ = vit_backward(cross_entropy_backward(1.0, loss_cache), cache)
    assert result.loss == pytest.approx(loss, rel=1e-13)
    np.testing.assert_allclose(result.grads.flat, grads.flat, rtol=1e-9, atol=1e-14)
    assert result.correct == (logits.argmax(-1) == (labels.argmax(-1) if soft else labels)).sum()


def test_a_batch_of_one_is_one_shard():
    params = initial_params(CONFIG)
    images, labels = batch()
    result = loss_and_grads(params, images[:1], labels[:1], CONFIG, WorkerPool(2))
    logits, _ = vit_forward(params, images[:1], CONFIG)
    assert result.loss == cross_entropy_forward(logits, labels[:1])[0]


def test_dropouts_depend_on_seed_and_step():
    params = initial_params(DROPPING)
    images, labels = batch()

    def loss(seed, step):
        return float(loss_and_grads(params, images, labels, DROPPING, WorkerPool(), seed=seed, step=step).loss)

    losses = [loss(0, 0), loss(0, 1), loss(1, 0)]
    assert len(set(losses)) == 3 and losses == [loss(0, 0), loss(0, 1), loss(1, 0)]


def test_no_two_shards_share_their_masks(monkeypatch):
    drawn = []

    def recorded(config, count, rng, *rest):
        drawn.append(rng.bit_generator.state["state"]["state"])
        return draw(config, count, rng, *rest)

    draw = parallel.draw_masks
    monkeypatch.setattr(parallel, "draw_masks", recorded)
    loss_and_grads(initial_params(DROPPING), *batch(), DROPPING, WorkerPool())
    assert len(set(drawn)) == len(drawn) == 6


def test_predictions_do_not_depend_on_the_shard():
    params = initial_params(DROPPING, dtype="float64")
    images, _ = batch("float64")
    logits = predict_logits(params, images, DROPPING, WorkerPool(2))
    np.testing.assert_allclose(logits, vit_forward(params, images, DROPPING)[0], rtol=1e-11)


def test_bytes_are_prepared_in_shards():
    params = initial_params(CONFIG)
    pixels = np.random.default_rng(2).integers(0, 256, (BATCH, 2, 4, 6), dtype=np.uint8)
    logits = predict_logits(params, pixels, CONFIG, WorkerPool())
    np.testing.assert_allclose(logits, vit_forward(params, pixels.astype("float32") / 255, CONFIG)[0], atol=1e-5)


# WorkerPool


def blas_threads():
    return [library["num_threads"] for library in ThreadpoolController().info() if library["user_api"] == "blas"]


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_order_with_one_blas_thread(threads):
    def look(item):
        return item, set(blas_threads())

    before = blas_threads()
    assert list(WorkerPool(threads).map(look, range(20))) == [(i, {1} if before else set()) for i in range(20)]
    assert blas_threads() == before


@pytest.mark.parametrize("threads", [1, 3])
def test_blas_gets_its_threads_back_after_an_exception(threads):
    pool = WorkerPool(threads)
    controller = ThreadpoolController()
    with controller.limit(limits=2, user_api="blas"):
        before = blas_threads()
        assert not before or max(before) == 2

        def fail(item):
            if item == 2:
                raise ArithmeticError("item 2")
            return item

        with pytest.raises(ArithmeticError, match="item 2"):
            list(pool.map(fail, range(5)))
        assert blas_threads() == before
        assert list(pool.map(str, range(3))) == ["0", "1", "2"]


def test_an_error_in_a_shard_is_the_error_of_the_batch():
    images, labels = batch()
    before = blas_threads()
    with pytest.raises(ValueError, match="labels must lie in 0..2"):
        loss_and_grads(initial_params(CONFIG), images, labels + 1, CONFIG, WorkerPool(2))
    assert blas_threads() == before


@pytest.mark.parametrize("threads", [0, -1])
def test_no_threads_are_refused(threads):
    with pytest.raises(ValueError, match=f"threads must be at least 1, not {threads}"):
        WorkerPool(threads)


def test_a_pool_works_again_after_its_end():
    pool = WorkerPool(2)
    for _ in range(2):
        with pool:
            assert list(pool.map(str, [1, 2, 3])) == ["1", "2", "3"]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_do_not_pile_up(threads):
    """However slow the one is who takes them: a gradient of a large model takes hundreds of megabytes."""
    begun = []
    with WorkerPool(threads) as pool:
        for taken, result in enumerate(pool.map(lambda item: begun.append(item) or item, range(20)), 1):
            assert result == taken - 1
            time.sleep(0.01)
            assert len(begun) <= taken + threads
    assert sorted(begun) == list(range(20))


def test_what_was_not_begun_is_left_out_after_an_exception():
    begun = []

    def fails(item):
        begun.append(item)
        raise ArithmeticError(item)

    with WorkerPool(2) as pool, pytest.raises(ArithmeticError, match="^0$"):
        list(pool.map(fails, range(50)))
    assert len(begun) <= 3
