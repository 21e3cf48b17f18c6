"""Softmax cross-entropy: minus the logarithm of the probability that the model gives to the true class, averaged over
the batch. Label smoothing spreads a little of the target probability over all classes, against overconfidence.
Bishop 2006, Pattern Recognition and Machine Learning, eq. 4.108; Szegedy et al. 2016 (arXiv:1512.00567), section 7."""

from typing import NamedTuple

from ..backend import Array, array_module, device_of
from ..errors import DataError
from .reductions import row_dots, row_sums


class CrossEntropyCache(NamedTuple):
    probabilities: Array  # (B, K)
    targets: Array  # (B, K), rows sum to 1


def cross_entropy_forward(
    logits: Array, labels: Array, label_smoothing: float = 0.0
) -> tuple[Array, CrossEntropyCache]:
    """Mean cross-entropy of a batch, from logits: the scores before softmax.

    Shapes   logits (B, K), labels (B,) integers in 0..K-1 or (B, K) probabilities (rows sum to 1)  ->  loss ()
    Formula  t = (1 - s)·labels + s/K;  loss = mean over the batch of (log(sum_j exp(z_j)) - sum_j t_j z_j),
             where z are the logits and s is label_smoothing
    Cache    the probabilities p = softmax(z) and the targets t.
    Raises ValueError for an empty batch, for shapes that do not match, for a smoothing outside [0, 1), and, where the
    labels are on the host, for labels out of range.
    The row's maximum is subtracted before the exponential is taken, which then cannot overflow.

    >>> loss, cache = cross_entropy_forward(np.array([[0.0, 1.0, 2.0]]), np.array([2]))
    >>> round(float(loss), 4)
    0.4076
    >>> cross_entropy_backward(1.0, cache).round(4)
    array([[ 0.09  ,  0.2447, -0.3348]])
    """
    xp = array_module(logits)
    targets = _targets(logits, labels, label_smoothing)  # (B, K)
    shifted = logits - logits.real.max(-1, keepdims=True)  # .real matters for the complex-step check only
    probabilities = xp.exp(shifted)
    sums = row_sums(probabilities)  # (B, 1)
    probabilities /= sums
    losses = xp.log(sums) - row_dots(targets, shifted)  # (1)  (B, 1)
    return losses.mean(), CrossEntropyCache(probabilities, targets)


def cross_entropy_backward(dloss: Array | float, cache: CrossEntropyCache) -> Array:
    """Given dloss () and the cache, return dlogits (B, K).

    Derivation, for one image with logits z and targets t that sum to 1.
      (1) loss = -sum_j t_j log p_j, and log p_j = z_j - log(sum_k exp(z_k)); since the targets sum to 1,
          loss = log(sum_j exp(z_j)) - sum_j t_j z_j.
      (2) The first term's slope is exp(z_i)/sum_j exp(z_j) = p_i, the second's is t_i: dz = p - t.
      (3) The mean over B images gives each of them 1/B of dloss: dlogits = (p - t)·dloss/B.
          The factor 1/B appears nowhere else: in all other layers the gradient of a parameter is a sum over images.
    In words: the gradient is prediction minus target.
    Facts    every row sums to zero. dlogits is zero only where p = t, which finite logits cannot reach where t
             is 0 or 1.
    """
    probabilities, targets = cache
    dlogits = probabilities - targets  # (2)
    dlogits *= dloss / len(targets)  # (3)
    return dlogits


def _targets(logits: Array, labels: Array, label_smoothing: float) -> Array:
    """The labels as smoothed probabilities (B, K) in the logits' dtype and on their device."""
    xp = array_module(logits)
    B, K = logits.shape
    if B == 0:
        raise ValueError("the mean loss of an empty batch is not defined: pass at least one image")
    if labels.shape not in ((B,), (B, K)):
        raise ValueError(
            f"labels of shape {labels.shape} do not fit logits of shape {logits.shape}: "
            f"expected ({B},) class numbers or ({B}, {K}) probabilities"
        )
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing must lie in [0, 1), not {label_smoothing}")
    if device_of(labels) == "cpu":  # on a GPU this check would wait for the device
        check_labels(labels, K)
    labels = xp.asarray(labels)
    if labels.ndim == 1:
        labels = labels[:, None] == xp.arange(K)  # (B,) -> (B, K), one-hot
    targets = labels.astype(logits.dtype)
    if label_smoothing:
        targets = targets * (1 - label_smoothing) + label_smoothing / K
    return targets


def check_labels(labels: Array, classes: int) -> None:
    """Raise DataError unless host labels are integers in 0..classes-1, (B,), or probabilities, (B, classes)."""
    if labels.ndim == 2:
        if not (labels.min() >= 0 and abs(labels.sum(-1) - 1).max() < 1e-3):
            raise DataError("labels given as probabilities must be at least 0 and sum to 1 in every row")
    elif labels.dtype.kind not in "iu":
        raise DataError(f"class numbers must be integers, not {labels.dtype}: use labels.astype('int64')")
    elif labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"labels must lie in 0..{classes - 1} ({classes} classes), but run from {labels.min()} to {labels.max()}"
        )
