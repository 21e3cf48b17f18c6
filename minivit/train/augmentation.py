"""Which augmentation a run has, and what it does to a batch of training images and to copies of test images."""

import dataclasses
import math
from typing import Any

import numpy as np

from ..backend import Array
from ..counted import counted
from ..data import Pictures, parts
from ..rng import AUGMENTATION, ELASTIC, ERASING, MIRROR, MIXING, PHOTOS, generator
from .augment import STRONGEST, random_affine
from .config import TrainConfig
from .elastic import elastic_distortion
from .mix import mixed, random_erasing
from .photos import random_mirror, random_photo, resized_crop

EMPTY = 0.9  # of the training images have an empty outermost ring of pixels, where they are digits
NO_COPIES = "no image is moved or cropped in training, so there are no augmented copies to average over"
STRONGEST_OF_DIGITS = 2.0  # that `auto` chooses


def decided(
    config: TrainConfig, images: np.ndarray | Pictures, for_photos: dict[str, Any] | None = None
) -> tuple[TrainConfig, str]:
    """The settings with `augmentation` and `mirror` decided, where they are auto, by the training images, uint8
    (n, C, Sh, Sw), and a line that says what and why. for_photos: other settings, which apply where that is "photos".

    Digits are grey, and nine of ten have an empty outermost ring of pixels; all other images are photos. Photos in
    colour are mirrored, grey ones are not, since letters have a handedness. An automatic strength is √epochs / 5:
    images that are seen more often need more variety. This is a rule of thumb; README, "Results", has the few strengths
    that were compared. Of digits it is at most 2, which rotates by up to 25°; none above 1.7 was compared.
    """
    grey = images.shape[1] == 1
    colour = "the training images are grey" if grey else f"the training images have {images.shape[1]} channels"
    kind, why = config.augmentation, "as set"
    if kind is None:
        kind, why = "photos", colour
        if grey:
            share = empty_rings(images)
            kind = "digits" if share >= EMPTY else "photos"
            why = f"{colour}, and {100 * share:.1f} % of them have an empty outermost ring of pixels"
    if kind == "photos":
        config = dataclasses.replace(config, **(for_photos or {}))
    epochs, because = config.epochs_for(len(images)), ""
    if config.augment == "auto":
        most = STRONGEST_OF_DIGITS if kind == "digits" else STRONGEST
        strength = float(f"{min(most, math.sqrt(epochs) / 5):.2g}")
        config, because = dataclasses.replace(config, augment=strength), f" for {counted(epochs, 'epoch')}"
    mirror = bool(config.augment) and kind == "photos" and not grey if config.mirror is None else config.mirror
    config = dataclasses.replace(config, augmentation=kind, mirror=mirror)
    moved = bool(config.augment) and kind != "none"
    said = [f"{kind} of strength {config.augment:g}{because}"] if moved else []
    if moved and kind == "photos" and images.shape[1] != 3:
        said.append("without colour changes")
    if mirror or moved and kind == "photos":
        said.append("mirrored" if mirror else "not mirrored")
    others = [(name, getattr(config, name)) for name in ("elastic", "erasing", "mixup", "cutmix")]
    said.extend(f"{name} {value:g}" for name, value in others if value)
    if not moved:
        return config, f"augmentation: {', '.join(said) or ('none' if kind == 'none' else 'off')}, as set"
    return config, f"augmentation: {', '.join(said)}: {why}"


def empty_rings(images: np.ndarray | Pictures) -> float:
    """The fraction of images (n, C, Sh, Sw) whose outermost ring of pixels is black."""
    empty = 0
    for part in parts(images):
        edges = part[..., 0, :], part[..., -1, :], part[..., 0], part[..., -1]
        empty += len(part) - int(np.concatenate(edges, -1).any((1, 2)).sum())
    return empty / max(1, len(images))


def augmented(
    images: Array, labels: np.ndarray, classes: int, config: TrainConfig, step: int
) -> tuple[Array, np.ndarray]:
    """The batch of a step, augmented as `config`, which has been decided, says: images (B, C, Sh, Sw) of 0..255, uint8
    or float32, and labels, (B,) or, where images are mixed, probabilities (B, K). What comes in is not modified."""

    def draws(purpose: int) -> np.random.Generator:
        return generator(config.seed, purpose, step)

    strength = config.augment
    assert not isinstance(strength, str)  # it has been decided
    if strength and config.augmentation == "digits":
        images = random_affine(images, draws(AUGMENTATION), strength)
    if strength and config.augmentation == "photos":
        images = random_photo(images, draws(PHOTOS), strength)
    if config.elastic:
        images = elastic_distortion(images, draws(ELASTIC), config.elastic)
    if config.mirror:
        images = random_mirror(images, draws(MIRROR))
    if config.erasing:
        images = random_erasing(images, draws(ERASING), config.erasing)
    if config.mixup or config.cutmix:
        images, labels = mixed(images, labels, classes, draws(MIXING), config.mixup, config.cutmix)
    return images, labels


def copied_as(config: TrainConfig) -> tuple[str, bool, float]:
    """The kind of augmented copies, whether they are mirrored, and their strength, as `decided` settings have them."""
    kind, mirror, strength = config.augmentation, config.mirror, config.augment
    assert kind is not None and mirror is not None and not isinstance(strength, str)
    return kind, mirror, strength or 0.0


def has_copies(kind: str, mirror: bool, strength: float) -> bool:
    """Whether an `augmented_copy` differs from its image: what was not moved in training is not moved in a test."""
    return bool(strength or mirror and kind == "photos") and kind != "none"


def augmented_copy(images: Array, rng: np.random.Generator, kind: str, mirror: bool, strength: float) -> Array:
    """An augmented copy of every test image (n, C, Sh, Sw), as those of a training of this kind, "digits" or "photos",
    and of this strength, but of photos only resized crops and, with `mirror`, mirrored."""
    if kind == "digits":
        return random_affine(images, rng, strength)
    copy = resized_crop(images, rng, strength)
    return random_mirror(copy, rng) if mirror else copy
