"""The Trainer, one step at a time, and the loop over a data set."""

import dataclasses
import math

import numpy as np
import pytest

import minivit.train.trainer
from minivit.config import ViTConfig
from minivit.data import Split
from minivit.errors import ConfigError
from minivit.ops import cross_entropy_forward
from minivit.parallel import WorkerPool
from minivit.preprocess.arrays import normalise
from minivit.train import RunningSums, fit, steps_per_epoch
from minivit.train.evaluate import evaluate
from minivit.train.trainer import NotFinite, TrainConfig, Trainer, TrainingError
from minivit.vit import ViT
from tests.tools import tiny

SMALL = TrainConfig(learning_rate=1e-2, batch_size=7, threads=1, keep_memory=False)


def trainer(total_steps=None, threads=1, **settings):
    """A Trainer of the tiny model, with every dropout where `dropouts=True`."""
    dropouts = tiny.DROPOUTS if settings.pop("dropouts", False) else {}
    config = dataclasses.replace(SMALL, threads=threads, **settings)
    return Trainer(ViT(tiny.config(**dropouts), config.seed), config, total_steps)


def split(count, seed=0):
    return Split(*tiny.images(count, seed=seed))


class Recording(Trainer):
    """A Trainer that keeps the batches it is given, and makes no step with them."""

    def __init__(self, config, start=0):
        super().__init__(ViT(tiny.config()), config)
        self.state.step, self.batches = start, []

    def update(self, images, labels):
        self.batches.append((images.copy(), labels.copy()))
        self.state.step += 1
        zero = np.zeros((), "float32")
        return minivit.train.trainer.StepResult(zero, zero, zero)


# One step


def test_the_loss_falls():
    one, (images, labels) = trainer(), tiny.images(30)
    losses = [float(one.step(images, labels)) for _ in range(150)]
    assert losses[-1] < 0.4 < losses[0]
    assert (one.model.predict(images).argmax(-1) == labels).all()


def test_a_step_returns_the_loss_before_it():
    one, (images, labels) = trainer(label_smoothing=0.1), tiny.images(6)
    logits, _ = one.model.forward(normalise(images, one.model.config, "float32"))
    expected, _ = cross_entropy_forward(logits, labels, 0.1)
    loss = one.step(images, labels)
    assert isinstance(loss, np.ndarray) and loss.shape == () and loss.dtype == "float32"
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)
    assert one.state.step == 1


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_a_step_leaves_its_inputs_alone(dtype):
    one, (images, labels) = trainer(), tiny.images(6)
    images = images if dtype == "uint8" else normalise(images, one.model.config, dtype)
    images.flags.writeable = labels.flags.writeable = False
    before = images.copy(), labels.copy()
    one.step(images, labels)
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(labels, before[1])


def test_bytes_are_normalised_and_floats_taken_as_they_are():
    of_bytes, of_floats, of_others = trainer(), trainer(), trainer()
    images, labels = tiny.images(6)
    floats = normalise(images, of_bytes.model.config, "float32")
    of_bytes.step(images, labels)
    of_floats.step(floats, labels)
    of_others.step(floats + 1, labels)
    assert of_bytes.model.params.flat.tobytes() == of_floats.model.params.flat.tobytes()
    assert of_bytes.model.params.flat.tobytes() != of_others.model.params.flat.tobytes()


def test_probabilities_are_labels_too():
    one, other, (images, labels) = trainer(), trainer(), tiny.images(6)
    one.step(images, labels)
    other.step(images, np.eye(3)[labels])
    np.testing.assert_allclose(one.model.params.flat, other.model.params.flat, rtol=1e-6)


def test_a_batch_of_one():
    one, (images, labels) = trainer(), tiny.images(1)
    losses = [float(one.step(images, labels)) for _ in range(100)]
    assert losses[-1] < losses[0]


IMAGES, LABELS = tiny.images(4)


def with_pixel(value):
    images = IMAGES.astype("float32")
    images[1, 0, 2, 3] = value
    return images


