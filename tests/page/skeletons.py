"""Digits turned into strokes: their skeletons, as pairs of neighbouring points."""

import numpy as np


def strokes_of(image: np.ndarray) -> list[list[tuple[float, float]]]:
    """The skeleton of a digit (28, 28), light on dark, as strokes in units of its side: a segment between every two
    neighbouring pixels, and a dot for one without neighbours."""
    from skimage.morphology import skeletonize

    side = len(image)
    on = {(int(y), int(x)) for y, x in np.argwhere(skeletonize(image > 127))}
    strokes = []
    for y, x in sorted(on):
        ahead = [(y + dy, x + dx) for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)) if (y + dy, x + dx) in on]
        around = sum((y + dy, x + dx) in on for dy in (-1, 0, 1) for dx in (-1, 0, 1)) - 1
        points = [[(y, x), end] for end in ahead] if around else [[(y, x)]]
        strokes += [[((column + 0.5) / side, (row + 0.5) / side) for row, column in stroke] for stroke in points]
    return strokes
