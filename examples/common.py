"""What the scripts share: real digits, a trained model, and the style of the figures."""

import io
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from minivit import ViT, ViTConfig
from minivit.data import Split, load, split_validation
from minivit.errors import CheckpointError
from minivit.preprocess.arrays import normalise
from minivit.rng import AUGMENTATION, SHUFFLE, generator
from minivit.run import load_run
from minivit.train import random_affine
from minivit.train.trainer import TrainConfig, Trainer

# Okabe and Ito's colours, which remain distinct for people with colour blindness.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#777777"
matplotlib.rcParams.update(
    {
        "font.size": 11,
        "axes.titlesize": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.constrained_layout.use": True,
        "legend.frameon": False,
    }
)


def new_figure(height: float) -> Figure:
    """An empty figure, 9 inches wide like a README, and this high."""
    return Figure(figsize=(9, height))


def save(figure: Figure, script: str) -> None:
    """Write the figure under the script's name into the folder named on the command line, or beside the scripts."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "figures"
    path = folder / f"{Path(script).stem}.png"
    pixels = io.BytesIO()
    figure.savefig(pixels, dpi=150)
    Image.open(pixels).convert("RGB").quantize(256, kmeans=1).save(path, optimize=True)  # a third of the size
    print(f"drawn: {path}")


def show_digit(axes: Axes, image: np.ndarray, patch: int = 0) -> None:
    """Draw an image (1, Sh, Sw), cut by white lines into patches if a patch side is given."""
    _, height, width = image.shape
    axes.imshow(image[0], "gray", extent=(0, width, height, 0))
    axes.set_axis_off()
    for at in range(patch, width, patch) if patch else ():
        axes.axvline(at, color="white", linewidth=1)
        axes.axhline(at, color="white", linewidth=1)


def draw_block(axes: Axes) -> None:
    """Draw an encoder block: the residual stream, and the two branches that read from it and add to it."""
    axes.set(xlim=(-0.5, 2.4), ylim=(0, 9.6))
    axes.set_axis_off()
    axes.annotate("", (0, 9.5), (0, 0), arrowprops={"arrowstyle": "-|>", "linewidth": 3, "color": BLUE})
    axes.text(-0.1, 0.1, "x", color=BLUE, ha="right")
    axes.text(-0.1, 9, "y", color=BLUE, ha="right")
    for bottom, name in ((0.9, "attention"), (5.2, "MLP")):
        elbow = [(0, bottom), (1.5, bottom), (1.5, bottom + 3.1), (0.12, bottom + 3.1)]
        axes.plot(*np.array(elbow).T, color=GREY)
        for height, text in ((bottom + 0.5, "LayerNorm"), (bottom + 1.7, name)):
            axes.text(1.5, height + 0.35, text, ha="center", va="center", fontsize=10, bbox={"fc": "white", "ec": GREY})
        axes.text(
            0,
            bottom + 3.1,
            "+",
            color=BLUE,
            ha="center",
            va="center",
            bbox={"boxstyle": "circle,pad=0.15", "fc": "white", "ec": BLUE},
        )


def test_digits() -> Split:
    """The 1,000 bundled digits that no model here is trained on."""
    return load("mnist5k").test


def digit(label: int) -> np.ndarray:
    """The first test digit of a class, uint8 (1, 1, 28, 28)."""
    images, labels = test_digits()
    return images[labels == label][:1]


def inputs(model: ViT, images: np.ndarray) -> np.ndarray:
    """uint8 images preprocessed for the model: scaled and normalised, in its dtype."""
    return normalise(images, model.config, model.dtype)


@cache
def trained() -> ViT:
    """The model that comes with minivit, or, if it is missing, one trained here for some seconds."""
    try:
        return load_run("pretrained").model
    except CheckpointError:
        return train_briefly().model


class Training(NamedTuple):
    """The results of a short training."""

    model: ViT
    losses: list[float]  # of every step
    errors: list[tuple[int, float, float]]  # (step, error on training digits, on validation digits) after an epoch


@cache
def train_briefly() -> Training:
    """Train a small model on the bundled digits for some seconds."""
    epochs, size = 5, 40
    train, valid = split_validation(load("mnist5k").train)
    model = ViT(ViTConfig(depth=3, pixel_mean=(0.1307,), pixel_std=(0.3081,)), seed=0)  # of MNIST
    batches = len(train.labels) // size
    trainer = Trainer(model, TrainConfig(learning_rate=3e-3), total_steps=epochs * batches)
    losses, errors = [], []
    for epoch in range(epochs):
        order = generator(0, SHUFFLE, epoch).permutation(len(train.labels))
        for batch in order[: batches * size].reshape(batches, size):
            images = random_affine(train.images[batch], generator(0, AUGMENTATION, len(losses)), strength=0.3)
            losses.append(float(trainer.step(normalise(images, model.config, "float32"), train.labels[batch])))
        errors.append((len(losses), error(model, train), error(model, valid)))
    return Training(model, losses, errors)


def error(model: ViT, split: Split) -> float:
    """The fraction of images that the model misclassifies, in [0, 1]."""
    return float((model.predict(split.images, threads=2).argmax(-1) != split.labels).mean())
