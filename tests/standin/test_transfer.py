"""Frozen layers on the strict stand-in for CuPy: NumPy's numbers, at the cost of a forward pass."""

import dataclasses

import numpy as np
import pytest

from minivit.backend import to_host
from minivit.data import Split
from minivit.parallel import WorkerPool
from minivit.run.embeddings import embedded
from minivit.train import TrainConfig, Trainer, fit
from tests.tools.second_backend import BASE, DROPPING, ViT, assert_agrees, batch

pytestmark = [pytest.mark.standin, pytest.mark.usefixtures("fakecupy")]
DEEP = dataclasses.replace(BASE, depth=6)


def launches(fakecupy, config, freeze, **settings):
    """Of a step."""
    trainer = Trainer(ViT(config, device="gpu"), TrainConfig(threads=1, freeze=freeze, **settings))
    fakecupy.stats.clear()
    trainer.step(*batch())
    assert fakecupy.stats["sync"] == fakecupy.stats["d2h"] == fakecupy.stats["float64"] == 0
    return fakecupy.stats["launch"]


def test_every_frozen_block_saves_its_backward_pass(fakecupy):
    counts = [launches(fakecupy, DEEP, freeze) for freeze in (None, 1, 2, 3, 4, 5)]
    saved = [before - after for before, after in zip(counts, counts[1:])]
    assert len(set(saved[1:])) == 1 and saved[0] > saved[1] > 20  # the first also that of the embedding
    assert launches(fakecupy, DEEP, "all") < launches(fakecupy, DEEP, 6) < counts[-1]


@pytest.mark.parametrize("settings", [{"freeze": 1}, {"freeze": "all"}, {"layer_decay": 0.5}, {"patience": 2}])
def test_three_steps_are_numpys(settings):
    config = TrainConfig(threads=1, ema=0.9, **settings)
    cpu, gpu = (Trainer(ViT(DROPPING, seed=3, device=device), config) for device in ("cpu", "gpu"))
    for step in range(3):
        for trainer in (cpu, gpu):
            trainer.step(*batch())
            if step == 1 and config.patience:
                trainer.keep_best()
    ours, theirs = (one.best_model() if config.patience else one.averaged_model() for one in (gpu, cpu))
    for name, value in theirs.params.items():
        pair = [to_host(ours.params[name]), value]
        if name.endswith("qkv.bias"):  # the keys' part has no gradient but rounding, which Adam stretches to a step
            pair = [np.delete(each, slice(BASE.dim, 2 * BASE.dim)) for each in pair]
        assert_agrees(name, *pair, bound=1e-4)


def test_a_probe_is_numpys(tmp_path, monkeypatch):
    """Embeddings come back to the host; they are kept apart from those of the CPU, which are rounded differently."""
    monkeypatch.setenv("MINIVIT_DATA", str(tmp_path))
    config, found = TrainConfig(threads=1, freeze="all", augmentation="none", batch_size=5), {}
    for device in ("cpu", "gpu"):
        model = ViT(BASE, seed=3, device=device)
        with WorkerPool(1) as pool:
            train, valid = embedded((Split(*batch(20)), Split(*batch(7))), model, pool, print, bar=False)
        trainer = Trainer(model, config, total_steps=8)
        reports = [report for _, report in fit(trainer, train, valid, 2) if report]
        found[device] = train.images, trainer.averaged_model().params.to("cpu").flat, reports[-1].valid_loss
        assert isinstance(train.images, np.ndarray)
    for name, ours, theirs in zip(("embeddings", "params"), found["gpu"], found["cpu"]):
        assert_agrees(name, ours, theirs, 1e-4)
    assert found["gpu"][2] == pytest.approx(found["cpu"][2], rel=1e-4)
    assert len(list(tmp_path.glob("pictures/embeddings/*"))) == 2
