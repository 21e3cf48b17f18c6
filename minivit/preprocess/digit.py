"""The digit rule: pictures of digits, photographed or drawn, made into the form of MNIST's.

MNIST's digits are white on black, scaled so that the longer side of the ink is 20 of the 28 pixels of the frame, and
placed so that their centre of mass is the centre of the frame. A photo is none of that: dark ink on paper that is
brighter on one side than on the other, in the shadow of a hand, on a table, ruled, somewhere in the picture, with noise
and dust. Here it is brought to the same form, step by step; a digit that came from MNIST comes out nearly as it was.
Source of the form: "The MNIST database", Y. LeCun, C. Cortes, C. Burges.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Floats = npt.NDArray[np.float32]

DIGIT = 20 / 28  # how much of the frame the ink fills
FAINTEST = 16.0  # of 255: what differs less from the paper is no ink
EDGE = 0.2  # of the full strength of the ink: what is fainter does not count for the size of the digit
SPECK = 0.05  # of the ink of the largest stroke: what is smaller and apart from it is dust
ON_BORDER = 0.1  # of the border under ink: if it is more, the paper may be in a shadow
WIDEST = 0.25  # of the longer side of the picture: what is wider is no stroke, but a shadow or another sheet
DARKEST_SHADOW = 0.8  # of the strength of the ink
DARKEST_LINE = 0.65  # of the strength of the ink: darker lines on the paper cannot be told from it
ALONE = 0.1  # of the ink of the largest stroke: if there is so much off the border, what is on it is not the digit


def find_ink(grey: Floats) -> Floats | None:
    """The ink in every pixel of a grey picture (h, w) in 0..255: (h, w) in 0..1, or None where nothing stands out."""
    ink = _on_even_paper(grey)
    share = 1.0 if ink is None else float(np.mean(_border(ink) > EDGE))
    if share > ON_BORDER:
        other = _on_shadowed_paper(grey)
        if other is not None and np.mean(_border(other) > EDGE) < share / 2:
            return other
    return ink


def _on_even_paper(grey: Floats) -> Floats | None:
    """Ink that is lighter or darker than paper on which the light falls off smoothly."""
    paper, noise = _fit_paper(grey)
    rise = grey - paper
    light, dark = np.maximum(rise, 0), np.maximum(-rise, 0)
    return _clean(light if np.square(light).sum() > np.square(dark).sum() else dark, noise)


def _on_shadowed_paper(grey: Floats) -> Floats | None:
    """Dark ink on paper of which parts are in a shadow with a sharp edge.

    The paper is what remains when everything dark that is narrower than a stroke can be is filled up: the lightest
    value around every pixel, and of these the darkest around it. Strokes disappear, and edges of wide areas stay where
    they are. Ink takes the same part of the light in and out of the shadow.
    """
    reach = max(1, round(WIDEST * max(grey.shape) / 2))
    paper = np.maximum(_around(_around(grey, reach, np.max), reach, np.min), 1)
    ink = (255 * (1 - grey / paper)).astype(np.float32)
    darkest, lightest = np.quantile(_border(paper), (0.1, 0.9))
    if 255 * (1 - darkest / lightest) > DARKEST_SHADOW * _full_strength(ink):
        return None
    return _clean(ink, 2 * float(np.quantile(ink, 1 / 3)))  # the lightest of many noisy values lies above their mean


def _clean(ink: Floats, noise: float) -> Floats | None:
    """Ink in any unit as shares of its full strength, without noise, lines on the paper, what stands on the border
    beside a digit, and dust; None if it does not stand out."""
    full = _full_strength(ink)
    if full < max(FAINTEST, 2 * noise):
        return None
    ink = np.clip((ink - noise) / (full - noise), 0, 1)
    on_border = _border(ink)
    line = float(np.quantile(on_border[on_border > EDGE], 0.9)) if on_border.max() > EDGE else 0.0
    if 0 < line < DARKEST_LINE:  # what crosses the border is fainter than the pen: lines
        floor = 1.25 * line
        ink = np.clip(EDGE + (ink - floor) * (1 - EDGE) / (1 - floor), 0, 1)
    stroke = label_strokes(ink > EDGE)
    mass = np.bincount(stroke.ravel(), ink.ravel())
    mass[0] = 0  # what belongs to no stroke: the soft edges of them all
    inside = mass.copy()
    inside[_border(stroke)] = 0
    if inside.max() > ALONE * mass.max():
        mass = inside
    dust = mass < SPECK * mass.max()
    dust[0] = False
    ink[dust[stroke]] = 0
    return ink


def _full_strength(ink: Floats) -> float:
    return float(np.percentile(ink[ink >= ink.max() / 2], 90))


def _border(picture: np.ndarray) -> np.ndarray:
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


def _around(values: Floats, reach: int, function: Callable[..., Floats]) -> Floats:
    """The maximum or minimum of the square of 2 reach + 1 pixels around every pixel."""
    for axis in (0, 1):
        padding = [(reach, reach) if axis == k else (0, 0) for k in (0, 1)]
        values = function(sliding_window_view(np.pad(values, padding, "edge"), 2 * reach + 1, axis), -1)
    return values


def like_mnist(images: npt.NDArray[np.uint8]) -> bool:
    """Whether nine of ten images (n, Sh, Sw), light on dark, have MNIST's form: ink whose longer side fills 20/28 of
    the frame and whose centre of mass is the middle of the frame, both to a pixel and a half."""
    n, height, width = images.shape
    if height != width:
        return False
    fitting = 0
    for start in range(0, n, 1000):
        ink = images[start : start + 1000].astype(np.float32) / 255
        drawn = np.greater(ink, EDGE)
        extents = [
            side - np.argmax(places, axis=1) - np.argmax(places[:, ::-1], axis=1)
            for places, side in ((drawn.max(2), height), (drawn.max(1), width))
        ]
        mass = np.maximum(ink.sum((1, 2)), 1e-6)
        middles = [(ink.sum(3 - axis) * np.arange(side)).sum(1) / mass for axis, side in ((1, height), (2, width))]
        fits: np.ndarray = abs(np.maximum(*extents) - DIGIT * height) <= 1.5 * height / 28
        for middle, side in zip(middles, (height, width)):
            fits &= abs(middle - side / 2) <= 1.5 * side / 28
        fitting += int(fits.sum())
    return fitting >= 0.9 * n


def label_strokes(drawn: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Number the pieces that hang together, corners included, in a boolean picture (h, w); 0 is what is not drawn.

    Every pixel points to itself at first; in every round it takes the largest pointer around it, and then follows that
    pointer one step, so that the reach doubles and a few rounds are enough.
    """
    label = np.pad(np.where(drawn, np.arange(1, drawn.size + 1).reshape(drawn.shape), 0), 1)
    inner = label[1:-1, 1:-1]
    h, w = drawn.shape
    while True:
        around = [label[y : y + h, x : x + w] for y in range(3) for x in range(3)]
        largest = np.where(drawn, np.max(around, axis=0), 0)
        followed = np.append(0, largest)[largest]
        if np.array_equal(followed, inner):
            return inner
        inner[:] = followed


