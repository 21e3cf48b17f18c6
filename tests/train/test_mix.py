"""Mixup and CutMix: images and labels are mixed in the same shares, and the loss and its gradient take them."""

import numpy as np
import pytest

from minivit.gradcheck import check_pair
from minivit.ops import cross_entropy_backward, cross_entropy_forward
from minivit.train import TrainConfig, Trainer
from minivit.train.mix import mixed
from minivit.vit import ViT
from tests.tools import tiny

K = 5
KINDS = {"mixup": {"mixup": 0.8}, "cutmix": {"cutmix": 1.0}, "both": {"mixup": 0.8, "cutmix": 1.0}}


def batch(shape=(9, 3, 11, 8), dtype="uint8"):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, shape).astype(dtype), np.arange(shape[0]) % K


def one_value_each(n=400, side=(10, 12)):
    """Images whose every pixel is the number of the image, and labels that are all different."""
    return np.broadcast_to(np.arange(n, dtype="float32")[:, None, None, None], (n, 2, *side)), np.arange(n)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_have_the_shares_of_the_images(kind):
    images, labels = one_value_each()
    new, shares = mixed(images, labels, len(labels), np.random.default_rng(1), **KINDS[kind])
    np.testing.assert_allclose(new.mean((1, 2, 3)), shares @ labels, rtol=1e-5)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    assert shares.dtype == np.float32 and shares.min() >= 0
    assert ((shares > 0).sum(1) <= 2).all()
    kept = shares[labels, labels]
    assert kept.min() < 0.1 and kept.max() > 0.9 and (abs(kept.mean() - 0.5) < 0.1 or kind != "mixup")
    blended = np.array([len(np.unique(image)) == 1 and image[0, 0, 0] % 1 != 0 for image in new])
    assert {"mixup": blended.mean() > 0.9, "cutmix": not blended.any(), "both": 0.3 < blended.mean() < 0.7}[kind]


def test_a_cut_is_one_rectangle_of_the_other_image_at_the_same_place():
    images, labels = batch((200, 3, 11, 8))
    new, shares = mixed(images, labels, K, np.random.default_rng(1), cutmix=1.0)
    for i in range(200):
        mine, other = images[i], images[199 - i]
        foreign = (new[i] != mine).any(0)
        rows, columns = np.flatnonzero(foreign.any(1)), np.flatnonzero(foreign.any(0))
        if not len(rows):
            assert shares[i, labels[i]] > 1 - 4 / 88
            continue
        box = (slice(None), slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        np.testing.assert_array_equal(new[i][box], other[box])
        covered = (rows[-1] + 1 - rows[0]) * (columns[-1] + 1 - columns[0]) / 88
        if labels[i] != labels[199 - i]:
            assert shares[i, labels[199 - i]] == pytest.approx(covered, abs=1e-6)


def test_mixup_is_the_blend_that_it_says():
    images, labels = batch()
    rng = np.random.default_rng(1)
    new, shares = mixed(images, labels, K, np.random.default_rng(1), mixup=0.8)
    rng.random((9, 3))
    rng.beta(1, 1, 9)
    share = rng.beta(0.8, 0.8, 9)
    for i in range(9):
        blend = share[i] * images[i].astype("float64") + (1 - share[i]) * images[8 - i]
        assert abs(new[i] - blend).max() <= 0.501
        wanted = share[i] * np.eye(K)[labels[i]] + (1 - share[i]) * np.eye(K)[labels[8 - i]]
        np.testing.assert_allclose(shares[i], wanted, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_what_comes_in_is_left_alone(kind, dtype):
    images, labels = batch(dtype=dtype)
    before = images.copy(), labels.copy()
    new, _ = mixed(images, labels, K, np.random.default_rng(2), **KINDS[kind])
    assert new.dtype == dtype and new.shape == images.shape and not np.shares_memory(new, images)
    assert new.min() >= images.min() and new.max() <= images.max()
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(labels, before[1])


def test_a_batch_of_one_is_mixed_with_itself():
    images, labels = batch((1, 3, 11, 8))
    new, shares = mixed(images, labels, K, np.random.default_rng(0), mixup=1.0, cutmix=1.0)
    np.testing.assert_array_equal(new, images)
    np.testing.assert_allclose(shares, np.eye(K)[labels], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_gradient_is_prediction_minus_mixed_target(kind, smoothing):
    images, labels = batch()
    _, shares = mixed(images, labels, K, np.random.default_rng(3), **KINDS[kind])
    shares = shares.astype("float64")
    shares /= shares.sum(1, keepdims=True)
    logits = np.random.default_rng(4).standard_normal((9, K))
    loss, cache = cross_entropy_forward(logits, shares, smoothing)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    t = shares * (1 - smoothing) + smoothing / K
    assert float(loss) == pytest.approx(-(t * np.log(p)).sum(1).mean(), rel=1e-12)
    np.testing.assert_allclose(cross_entropy_backward(1.0, cache), (p - t) / 9, atol=1e-15)
    report = check_pair(
        lambda logits: cross_entropy_forward(logits, shares, smoothing), cross_entropy_backward, {"logits": logits}
    )
    assert report.passed, report


def test_the_gradient_of_the_loss_is_the_mixture_of_two_losses():
    """The loss is linear in its targets: λ times that of one label and 1 - λ times that of the other."""
    images, labels = batch()
    _, shares = mixed(images, labels, K, np.random.default_rng(3), mixup=0.8)
    logits, kept = np.random.default_rng(4).standard_normal((9, K)), 0.0
    for i in range(9):
        kept = shares[i, labels[i]] if labels[i] != labels[8 - i] else 1.0
        of = [float(cross_entropy_forward(logits[i : i + 1], labels[j : j + 1])[0]) for j in (i, 8 - i)]
        one = float(cross_entropy_forward(logits[i : i + 1], shares[i : i + 1])[0])
        assert one == pytest.approx(kept * of[0] + (1 - kept) * of[1], rel=1e-5)


def test_a_step_takes_mixed_labels():
    images, labels = tiny.images(12)
    new, shares = mixed(images, labels, 3, np.random.default_rng(0), mixup=0.4, cutmix=1.0)
    trainer = Trainer(ViT(tiny.config()), TrainConfig(threads=1))
    assert np.isfinite(float(trainer.step(new, shares)))
