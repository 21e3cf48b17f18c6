"""Arrays that come in from outside: batches are checked on the host, and scaled before the model reads them."""

import functools
import warnings
from types import ModuleType
from typing import Any

import numpy as np

from ..backend import Array, array_module
from ..config import ViTConfig
from ..counted import counted
from ..errors import DataError, DataTypeError, DataWarning
from ..ops.loss import check_labels

LARGEST_NORMALISED = 20.0  # what is larger is no normalised pixel
MASKED = "images are a masked array, whose mask a model cannot see: pass images.filled(value)"


def check_images(images: Any, config: ViTConfig) -> np.ndarray:
    """The images as a host array, or one line on what is wrong with them.

    Expects (B, C, Sh, Sw) of the config's shape with B >= 1, uint8 or finite floats, normalised already.
    Raises DataError for a shape or value, DataTypeError for a dtype; warns with DataWarning of floats that cannot have
    been normalised as the config says.
    """
    if isinstance(images, np.ma.MaskedArray):
        raise DataTypeError(MASKED)
    images = np.asarray(images)
    _check_form(images, config)
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        bad = np.argwhere(~np.isfinite(images))[0]
        place = tuple(map(int, bad[1:]))
        raise DataError(f"image {bad[0]} holds {images[tuple(bad)]} at (channel, row, column) {place}")
    if images.dtype.kind == "f":
        _warn_of_scale(images, config)
    return images


def _check_form(images: Any, config: ViTConfig) -> None:
    """Raise as `check_images` does for a shape or a dtype; no value is looked at."""
    C, Sh, Sw = config.image_shape
    if images.ndim != 4 or images.shape[1:] != (C, Sh, Sw):
        hint = ""
        if images.shape[1:] == (Sh, Sw) and C == 1:
            hint = "; add the channel axis with images[:, None]"
        if images.shape[1:] == (Sh, Sw, C):
            hint = "; the channels come last here: pass images.transpose(0, 3, 1, 2)"
        raise DataError(
            f"images of shape {images.shape} do not fit this model: expected (batch, {C}, {Sh}, {Sw}), "
            f"that is (images, channels, height, width){hint}"
        )
    if len(images) == 0:
        raise DataError("an empty batch was passed: the model needs at least one image")
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise DataTypeError(f"images must be uint8 (0..255) or floats (normalised already), not {images.dtype}")


def check_batch(images: Any, labels: Any, config: ViTConfig) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels as host arrays; errors as in `check_images`, and DataError for labels that do not match:
    expected (B,) integers in 0..K-1, or (B, K) probabilities."""
    images, labels = check_images(images, config), np.asarray(labels)
    _check_labels_of(len(images), labels, config)
    return images, labels


def _check_labels_of(count: int, labels: np.ndarray, config: ViTConfig) -> None:
    """Raise DataError for labels that do not fit so many images, and for a model that they teach nothing."""
    if config.classes is None:
        raise DataError("the model has no head, so labels teach it nothing: give its config classes")
    if config.embedding:
        raise DataError("the model has a head that gives an embedding, so labels teach it nothing")
    if labels.shape not in ((count,), (count, config.classes)):
        raise DataError(
            f"labels of shape {labels.shape} do not fit {counted(count, 'image')} and "
            f"{counted(config.classes, 'class', 'classes')}: "
            f"expected ({count},) class numbers or ({count}, {config.classes}) probabilities"
        )
    check_labels(labels, config.classes)


def check_pixels(images: Any, config: ViTConfig, labels: Any = None) -> None:
    """Raise DataError or DataTypeError, in one line, for images that are not uint8 (n, C, Sh, Sw) of the config, and
    for labels that do not match them, as `check_batch` does. Augmentation works on pixels of 0..255. Embeddings, floats
    (n, D), are taken for images of which the head reads what all in front of it has made already."""
    if getattr(images, "shape", ())[1:] == (config.features,) and images.dtype.kind == "f" and len(images):
        if labels is not None:
            _check_labels_of(len(images), np.asarray(labels), config)
        return
    if getattr(images, "dtype", None) != np.uint8:
        found = getattr(images, "dtype", type(images).__name__)
        raise DataTypeError(f"images must be a uint8 array here, pixels of 0..255, not {found}")
    if isinstance(images, np.ma.MaskedArray):
        raise DataTypeError(MASKED)
    _check_form(images, config)
    if labels is not None:
        _check_labels_of(len(images), np.asarray(labels), config)


def normalise(pixels: Array, config: ViTConfig, dtype: Any, in_place: bool = False) -> Array:
    """Pixels of 0..255 (any dtype) to the model's input, (x/255 - mean)/std channel by channel.

    Shapes   pixels (B, C, Sh, Sw)  ->  (B, C, Sh, Sw) of `dtype`, where the pixels live
    With in_place=True pixels that have this dtype already are written over, which saves a copy.
    """
    scale, shift = _scale_and_shift_on(array_module(pixels), config, np.dtype(dtype))
    inputs = pixels.astype(dtype, copy=not in_place)
    inputs *= scale
    inputs -= shift
    return inputs


def pixel_scale_and_shift(config: ViTConfig, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """What pixels of 0..255 are multiplied by, and what is then subtracted, to normalise them: (C, 1, 1) each."""
    assert config.pixel_mean is not None and config.pixel_std is not None  # filled in by the config itself
    scale = np.array([1 / (255 * std) for std in config.pixel_std], dtype).reshape(-1, 1, 1)
    shift = np.array([m / std for m, std in zip(config.pixel_mean, config.pixel_std)], dtype).reshape(-1, 1, 1)
    return scale, shift


@functools.lru_cache(maxsize=8)
def _scale_and_shift_on(xp: ModuleType, config: ViTConfig, dtype: Any) -> tuple[Array, Array]:
    """`pixel_scale_and_shift` where the pixels live; cached, and never modified."""
    scale, shift = pixel_scale_and_shift(config, dtype)
    return xp.asarray(scale), xp.asarray(shift)


def to_inputs(images: np.ndarray, config: ViTConfig, dtype: Any) -> np.ndarray:
    """Checked images as the model reads them: uint8 are scaled and normalised, floats are taken as they are.
    Raises DataError for floats that `dtype` cannot hold."""
    if images.dtype == np.uint8:
        return normalise(images, config, dtype)
    with np.errstate(over="ignore"):
        inputs = images.astype(dtype, copy=False)
    if inputs is not images and not np.isfinite(inputs).all():
        raise DataError(f"images hold values that {inputs.dtype} cannot: pass normalised floats, a few units large")
    return inputs


def _warn_of_scale(images: np.ndarray, config: ViTConfig) -> None:
    """Warn of floats that are pixels of 0..1 or 0..255: normalised ones have negative values too, unless the mean is 0,
    and are a few units large."""
    assert config.pixel_mean is not None and config.pixel_std is not None
    smallest, largest = float(images.min()), float(images.max())
    normal = max((1 - mean) / std for mean, std in zip(config.pixel_mean, config.pixel_std))
    shifted = min(config.pixel_mean) > 0 and smallest >= 0 and largest > 0
    if shifted or largest > max(LARGEST_NORMALISED, 2 * normal):
        seen, advice = ("0..1", "(255 * images).round().") if largest <= 1 else ("0..255", "images.")
        warnings.warn(
            f"images are floats of {seen}, and floats are taken as normalised already, (x/255 - pixel_mean)/pixel_std: "
            f'pass {advice}astype("uint8"), or use minivit.preprocess.normalise',
            DataWarning,
            stacklevel=4,
        )
