"""Augmentation for photos: crops, brightness, contrast, saturation and hue, and mirroring.

Every function takes a batch (n, C, Sh, Sw), uint8 or floats of 0..255, and gives a new one of the same shape and dtype,
where the batch lives; the batch is not modified. Its draws are the host's, the same number for each image in the order
of the images. The strength multiplies the ranges; with 0 the images stay as they are.
"""

import math

import numpy as np

from ..backend import Array, array_module
from .sampling import as_before, bilinear, parts_of, pixels_at

# The crops at strength 1 are mild, since a small model that sees every image a few times learns less with more. Usual
# in long trainings are a padding of 1/8 (He et al. 2015, arXiv:1512.03385), which is strength 3, and crops down to 8 %
# of the area (Szegedy et al. 2014, arXiv:1409.4842).
PADDING = 1 / 24  # of a side, at most
AREA, ASPECT = 0.05, 1.03  # a crop has at least 1 - AREA of the area, and its sides' ratio changes by at most ASPECT
SMALLEST = 0.08  # of the area, whatever the strength
COLOUR = 0.4  # brightness, contrast and saturation are multiplied by 1 - COLOUR to 1 + COLOUR
HUE = math.pi / 4  # the hue is turned by at most so much each way; at strength 4, to any hue
LUMA = 0.299, 0.587, 0.114  # how bright red, green and blue look (ITU-R BT.601)


def random_photo(images: Array, rng: np.random.Generator, strength: float = 1.0) -> Array:
    """A padded crop, a resized crop of that and, with three channels, other colours, for each image at random."""
    changes = (padded_crop, resized_crop, colour_changes)
    for change, own in zip(changes, rng.spawn(len(changes))):
        images = change(images, own, strength)
    return images


def random_mirror(images: Array, rng: np.random.Generator) -> Array:
    """Every image with a probability of a half mirrored, left to right."""
    xp = array_module(images)
    which = xp.asarray(rng.random(len(images)) < 0.5)[:, None, None, None]  # (n, 1, 1, 1)
    return xp.where(which, images[..., ::-1], images)


def padded_crop(images: Array, rng: np.random.Generator, strength: float = 1.0) -> Array:
    """Every image shifted by whole pixels, at most strength/24 of a side each way, rounded down, its edge repeated
    where nothing is left: a crop of the same size from the padded image."""
    xp = array_module(images)
    n, _, Sh, Sw = images.shape
    most = np.floor(PADDING * strength * np.array([Sh, Sw]))
    shift = np.floor(rng.random((n, 2)) * (2 * most + 1)) - most  # (n, 2): uniform in -most..most
    row = xp.asarray((np.arange(Sh) + shift[:, :1]).astype("int64"))[:, :, None]  # (n, Sh, 1)
    column = xp.asarray((np.arange(Sw) + shift[:, 1:]).astype("int64"))[:, None]  # (n, 1, Sw)
    cropped = xp.empty_like(images)
    for part in parts_of(images):
        cropped[part] = pixels_at(images[part], row[part], column[part])
    return cropped


def resized_crop(images: Array, rng: np.random.Generator, strength: float = 1.0) -> Array:
    """A part of every image, enlarged to its size, bilinearly: 1 - 0.05 · strength to 1 of its area (at least 8 %),
    with sides whose ratio has changed by 1.03^-strength to 1.03^strength, anywhere in the image."""
    xp = array_module(images)
    n, _, Sh, Sw = images.shape
    draws = rng.random((n, 4))
    area = 1 - draws[:, 0] * min(AREA * strength, 1 - SMALLEST)
    aspect = ASPECT ** (strength * (2 * draws[:, 1] - 1))
    places = []
    for side, size, at in ((Sh, np.sqrt(area / aspect), draws[:, 2]), (Sw, np.sqrt(area * aspect), draws[:, 3])):
        size = side * np.minimum(size, 1)  # (n,)
        start = at * (side - size)
        # Pixel i is the middle of what lies between i and i + 1 of `side` parts of the crop.
        place = start[:, None] + (np.arange(side) + 0.5) * (size[:, None] / side) - 0.5  # (n, side)
        places.append(xp.asarray(place.astype("float32")))
    row, column = places[0][:, :, None], places[1][:, None]  # (n, Sh, 1), (n, 1, Sw)
    cropped = xp.empty_like(images)
    for part in parts_of(images):
        cropped[part] = as_before(bilinear(images[part], row[part], column[part]), images)
    return cropped


def colour_changes(images: Array, rng: np.random.Generator, strength: float = 1.0) -> Array:
    """Every image of three channels with other brightness, contrast, saturation and hue; others are returned as they
    are.

    Brightness multiplies the image by b, contrast stretches it by c about the mean grey m of the image, saturation by s
    about the grey g of each pixel. Applied one after the other to a pixel x,
        y = g' + s (x' - g'),   x' = b (m + c (x - m)),   g' = b (m + c (g - m)),
    which is y = b (1 - c) m + b c (1 - s) g + b c s x. Each of b, c, s is uniform in 1 ± 0.4 · strength, at least 0.
    The hue is turned last, by a rotation R of the colours about the axis of greys, red = green = blue, which leaves
    greys alone: only x has to be rotated. Its angle is uniform in ±45° · strength, at most ±180°.
    """
    xp = array_module(images)
    n, C = images.shape[:2]
    if C != len(LUMA):
        return images
    draws = rng.uniform(-1, 1, (n, 4))
    b, c, s = np.maximum(0, 1 + COLOUR * strength * draws[:, :3]).T  # (n,) each
    weights = [xp.asarray(w.astype("float32"))[:, None, None, None] for w in (b * (1 - c), b * c * (1 - s), b * c * s)]
    turns = xp.asarray(hue_rotations(np.minimum(HUE * strength, math.pi) * draws[:, 3]).astype("float32"))
    luma = xp.asarray(np.array(LUMA, "float32"))[:, None, None]
    changed = xp.empty_like(images)
    for part in parts_of(images):
        x = images[part].astype("float32")
        g = (x * luma).sum(1, keepdims=True)  # (n, 1, Sh, Sw)
        m = g.mean((2, 3), keepdims=True)  # (n, 1, 1, 1)
        turned = (turns[part] @ x.reshape(len(x), C, -1)).reshape(x.shape)
        of_mean, of_grey, of_pixel = (weight[part] for weight in weights)
        changed[part] = as_before(of_mean * m + of_grey * g + of_pixel * turned, images)
    return changed


def hue_rotations(angles: np.ndarray) -> np.ndarray:
    """The rotations (n, 3, 3) of red, green and blue about the axis of greys, by angles (n,) in radians: by 120° red
    becomes green, green blue and blue red.

    Rodrigues' formula for the axis (1, 1, 1)/√3 gives a matrix in which every row is the one above it, shifted by one:
    its entries are (1 + 2 cos(angle - t))/3 for t = 0, 120° and 240°.
    """
    third = 2 * math.pi / 3
    own, next_, last = ((1 + 2 * np.cos(angles - t)) / 3 for t in (0, third, 2 * third))
    return np.stack([own, last, next_, next_, own, last, last, next_, own], -1).reshape(-1, 3, 3)