def extent(ink: Floats) -> tuple[int, int, int, int]:
    """The first row in which ink counts and one past the last, then the same for columns."""
    rows, columns = (np.flatnonzero(ink.max(axis) > EDGE) for axis in (1, 0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def place_ink(ink: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.uint8]:
    """Crop ink (h, w) in 0..1 to what is drawn, scale it and centre it by mass: uint8 (height, width)."""
    from PIL import Image

    top, bottom, left, right = extent(ink)
    scale = DIGIT * min(height / (bottom - top), width / (right - left))
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    digit = np.asarray(Image.fromarray(ink[top:bottom, left:right]).resize(size, Image.Resampling.BICUBIC))
    digit = np.clip(digit / min(1, digit.max()), 0, 1)  # thin lines fade when they are made small
    frame = np.zeros((height, width), np.uint8)
    frame[_centred(digit.sum(1), height), _centred(digit.sum(0), width)] = np.rint(255 * digit)
    return frame


def _fit_paper(grey: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], float]:
    """The brightness of the paper (h, w), and how far its noise strays from it.

    Light falls off smoothly over a photo, so the paper is a polynomial of second degree in x and y; it is fitted by
    least squares to the pixels that are paper. Those are the ones near the paper found so far, at first the median of
    the border; how near is told by the closest third of all pixels.
    """
    h, w = grey.shape
    y, x = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
    terms = np.stack([np.ones((h, w)), x, y, x * x, x * y, y * y], axis=-1)  # (h, w, 6)
    some = (slice(None, None, -(-h // 64)), slice(None, None, -(-w // 64)))  # 64 x 64 pixels tell enough
    A, values = terms[some].reshape(-1, 6), grey[some].ravel()
    rise = values - np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    for _ in range(8):
        near = np.abs(rise) <= 4.5 * np.quantile(np.abs(rise), 1 / 3) + 0.01
        P = A[near]
        fit = np.linalg.lstsq(P.T @ P, P.T @ values[near], rcond=None)[0]
        rise = values - A @ fit
    # The closest third of normal noise lies within 0.43 of its standard deviation: 2.6 of them are noise.
    return (terms @ fit).astype(np.float32), 6 * float(np.quantile(np.abs(rise), 1 / 3))


def _centred(mass: npt.NDArray[np.float32], side: int) -> slice:
    """Where to put something of this mass along a side, for its centre to be in the middle; but never past the ends."""
    centre = mass @ np.arange(len(mass)) / mass.sum()
    start = min(max(round(side / 2 - centre), 0), side - len(mass))
    return slice(start, start + len(mass))
