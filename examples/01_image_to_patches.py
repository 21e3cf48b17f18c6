"""A Transformer reads a sequence, so the image becomes one: patches of P x P pixels, row by row, each flattened.

Nothing is computed and nothing is lost: pixels only move (minivit/ops/patches.py).
"""

import numpy as np
from common import digit, new_figure, save, show_digit

from minivit.ops import patchify, unpatchify

P = 7
image = digit(3)  # uint8 (B, C, Sh, Sw)
patches = patchify(image, P)  # (B, C, Sh, Sw) -> (B, N, C·P·P)
print(f"images  (B, C, Sh, Sw)   {image.shape}")
print(f"patches (B, N, C·P·P)    {patches.shape}: a 4 x 4 grid of patches, {P} x {P} pixels each")

# Patch 6 lies in row 1, column 2 of the grid, and so holds these pixels:
assert (patches[0, 6] == image[0, 0, 7:14, 14:21].ravel()).all()
# Every pixel has exactly one destination, so the inverse only moves pixels, too. It is also the backward pass.
assert (unpatchify(patches, (28, 28), P) == image).all()
print("unpatchify(patchify(image)) == image, pixel by pixel")

figure = new_figure(3.1)
whole, apart, sequence = figure.subplots(1, 3, width_ratios=[1, 1.15, 1.5])
show_digit(whole, image[0], P)
whole.set_title("an image, 28 x 28")
for number, patch in enumerate(patches[0]):
    top, left = (P + 1.5) * (number // 4), (P + 1.5) * (number % 4)
    apart.imshow(patch.reshape(P, P), "gray", vmin=0, vmax=255, extent=(left, left + P, top + P, top))
    behind = {"facecolor": "black", "alpha": 0.7, "linewidth": 0, "pad": 0.5}
    apart.text(left + 0.4, top + 2, number, color="#56b4e9", fontsize=9, fontweight="bold", bbox=behind)
apart.set(xlim=(0, 32.5), ylim=(32.5, 0), title="16 patches, 7 x 7")
apart.set_axis_off()
sequence.imshow(patches[0], "gray", aspect="auto")
sequence.set(title="a sequence: 16 rows of 49 pixels", xlabel="pixel in the patch", ylabel="patch")
sequence.set_yticks(np.arange(16), np.arange(16), fontsize=8)
save(figure, __file__)
