"""All but the head frozen and nothing augmented: images are embedded once, and the run learns from the embeddings."""

import dataclasses
import shutil
import signal

import numpy as np
import pytest

import minivit.run.embeddings as embeddings
from minivit.data import Reading, Split
from minivit.data.resized import resized_splits
from minivit.parallel import WorkerPool
from minivit.preprocess import Preprocessing
from minivit.run import Interrupted, resume_run, start_run
from minivit.run.records import read_metrics
from minivit.run.saves import Saves
from minivit.train import TrainConfig
from minivit.train.evaluate import evaluate
from minivit.vit import ViT
from tests.tools import runs, tiny

PROBE = TrainConfig(
    epochs=20,
    batch_size=18,
    threads=1,
    learning_rate=0.05,
    augmentation="none",
    freeze="all",
    ema=0.9,
    patience=20,
    seed=3,
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIVIT_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pictures" / "embeddings"


@pytest.fixture
def computed(monkeypatch):
    """How many images are embedded, a number for each call; parts of 16 images."""
    counts, predict = [], embeddings.predict_logits

    def counting(params, images, config, pool):
        counts.append(len(images))
        return predict(params, images, config, pool)

    monkeypatch.setattr(embeddings, "predict_logits", counting)
    monkeypatch.setattr(embeddings, "IMAGES_IN_A_PART", 16)
    return counts


@pytest.fixture
def init(tmp_path):
    path = tmp_path / "model.safetensors"
    ViT(tiny.config(classes=4), seed=7).save(path)
    return str(path)


def start(data, folder, init, config=PROBE, say=print, **model_settings):
    return start_run(data, str(folder), {"dropout": 0.1, **model_settings}, config, init=init, say=say)


def splits(*counts):
    return tuple(Split(*tiny.images(count, seed=seed)) for seed, count in enumerate(counts))


def test_embeddings_are_what_the_head_reads(computed):
    model, said = ViT(tiny.config(dropout=0.2)), []
    train, valid = splits(30, 8)
    with WorkerPool(2) as pool:
        found = embeddings.embedded((train, valid), model, pool, said.append, bar=True)
        again = embeddings.embedded((valid, train), model, pool, said.append, bar=True)
    for split, (features, labels) in zip((train, valid), found):
        np.testing.assert_allclose(features, model.embed(split.images), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(labels, split.labels)
    assert again[0].images.tobytes() == found[1].images.tobytes()
    assert again[1].images.tobytes() == found[0].images.tobytes()
    assert computed == [16, 16, 6]
    assert said[0].startswith("the embeddings of 38 images are computed once") and said[1].startswith("they took ")
    assert said[2].startswith("the embeddings of 38 images were computed before, and are in ")


def test_copies_are_computed_once(computed):
    (train,) = splits(20)
    doubled = Split(np.concatenate([train.images] * 2), np.concatenate([train.labels] * 2))
    with WorkerPool(1) as pool:
        (found,) = embeddings.embedded((doubled,), ViT(tiny.config()), pool, print, bar=False)
    assert sum(computed) == 20 and found.images[:20].tobytes() == found.images[20:].tobytes()


@pytest.mark.parametrize("change", ["params", "pixels", "config", "images"])
def test_another_model_or_other_images_are_computed_anew(change, computed):
    model, (train,) = ViT(tiny.config()), splits(20)
    with WorkerPool(1) as pool:
        embeddings.embedded((train,), model, pool, print, bar=False)
        if change == "params":
            model.params["blocks.1.norm2.bias"] += 0.01
        elif change == "pixels":
            model = ViT(dataclasses.replace(model.config, pixel_mean=(0.25,)), params=model.params)
        elif change == "config":
            model = ViT(dataclasses.replace(model.config, gelu="tanh"), params=model.params)
        else:
            train = Split(train.images ^ 1, train.labels)
        (found,) = embeddings.embedded((train,), model, pool, print, bar=False)
    assert computed == [16, 4, 16, 4]
    np.testing.assert_allclose(found.images, model.embed(train.images), rtol=1e-5, atol=1e-6)


def test_images_that_are_resized_otherwise_are_computed_anew(computed):
    """Their digests are those of the images before."""
    (train,) = splits(20)
    with WorkerPool(1) as pool:
        for rule in ("crop", "squash", "crop"):
            made = Preprocessing(rule, "dark", (8, 8), short_edge=10)
            resized, _ = resized_splits([Split(train.images[:, :, 1:7, :], train.labels)], Reading(made, 1))
            model = ViT(tiny.config(), preprocessing=made)
            (found,) = embeddings.embedded(tuple(resized), model, pool, print, bar=False)
            expected = model.embed(np.asarray(resized[0].images))
            np.testing.assert_allclose(found.images, expected, rtol=1e-5, atol=1e-6)
    assert computed == [16, 4, 16, 4]


def test_another_head_needs_no_other_embeddings(computed):
    model, (train,) = ViT(tiny.config()), splits(20)
    with WorkerPool(1) as pool:
        embeddings.embedded((train,), model, pool, print, bar=False)
        model.params["head.weight"] += 1
        other = ViT(dataclasses.replace(model.config, class_names=("a", "b", "c")), params=model.params)
        embeddings.embedded((train,), other, pool, print, bar=False)
    assert computed == [16, 4]


def test_a_damaged_part_is_computed_again(cache, computed):
    model, (train,) = ViT(tiny.config()), splits(40)
    with WorkerPool(1) as pool:
        (first,) = embeddings.embedded((train,), model, pool, print, bar=False)
        one, two, three = sorted(cache.glob("*/*"))
        two.write_bytes(two.read_bytes()[:-4] + b"\0\0\0\0")
        shutil.copy(three, one)  # whole, but of another length
        (again,) = embeddings.embedded((train,), model, pool, print, bar=False)
    assert computed == [16, 16, 8, 16, 16] and again.images.tobytes() == first.images.tobytes()


def test_without_a_place_to_keep_them_the_run_goes_on(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINIVIT_DATA", str(tmp_path / "file"))
    said, (train,) = [], splits(20)
    with WorkerPool(1) as pool:
        (found,) = embeddings.embedded((train,), ViT(tiny.config()), pool, said.append, bar=False)
    assert len(found.images) == 20 and len(said) == 3
    assert said[1].startswith("note: they cannot be kept in ") and said[2].endswith(" s")


def test_a_run_learns_from_them_as_from_the_images(data, init, tmp_path, computed, monkeypatch):
    said = []
    run = start(data, tmp_path / "run", init, say=said.append)
    assert sum(computed) == 60 and run.result["test_accuracy"] > 0.8
    assert said[0].startswith("the embeddings of 60 images are computed once")
    assert "of which 27 learn" in said[2]
    monkeypatch.setattr(TrainConfig, "fixed_embeddings", False)
    other = start(data, tmp_path / "other", init)
    assert sum(computed) == 60
    ours, theirs = (read_metrics(each.folder) for each in (run, other))
    for name in ("loss", "valid_loss", "grad_norm"):
        assert [line[name] for line in ours] == pytest.approx([line[name] for line in theirs], rel=0.01), name
    with WorkerPool(1) as pool:
        assert evaluate(run.model, Split(*tiny.images(20, seed=1)), pool).accuracy == run.result["test_accuracy"]


def test_it_is_saved_ten_times_and_resumed_to_the_same_bytes(data, init, tmp_path, computed, at_step, monkeypatch):
    saves, save = [], Saves.save_state

    def recorded(self, metrics, state):
        saves.append(len(metrics))
        save(self, metrics, state)

    monkeypatch.setattr(Saves, "save_state", recorded)
    whole = start(data, tmp_path / "whole", init)
    assert len(saves) == 1 + 10  # the first step, and every second epoch
    for step in (1, 7, 31):
        folder = tmp_path / f"run{step}"
        at_step(step, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(Interrupted):
            start(data, folder, init)
        if step == 7:
            (folder / "state.safetensors").unlink()
            (folder / "metrics.jsonl").unlink()
        if step == 31:
            shutil.rmtree(tmp_path / "cache")  # they are computed again
        resume_run(folder)
        assert runs.same_model(folder, whole.folder) and runs.steps_of(folder) == runs.steps_of(whole.folder)
    assert sum(computed) == 2 * 60


def test_stopped_while_they_are_computed_it_goes_on_where_it_was(data, init, tmp_path, computed, monkeypatch):
    predict = embeddings.predict_logits

    def stop(*arguments):
        if len(computed) == 2:
            raise KeyboardInterrupt
        return predict(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(embeddings, "predict_logits", stop)
        with pytest.raises(KeyboardInterrupt):
            start(data, tmp_path / "run", init)
    assert not (tmp_path / "run").exists() and computed == [16, 16]
    start(data, tmp_path / "run", init)
    assert computed == [16, 16, 16, 12]


@pytest.mark.parametrize("settings", [{"augmentation": "digits"}, {"mirror": True}, {"freeze": 2}])
def test_where_they_change_they_are_not_kept(settings, data, init, tmp_path, computed):
    start(data, tmp_path / "run", init, dataclasses.replace(PROBE, epochs=1, **settings))
    assert computed == []
