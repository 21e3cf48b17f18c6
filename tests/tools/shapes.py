"""Pictures of ten shapes as a folder for each: what a person's own data set of pictures looks like, in a moment.

python -m tests.tools.shapes FOLDER [--count 100] [--side 64] [--seed 0]
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SHAPES = ("arrow", "bars", "checker", "cross", "disc", "L", "ring", "square", "triangle", "two discs")
FINER = 4  # drawn so many times larger, and reduced: smooth edges
TILT = 0.25  # radians, at most


def write_shapes(folder: Path, count: int = 100, side: int = 64, seed: int = 0) -> Path:
    """Write `count` pictures of each shape, colours, places, sizes and a slight rotation at random."""
    for label, name in enumerate(SHAPES):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            rng = np.random.default_rng([seed, label, number])
            draw_shape(name, side, rng).save(folder / name / f"{number:04}.png")
    return folder


def draw_shape(name: str, side: int, rng: np.random.Generator) -> Image.Image:
    """A picture (side x side) of a shape, on a ground of another colour."""
    ground = rng.integers(0, 256, 3)
    while True:
        colour = rng.integers(0, 256, 3)
        if np.abs(colour - ground).sum() > 200:
            break
    picture = Image.new("RGB", (side * FINER, side * FINER), tuple(map(int, ground)))
    radius = rng.uniform(0.2, 0.36) * side * FINER
    centre = rng.uniform(radius, side * FINER - radius, 2)
    turn = rng.uniform(-TILT, TILT)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    pen = ImageDraw.Draw(picture)

    def polygon(points, fill=colour):
        pen.polygon([tuple(centre + radius * (rotation @ point)) for point in points], tuple(map(int, fill)))

    def box(left, top, right, bottom):
        polygon([(left, top), (right, top), (right, bottom), (left, bottom)])

    def disc(x, y, r, fill=colour):
        polygon([(x + r * np.cos(a), y + r * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 60)], fill)

    if name == "disc":
        disc(0, 0, 0.95)
    elif name == "square":
        box(-0.8, -0.8, 0.8, 0.8)
    elif name == "triangle":
        polygon([(0, -0.95), (0.9, 0.8), (-0.9, 0.8)])
    elif name == "cross":
        box(-0.95, -0.28, 0.95, 0.28)
        box(-0.28, -0.95, 0.28, 0.95)
    elif name == "ring":
        disc(0, 0, 0.95)
        disc(0, 0, 0.55, ground)
    elif name == "bars":
        for x in (-0.95, -0.25, 0.45):
            box(x, -0.9, x + 0.45, 0.9)
    elif name == "two discs":
        disc(-0.5, 0, 0.42)
        disc(0.5, 0, 0.42)
    elif name == "checker":
        for row in range(4):
            for column in range(row % 2, 4, 2):
                box(-0.9 + 0.45 * column, -0.9 + 0.45 * row, -0.45 + 0.45 * column, -0.45 + 0.45 * row)
    elif name == "L":
        box(-0.7, -0.95, -0.2, 0.95)
        box(-0.7, 0.45, 0.75, 0.95)
    else:
        box(-0.95, -0.2, 0.2, 0.2)
        polygon([(0.1, -0.65), (0.95, 0), (0.1, 0.65)])
    return picture.resize((side, side), Image.Resampling.BOX)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for flag, default in (("--count", 100), ("--side", 64), ("--seed", 0)):
        parser.add_argument(flag, type=int, default=default)
    arguments = vars(parser.parse_args())
    print(write_shapes(**arguments))
