"""The augmentations for one image, in plain loops and float64, from what their docstrings say and the same draws."""

import math

import numpy as np


def at(image, channel, row, column):
    """The value between the pixels, bilinearly; beyond the edge, that of the edge."""
    _, Sh, Sw = image.shape
    row, column = min(max(row, 0), Sh - 1), min(max(column, 0), Sw - 1)
    total = 0.0
    for i in range(Sh):
        for j in range(Sw):
            if abs(row - i) < 1 and abs(column - j) < 1:
                total += image[channel, i, j] * (1 - abs(row - i)) * (1 - abs(column - j))
    return total


def resampled(image, place):
    """Every pixel (row, column) of the new image is that at place(row, column) of the old one."""
    new = np.empty(image.shape)
    for c, i, j in np.ndindex(image.shape):
        new[c, i, j] = at(image, c, *place(i, j))
    return new


def mirror(image, draw):
    new = np.array(image, "float64")
    if draw < 0.5:
        for c, i, j in np.ndindex(image.shape):
            new[c, i, j] = image[c, i, image.shape[2] - 1 - j]
    return new


def pad(image, draws, strength):
    _, Sh, Sw = image.shape
    shift = []
    for draw, side in zip(draws, (Sh, Sw)):
        most = math.floor(strength * side / 24)
        shift.append(math.floor(draw * (2 * most + 1)) - most)
    return resampled(image, lambda i, j: (i + shift[0], j + shift[1]))


def crop(image, draws, strength):
    _, Sh, Sw = image.shape
    area = 1 - draws[0] * min(0.05 * strength, 0.92)
    aspect = 1.03 ** (strength * (2 * draws[1] - 1))  # width to height
    height, width = min(1, math.sqrt(area / aspect)) * Sh, min(1, math.sqrt(area * aspect)) * Sw
    top, left = draws[2] * (Sh - height), draws[3] * (Sw - width)
    return resampled(
        image, lambda i, j: (top + (i + 0.5) * height / Sh - 0.5, left + (j + 0.5) * width / Sw - 0.5)
    )  # fmt: skip


def colours(image, draws, strength):
    """Brightness, then contrast, then saturation; then the hue, turned about the axis of greys (Rodrigues)."""
    b, c, s = (max(0, 1 + 0.4 * strength * draw) for draw in draws[:3])
    angle, axis = min(np.pi / 4 * strength, np.pi) * draws[3], np.ones(3) / np.sqrt(3)

    def grey(pixel):
        return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]

    _, Sh, Sw = image.shape
    brighter = b * image.astype("float64")
    mean = np.mean([grey(brighter[:, i, j]) for i in range(Sh) for j in range(Sw)])
    stretched = mean + c * (brighter - mean)
    new = np.empty(image.shape)
    for i in range(Sh):
        for j in range(Sw):
            pixel = stretched[:, i, j]
            v = grey(pixel) + s * (pixel - grey(pixel))
            along = axis * (axis @ v)
            new[:, i, j] = along + np.cos(angle) * (v - along) + np.sin(angle) * np.cross(axis, v)
    return new


def erase(image, draws, share):
    _, Sh, Sw = image.shape
    new = np.array(image, "float64")
    if draws[0] >= share:
        return new
    area, ratio = 0.02 + draws[1] * (1 / 3 - 0.02), (10 / 3) ** (2 * draws[2] - 1)  # ratio: of height to width
    height, width = min(Sh, round(math.sqrt(area * ratio) * Sh)), min(Sw, round(math.sqrt(area / ratio) * Sw))
    top, left = math.floor(draws[3] * (Sh - height + 1)), math.floor(draws[4] * (Sw - width + 1))
    for c in range(len(image)):
        new[c, top : top + height, left : left + width] = image[c].mean()
    return new


def bend(image, Z, strength):
    """Z (2, 8, 8)."""
    _, Sh, Sw = image.shape

    def weights(place, side):
        points = [k * (side - 1) / 7 for k in range(8)]
        raw = [math.exp(-((place - point) ** 2) / (2 * (max(1, side - 1) / 7) ** 2)) for point in points]
        norm = math.sqrt(sum(w * w for w in raw))
        return [w / norm for w in raw]

    def place(i, j):
        a, b = weights(i, Sh), weights(j, Sw)
        moved = [sum(a[k] * z[k, m] * b[m] for k in range(8) for m in range(8)) for z in Z]
        return i + strength * 0.03 * Sh * moved[0], j + strength * 0.03 * Sw * moved[1]

    return resampled(image, place)
