"""The settings of a model that its training data decide."""

import math
from typing import Any

import numpy as np

from ..config import ViTConfig


def pixel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of every channel of uint8 images (B, C, Sh, Sw), of pixels in [0, 1]."""
    means, stds = [], []
    values = np.arange(256) / 255
    for channel in range(images.shape[1]):
        # In parts, because bincount widens to int64.
        parts = (images[start : start + 1000, channel] for start in range(0, len(images), 1000))
        shares = sum(np.bincount(part.ravel(), minlength=256) for part in parts) / images[:, channel].size
        means.append(float(shares @ values))
        stds.append(max(1e-6, math.sqrt(shares @ (values - means[-1]) ** 2)))
    return tuple(means), tuple(stds)


def config_for(images: np.ndarray, classes: int, settings: dict[str, Any]) -> ViTConfig:
    """The config of a model for a data set: `settings` are ViTConfig's fields, but for those that the training images,
    uint8 (n, C, Sh, Sw), decide: size, channels, classes and pixel statistics."""
    _, channels, height, width = images.shape
    mean, std = pixel_statistics(images)
    shape = {"image_size": (height, width), "channels": channels, "classes": classes}
    return ViTConfig(**{**settings, **shape, "pixel_mean": mean, "pixel_std": std})
