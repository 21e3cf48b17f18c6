"""Ranks change nothing: not a bit with their number. Here they are threads; tests/mpi runs them as MPI does."""

import operator
import os
import random

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from minivit import ViT, ViTConfig, cross_entropy_backward, cross_entropy_forward, vit_backward, vit_forward
from minivit.errors import ConfigError
from minivit.initial import initial_params
from minivit.masks import draw_masks
from minivit.parallel import WorkerPool, loss_and_grads, predict_logits, shards
from minivit.ranks import ALONE, Ranks, started_ranks, subtrees, tree_sum
from minivit.rng import DROPOUT, generator
from minivit.run.settings import config_for
from minivit.train import RECIPES, TrainConfig, Trainer, recipe_called
from tests.tools import tiny
from tests.tools.thread_ranks import in_ranks

CONFIG = ViTConfig(
    image_size=(4, 6), patch_size=2, channels=2, classes=3, dim=8, depth=2, heads=2, mlp_dim=5,
    dropout=0.2, attention_dropout=0.1, drop_path=0.3,
)  # fmt: skip
SIZES = (2, 4, 8)


def batch(count, dtype="float32"):
    rng = np.random.default_rng(2)
    return rng.standard_normal((count, 2, 4, 6)).astype(dtype), rng.integers(0, 3, count)


def floats(count, seed=0):
    """Numbers whose sum depends on the order."""
    rng = np.random.default_rng(seed)
    return [np.float32(x) for x in rng.standard_normal(count) * 10.0 ** rng.integers(-4, 5, count)]


def test_the_tree():
    assert tree_sum(iter("abcde"), 5, "({}+{})".format) == "(((a+b)+c)+(d+e))"
    assert tree_sum(iter("ab"), 2, "({}+{})".format) == "(a+b)"  # as from left to right
    assert tree_sum(iter("a"), 1, "({}+{})".format) == "a"


def test_the_tree_is_summed_depth_first():
    """However many terms there are, few of them are in memory."""
    held = most = 0

    def terms():
        nonlocal held, most
        for _ in range(100):
            held += 1
            most = max(most, held)
            yield 1

    def add(left, right):
        nonlocal held
        held -= 1
        return left + right

    assert tree_sum(terms(), 100, add) == 100 and most <= 8


def test_no_term_is_not_zero():
    """-0 + 0 is 0."""
    zero = np.float32(-0.0)
    assert np.signbit(tree_sum(iter([None, zero, None]), 3, operator.add))
    assert tree_sum(iter([None] * 4), 4, operator.add) is None


@pytest.mark.parametrize("size", (1, *SIZES))
@pytest.mark.parametrize("count", [*range(1, 34), 100])
def test_ranks_own_the_subtrees(count, size):
    owned = subtrees(0, count, size)
    assert [i for part in owned for i in range(count)[part]] == list(range(count))
    sizes = [part.stop - part.start for part in owned]
    assert max(sizes) - min(sizes) <= 1 and (min(sizes) > 0) == (count >= size)
    values = floats(count, seed=count)
    own = [tree_sum(iter(values[part]), len(values[part]), operator.add) if values[part] else None for part in owned]
    assert tree_sum(iter(own), size, operator.add) == tree_sum(iter(values), count, operator.add)


def test_another_order_gives_another_sum():
    """So these tests would see it."""
    found = [(tree_sum(iter(floats(6, seed)), 6, operator.add), sum(floats(6, seed))) for seed in range(9)]
    assert any(tree != left_to_right for tree, left_to_right in found)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [1, 2, 6, 7])
