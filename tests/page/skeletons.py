"""MNIST's test digits turned into strokes, their skeletons, and drawn again: how many keep their class?

    python -m tests.page.skeletons [DATA] [--first N]

reads them with the pretrained model. It needs scikit-image (pip install ".[reference]").
"""

import argparse

import numpy as np

from minivit.data import load
from minivit.page.strokes import draw
from minivit.run import load_run


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


def redrawn(images: np.ndarray) -> np.ndarray:
    """Digits (n, 1, 28, 28), uint8, drawn again from their strokes."""
    return np.stack([draw(strokes_of(image[0])).picture for image in images])[:, None]


def kept(pictures: np.ndarray, labels: np.ndarray) -> int:
    """How many of these the pretrained model reads as their labels."""
    return int((load_run("pretrained").model.predict(pictures).argmax(-1) == labels).sum())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="?", default="mnist5k")
    parser.add_argument("--first", type=int, help="only so many digits (default: all)")
    arguments = parser.parse_args()
    test = load(arguments.data).test
    images, labels = test.images[: arguments.first], test.labels[: arguments.first]
    right, still = kept(images, labels), kept(redrawn(images), labels)
    print(f"of {len(labels)} test digits, {right} are read right, and {still} redrawn")
