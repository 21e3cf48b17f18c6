"""The settings of a model that its training data decide."""

import math
from typing import Any

import numpy as np

from ..config import ViTConfig
from ..data import Pictures, parts
from ..settings import check

LEAST_PATCHES, MOST_PATCHES = 49, 512


def pixel_statistics(images: np.ndarray | Pictures) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of every channel of uint8 images (B, C, Sh, Sw), of pixels in [0, 1]."""
    values, counts = np.arange(256) / 255, np.zeros((images.shape[1], 256), int)
    for part in parts(images):
        counts += [np.bincount(channel.ravel(), minlength=256) for channel in part.swapaxes(0, 1)]
    shares = counts / counts.sum(1, keepdims=True)
    means = [float(row @ values) for row in shares]
    stds = [max(1e-6, math.sqrt(row @ (values - mean) ** 2)) for row, mean in zip(shares, means)]
    return tuple(means), tuple(stds)


def config_for(images: np.ndarray | Pictures, classes: int, settings: dict[str, Any]) -> ViTConfig:
    """The config of a model for a data set: `settings` are ViTConfig's fields, but for those that the training images,
    uint8 (n, C, Sh, Sw), decide: size, channels, classes and pixel statistics; and the patch size, if none is set: 7
    for grey images of 28 x 28, the form of MNIST, whose 16 patches suffice, else that of `patch_for`. With a patch
    size of None, images of 28 x 28 get that of `patch_for`, too."""
    _, channels, height, width = images.shape
    mean, std = pixel_statistics(images)
    shape = {"image_size": (height, width), "channels": channels, "classes": classes}
    patch = settings.get("patch_size", 7 if images.shape[1:] == (1, 28, 28) else None)
    patch = patch_for(height, width) if patch is None else patch
    return ViTConfig(**{**settings, "patch_size": patch, **shape, "pixel_mean": mean, "pixel_std": std})


def patch_for(height: int, width: int) -> int:
    """The side of the patches for images of this size: the longest that divides them into at least LEAST_PATCHES.
    Raises ConfigError where that would be more than MOST_PATCHES, as for most prime sides."""
    sides = [side for side in range(1, min(height, width) + 1) if height % side == width % side == 0]
    side = max((side for side in sides if height * width >= LEAST_PATCHES * side**2), default=1)
    patches = height * width // side**2
    check(
        patches <= MOST_PATCHES,
        f"images of {height} x {width} pixels divide into {patches} patches of {side} x {side} only: resize them to "
        f"multiples of 7 or 8 ({7 * max(1, round(height / 7))} for {height}), or say --patch-size",
    )
    return side
