"""Augmentation shows a model every image in another way each time, so that it learns what does not change its class.

A digit may be rotated, a photo mirrored or cropped: what is allowed depends on what the images show, which is why
`minivit train` looks at their pixels first (`--augmentation auto`). Every function takes a batch and draws for each
image anew (minivit/train/augment.py, elastic.py, photos.py, mix.py).
"""

from functools import partial

import numpy as np
from common import BLUE, digit, new_figure, save

from minivit.train import TrainConfig, random_affine
from minivit.train.augmentation import decided
from minivit.train.elastic import elastic_distortion
from minivit.train.mix import mixed, random_erasing
from minivit.train.photos import colour_changes, padded_crop, random_mirror, random_photo, resized_crop

SIDE, COPIES = 64, 4
y, x = (np.mgrid[0 : 4 * SIDE, 0 : 4 * SIDE] + 0.5) / (4 * SIDE)  # four points along a pixel, for smooth edges


def painted(sky: tuple[int, int, int], *shapes: tuple[np.ndarray, tuple[int, int, int]]) -> np.ndarray:
    """A picture, uint8 (1, 3, SIDE, SIDE): a sky that is lighter below, and shapes (where, colour) on it."""
    canvas = np.array(sky) + 90 * y[..., None]
    for where, colour in shapes:
        canvas[where] = colour
    return canvas.reshape(SIDE, 4, SIDE, 4, 3).mean((1, 3)).round().astype(np.uint8).transpose(2, 0, 1)[None]


house = painted(
    (70, 120, 180),
    (np.hypot(x - 0.8, y - 0.2) < 0.1, (250, 220, 90)),
    (y > 0.7 + 0.06 * np.sin(7 * x), (80, 140, 60)),
    ((abs(x - 0.42) < 0.2) & (abs(y - 0.65) < 0.17), (200, 190, 170)),
    ((y < 0.5) & (y > 0.24 + abs(x - 0.42)), (170, 60, 45)),
    ((abs(x - 0.33) < 0.05) & (abs(y - 0.73) < 0.09), (90, 60, 40)),
)
boat = painted(
    (190, 120, 90),
    (y > 0.66, (30, 80, 110)),
    ((y > 0.15) & (y < 0.6) & (x > 0.52) & (x - 0.52 < 0.6 * (y - 0.15)), (245, 240, 230)),
    ((y > 0.28) & (y < 0.6) & (x < 0.49) & (0.49 - x < 0.7 * (y - 0.28)), (200, 70, 50)),
    ((y > 0.62) & (y < 0.75) & (abs(x - 0.5) < 0.42 - y / 3), (100, 60, 40)),
)
rng, digits, photos = np.random.default_rng(3), digit(5).repeat(COPIES, 0), house.repeat(COPIES, 0)
(one, why), (other, other_why) = (decided(TrainConfig(), images) for images in (digits, photos))
print(why, other_why, sep="\n")
assert (one.augmentation, other.augmentation) == ("digits", "photos")

changes = {
    "rotation, scaling,\nshear, translation": random_affine, "elastic distortion": elastic_distortion,
    "mirror": random_mirror, "padded crop,\nstrength 3": partial(padded_crop, strength=3),
    "resized crop,\nstrength 8": partial(resized_crop, strength=8), "erasing, 80 %": partial(random_erasing, share=0.8),
    "brightness, contrast,\nsaturation, hue": colour_changes, "crops and colours,\nas in training": random_photo,
}  # fmt: skip
starts = [digits] * 2 + [photos] * 6
rows = [(name, start, change(start, rng)) for start, (name, change) in zip(starts, changes.items())]
shares = {}
for name, settings in (("mixup 0.8", {"mixup": 0.8}), ("CutMix 1", {"cutmix": 1.0})):
    new, labels = mixed(np.concatenate([photos, *[boat] * COPIES]), np.repeat([0, 1], COPIES), 2, rng, **settings)
    rows.append((f"{name}, and the\nshare of the house", photos, new[:COPIES]))
    shares[rows[-1][0]] = labels[:COPIES, 0]
    print(f"{name}: labels", ", ".join(f"{a:.2f} house + {b:.2f} boat" for a, b in labels[:COPIES]))
    assert np.allclose(labels.sum(1), 1)

figure = new_figure(4.2)
grid = figure.add_gridspec(5, 2 * (COPIES + 2), width_ratios=[1.7, *[1] * (COPIES + 1)] * 2)
for number, (name, before, after) in enumerate(rows):
    column, row = divmod(number, 5)
    axes = figure.add_subplot(grid[row, column * (COPIES + 2)], frameon=False, xticks=[], yticks=[])
    axes.text(1, 0.5, name, ha="right", va="center", fontsize=9, transform=axes.transAxes)
    for i, image in enumerate([before[0], *after]):
        axes = figure.add_subplot(grid[row, column * (COPIES + 2) + 1 + i], xticks=[], yticks=[])
        axes.imshow(np.moveaxis(image.clip(0, 255) / 255, 0, -1), "gray", vmin=0, vmax=1)
        axes.spines[:].set(visible=i == 0, color=BLUE, linewidth=2)
        if i and name in shares:
            axes.set_title(f"{shares[name][i - 1]:.2f}", fontsize=8, pad=2)
figure.suptitle("framed: the image itself; then four draws, of strength 1 unless another is given", size=10)
save(figure, __file__)