BAD = {
    "no channels": (IMAGES[:, 0], LABELS, ValueError, r"\(4, 8, 8\).*expected \(batch, 1, 8, 8\).*images\[:, None\]"),
    "one image": (IMAGES[0], LABELS[:1], ValueError, r"\(1, 8, 8\).*expected \(batch, 1, 8, 8\)"),
    "another size": (
        np.zeros((4, 1, 8, 9), "uint8"),
        LABELS,
        ValueError,
        r"\(4, 1, 8, 9\).*expected \(batch, 1, 8, 8\)",
    ),
    "channels last": (np.zeros((4, 8, 8, 1), "uint8"), LABELS, ValueError, r"\(4, 8, 8, 1\).*expected"),
    "integers": (IMAGES.astype("int64"), LABELS, TypeError, "uint8 .*or floats.*not int64"),
    "booleans": (IMAGES > 9, LABELS, TypeError, "not bool"),
    "complex numbers": (IMAGES.astype(complex), LABELS, TypeError, "not complex128"),
    "words": (np.full((4, 1, 8, 8), "x"), LABELS, TypeError, "not <U1"),
    "an empty batch": (IMAGES[:0], LABELS[:0], ValueError, "empty batch.*at least one image"),
    "a NaN pixel": (with_pixel(math.nan), LABELS, ValueError, r"image 1 holds nan at .* \(0, 2, 3\)"),
    "an infinite pixel": (with_pixel(-math.inf), LABELS, ValueError, r"image 1 holds -inf at .* \(0, 2, 3\)"),
    "too few labels": (IMAGES, LABELS[:3], ValueError, r"labels of shape \(3,\).*expected \(4,\)"),
    "labels of a column": (IMAGES, LABELS[:, None], ValueError, r"\(4, 1\).*expected \(4,\).*or \(4, 3\)"),
    "a label too large": (IMAGES, LABELS + 1, ValueError, r"0\.\.2 \(3 classes\), but run from 1 to 3"),
    "a label below zero": (IMAGES, LABELS - 1, ValueError, r"0\.\.2 \(3 classes\), but run from -1 to 1"),
    "labels as floats": (IMAGES, LABELS.astype(float), ValueError, "integers, not float64.*astype"),
    "no probabilities": (IMAGES, np.ones((4, 3)), ValueError, "sum to 1"),
    "a NaN probability": (IMAGES, np.full((4, 3), math.nan), ValueError, "sum to 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_batch_is_named_and_changes_nothing(case):
    images, labels, error, message = BAD[case]
    one = trainer(ema=0.9)
    before = one.model.params.flat.copy()
    with pytest.raises(error, match=message) as caught:
        one.step(images, labels)
    assert "\n" not in str(caught.value)
    assert one.state.step == 0 and not one.state.m.any()
    assert one.model.params.flat.tobytes() == before.tobytes() == one.ema.tobytes()


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered")
def test_a_loss_that_is_not_finite_changes_nothing():
    one, (images, labels) = trainer(ema=0.9), tiny.images(4)
    one.model.params["head.weight"] = np.full_like(one.model.params["head.weight"], 3e38)
    before = one.model.params.flat.copy()
    with pytest.raises(NotFinite, match="loss nan.* at step 1, learning rate") as caught:
        one.step(images, labels)
    np.testing.assert_array_equal(caught.value.labels, labels)
    assert one.model.params.flat.tobytes() == before.tobytes()
    assert one.state.step == 0 and not one.state.m.any()


def test_the_learning_rate_rises_and_stays_without_an_end():
    one = trainer(learning_rate=0.5)
    rates = []
    for step in range(300):
        one.state.step = step
        rates.append(one.learning_rate)
    assert rates[:3] == pytest.approx([0.005, 0.01, 0.015])
    assert set(rates[minivit.train.trainer.WARMUP_STEPS :]) == {0.5}


def test_the_learning_rate_rises_and_falls_towards_an_end():
    one = trainer(total_steps=50, learning_rate=0.5, warmup_fraction=0.2)
    rates = []
    for step in range(51):
        one.state.step = step
        rates.append(one.learning_rate)
    assert rates[0] == pytest.approx(0.05) and max(rates) == rates[10] == 0.5
    assert rates[10:] == sorted(rates[10:], reverse=True) and rates[50] == pytest.approx(0.005)


def test_the_mean_of_the_weights_is_what_is_kept():
    without, averaged = trainer(), trainer(ema=0.9)
    for one in (without, averaged):
        for _ in range(20):
            one.step(*tiny.images(9))
    assert without.averaged_model() == without.model
    assert without.model.params.flat.tobytes() == averaged.model.params.flat.tobytes()
    kept = averaged.averaged_model()
    assert kept.params.flat.tobytes() == averaged.ema.tobytes() and kept.config == averaged.model.config
    assert 0 < np.abs(averaged.ema - averaged.model.params.flat).max() < 0.2


@pytest.mark.parametrize("ema", [None, 0.9])
def test_the_best_so_far_stays_what_it_was(ema):
    one = trainer(ema=ema)
    one.step(*tiny.images(9))
    best = one.averaged_model()
    before = best.params.flat.copy()
    one.step(*tiny.images(9))
    assert best.params.flat.tobytes() == before.tobytes() and best != one.averaged_model()


def test_without_a_limit_gradients_are_not_clipped():
    free, unreached = trainer(clip_norm=None), trainer(clip_norm=1e20)
    for one in (free, unreached):
        one.step(*tiny.images(9))
    assert free.model.params.flat.tobytes() == unreached.model.params.flat.tobytes()


def test_a_read_only_model_is_refused_before_anything_changes():
    model = ViT(tiny.config())
    model.params.flat.flags.writeable = False
    with pytest.raises(ConfigError, match="read-only: train a copy"):
        Trainer(model, SMALL)


# The loop


def test_the_same_bytes_for_any_number_of_threads(monkeypatch):
    tiny.little_shards(monkeypatch, 10)  # 4 shards of a batch of 7 images with 5 tokens
    ends = set()
    for threads in (1, 2, 8, 1):
        one = trainer(12, threads, dropouts=True, ema=0.9, augment=1, seed=5)
        list(fit(one, split(24), split(6, 1), 4, RunningSums()))
        assert one.state.step == 12
        ends.add(one.model.params.flat.tobytes() + one.ema.tobytes() + one.state.m.tobytes() + one.state.v.tobytes())
    assert len(ends) == 1


def test_other_seeds_end_elsewhere():
    ends = set()
    for seed in (0, 1):
        one = Trainer(ViT(tiny.config()), dataclasses.replace(SMALL, seed=seed), 3)
        list(fit(one, split(24), split(0), 1, RunningSums()))
        ends.add(one.model.params.flat.tobytes())
    assert len(ends) == 2


@pytest.mark.parametrize("start", [1, 3, 4, 7])
def test_a_batch_depends_on_the_number_of_its_step_only(start):
    whole, resumed = Recording(SMALL), Recording(SMALL, start)
    for one in (whole, resumed):
        list(fit(one, split(24), split(0), 3, RunningSums()))
    assert len(whole.batches) == 9 and len(resumed.batches) == 9 - start
    for expected, found in zip(whole.batches[start:], resumed.batches):
        np.testing.assert_array_equal(expected[0], found[0])
        np.testing.assert_array_equal(expected[1], found[1])


def test_an_epoch_shuffles_and_shows_no_image_twice():
    one = Recording(dataclasses.replace(SMALL, augment=0))
    data = split(24)
    list(fit(one, data, split(0), 2, RunningSums()))
    known = {image.tobytes(): i for i, image in enumerate(normalise(data.images, one.model.config, "float32"))}
    rows = [[known[image.tobytes()] for image in images] for images, _ in one.batches]  # as they are, not augmented
    assert [data.labels[row].tolist() for row in rows] == [labels.tolist() for _, labels in one.batches]
    epochs = [sum(rows[:3], []), sum(rows[3:], [])]
    assert len(set(epochs[0])) == len(set(epochs[1])) == 21  # three batches of 7; the last part of a batch is left out
    assert epochs[0] != epochs[1] and epochs[0] != sorted(epochs[0])


def test_augmentation_moves_every_image_anew():
    one = Recording(dataclasses.replace(SMALL, batch_size=1, augment=1))
    list(fit(one, split(1), split(0), 2, RunningSums()))
    plain = normalise(split(1).images, one.model.config, "float32")
    assert len({plain.tobytes(), *(images.tobytes() for images, _ in one.batches)}) == 3


@pytest.mark.parametrize("images, batches", [(1, [1]), (5, [5]), (7, [7]), (13, [7]), (14, [7, 7])])
def test_few_images_are_one_batch(images, batches):
    one = Recording(SMALL)
    list(fit(one, split(images), split(0), 1, RunningSums()))
    assert steps_per_epoch(SMALL.batch_size, images) == len(batches)
    assert [len(labels) for _, labels in one.batches] == batches


def test_reports_are_means_since_the_one_before():
    one, progress = trainer(6, log_every=2, ema=0.5), RunningSums()
    valid = split(9, seed=1)
    steps, reports = zip(*fit(one, split(24), valid, 2, progress))
    losses, hits = [float(step.loss) for step in steps], [int(step.correct) for step in steps]
    assert [report and (report.step, report.epoch) for report in reports] == [
        None,
        (2, 1),
        (3, 1),
        (4, 2),
        None,
        (6, 2),
    ]
    for last, first in ((1, 0), (2, 2), (3, 3), (5, 4)):
        report, since = reports[last], slice(first, last + 1)
        assert report.loss == pytest.approx(np.mean(losses[since]), rel=1e-6)
        assert report.accuracy == sum(hits[since]) / (7 * len(hits[since]))
        assert report.grad_norm == float(steps[last].grad_norm) and report.images_per_second > 0
    assert [report.valid_loss is not None for report in reports if report] == [False, True, False, True]
    check = evaluate(one.averaged_model(), valid, WorkerPool())
    assert (reports[5].valid_loss, reports[5].valid_accuracy) == (check.loss, check.accuracy)
    assert (progress.loss, progress.correct, progress.images) == (0.0, 0, 0)


def test_a_report_gives_the_learning_rate_of_its_step():
    one = trainer(3, log_every=1, learning_rate=0.1, warmup_fraction=0.4)
    rates = [report.learning_rate for _, report in fit(one, split(24), split(0), 1, RunningSums())]
    assert rates == pytest.approx([0.1, 0.1, 0.0505])


def test_nothing_is_held_out_nothing_is_validated():
    reports = [report for _, report in fit(trainer(3), split(24), split(0), 1, RunningSums()) if report]
    assert [(report.valid_loss, report.valid_accuracy) for report in reports] == [(None, None)]


def test_nothing_is_left_to_do():
    one = trainer(3)
    one.state.step = 3
    assert list(fit(one, split(24), split(0), 1, RunningSums())) == []


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered")
def test_where_no_step_is_read_a_report_is(monkeypatch):
    """A GPU's loss is looked at only where it is reported."""
    monkeypatch.setattr(minivit.train.trainer, "is_host_float", lambda array: False)
    one = trainer(6)
    one.model.params["head.weight"] = np.full_like(one.model.params["head.weight"], 3e38)
    with pytest.raises(TrainingError, match="the loss became nan by step 3: try a lower --learning-rate"):
        list(fit(one, split(24), split(0), 2, RunningSums()))


def test_patch_dropout_ends_after_its_share_of_the_steps():
    model = ViT(ViTConfig(depth=1, patch_dropout=0.5))
    trainer = Trainer(model, TrainConfig(patch_dropout_until=0.4), total_steps=5)
    images, labels = np.random.default_rng(0).integers(0, 256, (4, 1, 28, 28), dtype=np.uint8), np.arange(4)
    seen = []
    for _ in range(5):
        seen.append(trainer.step_config.patch_dropout)
        trainer.step(images, labels)
    assert seen == [0.5, 0.5, 0, 0, 0]
    assert model.config.patch_dropout == 0.5