def test_a_vector_is_summed_as_by_one(count, size):
    """Of 13 values, which no number of ranks divides."""
    terms = np.array(floats(13 * count)).reshape(count, 13)
    whole = tree_sum(iter(terms), count, operator.add)

    def act(ranks):
        rows = ranks.rows(13, "float32", "cpu")
        rows[...] = np.nan
        mine = terms[ranks.own(count)]
        if len(mine):
            rows.reshape(-1)[:13] = tree_sum(iter(mine), len(mine), operator.add)
        ranks.sum(rows, count)
        return rows.reshape(-1)[:13].tobytes(), ranks.place.bytes_sent[ranks.rank]

    for found, sent in in_ranks(size, act):
        assert found == whole.tobytes()
        assert sent == 2 * (size - 1) * 4 * -(-13 // size)


@pytest.mark.parametrize("size", SIZES)
def test_what_is_gathered_may_have_any_length(size):
    contents = [b"", b"\0a\0", "é".encode() * 300, b"x"][:size] * (2 if size == 8 else 1)
    assert in_ranks(size, lambda ranks: ranks.gather(contents[ranks.rank])) == [contents] * size
    assert in_ranks(size, lambda ranks: ranks.gather(b"")) == [[b""] * size] * size


def test_one_rank_is_the_same_without_others():
    assert ALONE.gather(b"abc") == [b"abc"] and ALONE.own(7) == slice(0, 7)
    rows = np.arange(3.0)[np.newaxis]
    ALONE.sum(rows, 2)
    ALONE.spread(rows)
    assert rows.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count, images", [(2, 7), (6, 23), (1, 1)])
def test_the_bytes_are_the_same_for_any_number_of_ranks(count, images, size, dtype, monkeypatch):
    tiny.little_shards(monkeypatch, 30)
    assert len(shards(images, CONFIG)) == count
    params = initial_params(CONFIG, seed=1, dtype=dtype)

    def act(ranks):
        pool = WorkerPool(1 + ranks.rank % 2, ranks)
        return loss_and_grads(params, *batch(images, dtype), CONFIG, pool, seed=4, step=9, label_smoothing=0.1)

    alone = act(ALONE)
    for loss, correct, grads in in_ranks(size, act):
        assert (loss.dtype, loss.shape, correct.shape) == (alone.loss.dtype, (), ())
        assert loss.tobytes() == alone.loss.tobytes() and int(correct) == int(alone.correct)
        assert grads == alone.grads and grads.flat.tobytes() == alone.grads.flat.tobytes()


@pytest.mark.parametrize("frozen", [2, 4])
def test_gradients_of_a_part_of_the_model(frozen, monkeypatch):
    """Also in ranks that have no shard, and so no gradient that they could take the size from."""
    tiny.little_shards(monkeypatch, 30)
    params = initial_params(CONFIG, seed=1)

    def act(ranks):
        return loss_and_grads(params, *batch(9), CONFIG, WorkerPool(1, ranks), frozen=frozen).grads

    assert in_ranks(4, act) == [act(ALONE)] * 4


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("images", [1, 9, 23])
def test_predictions_are_shared_out(images, size, monkeypatch):
    tiny.little_shards(monkeypatch, 30)
    params = initial_params(CONFIG, seed=1)
    seen = []

    def act(ranks):
        pool = WorkerPool(1, ranks)
        seen.append(len(shards(images, CONFIG)[ranks.own(len(shards(images, CONFIG)))]))
        return predict_logits(params, batch(images)[0], CONFIG, pool)

    alone = act(ALONE)
    seen.clear()
    for logits in in_ranks(size, act):
        assert logits.tobytes() == alone.tobytes() and logits.shape == alone.shape and logits.flags.writeable
    assert sum(seen) == len(shards(images, CONFIG))


ON_MACHINES = [  # the cores that each rank found, by machine, and how many threads each should use
    ({"a": [range(8)]}, [8]),
    ({"a": [range(8)] * 2}, [4, 4]),
    ({"a": [range(3)] * 2}, [1, 1]),  # 2 each would be more than there are
    ({"a": [range(2)] * 4}, [1] * 4),  # fewer cores than ranks
    ({"a": [range(8)] * 2, "b": [range(8)] * 2}, [4] * 4),  # the same numbers, but other cores
    ({"a": [range(6)] * 3, "b": [range(6)]}, [2, 2, 2, 6]),
    ({"a": [[0], [1]]}, [1, 1]),  # bound to a core each, as Open MPI does
    ({"a": [[0, 1, 2], [3, 4, 5]]}, [3, 3]),
]


@pytest.mark.parametrize("machines, threads", ON_MACHINES)
def test_ranks_share_the_cores_that_they_found(machines, threads, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("minivit.machine._quota", lambda *files: None)
    ranks = Ranks()
    ranks.members = [{"host": host, "cores": [*cores]} for host, found in machines.items() for cores in found]
    ranks.size = 4 if len(ranks.members) == 4 else 1  # which the pool looks at
    monkeypatch.setattr("minivit.machine.own_cores", lambda: ranks.members[ranks.rank]["cores"])
    model = ViT(CONFIG)
    for rank, expected in enumerate(threads):
        ranks.rank = rank
        assert ranks.threads == Trainer(model, ranks=ranks).pool.threads == expected
        assert Trainer(model, TrainConfig(threads=5), ranks=ranks).pool.threads == 5


def test_omp_num_threads_is_for_each_rank(monkeypatch):
    monkeypatch.setattr("minivit.machine._quota", lambda *files: None)
    monkeypatch.setattr("minivit.machine.own_cores", lambda: [*range(8)])
    ranks = Ranks()
    ranks.members = [{"host": "a", "cores": [*range(8)]}] * 2
    for asked, threads in (("3", 3), ("7", 4)):
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        assert ranks.threads == threads


@pytest.mark.parametrize(
    "place, given, card",
    [(0, None, "0"), (2, None, "2"), (2, "5,7,9", "9"), (2, "5,7", "5"), (1, "GPU-a,GPU-b", "GPU-b")],
)
def test_every_rank_of_a_machine_takes_a_card(place, given, card, monkeypatch):
    ranks = Ranks()
    ranks.size, ranks.rank = 4, 1 + place  # the first rank is on another machine
    ranks.members = [{"host": host} for host in "baaa"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given or "")
    if given is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    ranks.take_card()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == card


@pytest.mark.parametrize("size", [3, 5, 6, 12])
def test_other_numbers_of_ranks_are_refused(size):
    ranks = Ranks()
    ranks.size = size
    with pytest.raises(ConfigError, match=f"^{size} ranks: .* so take (2 or 4|4 or 8|8 or 16)$"):
        WorkerPool(1, ranks)


def test_without_a_launcher_there_is_one_rank(monkeypatch):
    for name, value in (("PMI_SIZE", "1"), ("OMPI_COMM_WORLD_SIZE", "x"), ("SLURM_STEP_NUM_TASKS", "")):
        monkeypatch.setenv(name, value)
    assert started_ranks() is ALONE


def test_random_shapes():
    """Trees of any size, of which any number of terms is missing."""
    draw = random.Random(0)
    for _ in range(200):
        size, count = draw.choice(SIZES), draw.randrange(1, 40)
        owned = subtrees(0, count, size)
        parts = ["".join(map(str, range(count)[part])) or None for part in owned]
        assert tree_sum(iter(parts), size, operator.add) == "".join(map(str, range(count)))


def left_to_right(params, images, labels, config, step):
    """The gradient as it was summed before there was a tree: shard by shard."""
    loss, flat = 0, 0
    for index, rows in enumerate(shards(len(images), config)):
        masks = draw_masks(config, rows.stop - rows.start, generator(0, DROPOUT, step, index), params.flat.dtype)
        logits, cache = vit_forward(params, images[rows], config, masks)
        own_loss, loss_cache = cross_entropy_forward(logits, labels[rows], 0.1)
        share = params.flat.dtype.type((rows.stop - rows.start) / len(images))
        own, _ = vit_backward(cross_entropy_backward(share, loss_cache), cache)
        loss, flat = (loss + own_loss * share, flat + own.flat) if index else (own_loss * share, own.flat)
    return loss, flat


@pytest.mark.parametrize("name", [None, *(name for name in RECIPES if name != "best")])
def test_runs_of_today_keep_their_bytes(name):
    """Every recipe but `best`, whose 50 tokens make four shards, has two, of which both orders are the same sum: the
    pretrained model's bytes stand."""
    recipe = recipe_called(name, has_model=True)
    config = config_for(np.zeros((1, 1, 28, 28), np.uint8), 10, {**recipe.model, "depth": 1})
    size = TrainConfig(**recipe.train).batch_size
    assert len(shards(size, config)) == 2
    rng = np.random.default_rng(5)
    images, labels = rng.standard_normal((size, 1, 28, 28)).astype("float32"), rng.integers(0, 10, size)
    params = initial_params(config, seed=1)
    with WorkerPool() as pool, threadpool_limits(1, user_api="blas"):
        result = loss_and_grads(params, images, labels, config, pool, label_smoothing=0.1, step=3)
        loss, flat = left_to_right(params, images, labels, config, 3)
    assert result.loss.tobytes() == loss.tobytes() and result.grads.flat.tobytes() == flat.tobytes()
