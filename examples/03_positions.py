"""Attention ignores order (it is permutation-equivariant), so each position adds a vector of its own to its token.

The vectors are either a fixed pattern of sines and cosines, in which nearby positions are similar, or they are learned:
they start small and random, and training arranges them (minivit/ops/positions.py).
"""

import numpy as np
from common import digit, inputs, new_figure, save, trained

from minivit import ViT, ViTConfig
from minivit.ops import sincos1d, sincos2d

model = trained()
config, (rows, columns) = model.config, model.config.grid
N, D = config.patches, config.dim
untrained = ViT(ViTConfig(patch_size=config.patch_size, dim=D), seed=0)


def similarity(vectors: np.ndarray) -> np.ndarray:
    """The cosine of the angle between every two rows, after the mean row is subtracted: (N, D) -> (N, N)."""
    centred = vectors - vectors.mean(0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return unit @ unit.T


positions = {
    "sine-cosine, 1-D": sincos1d(np, N, D),
    "sine-cosine, 2-D": sincos2d(np, rows, columns, D),
    "learned, before training": untrained.params["pos_embed"][0, 1:],
    "learned, after training": model.params["pos_embed"][0, 1:],
}
down, across = np.divmod(np.arange(N), columns)
near = abs(down[:, None] - down) + abs(across[:, None] - across)  # (N, N): distance in patches
for name, vectors in positions.items():
    alike = similarity(vectors)
    length = np.linalg.norm(vectors, axis=1).mean()
    print(f"{name:<25}{vectors.shape}  length {length:.2f}, similarity of neighbours {alike[near == 1].mean():+.2f}")

# Without positions a Transformer cannot tell a digit from the same digit with its patches shuffled.
blind = ViT(ViTConfig(positions="none", patch_size=config.patch_size), dtype="float64")
x = inputs(blind, digit(3))
P = config.patch_size
shuffled = x.reshape(1, 1, rows, P, columns, P)[:, :, ::-1, :, ::-1].reshape(x.shape)  # patches in reverse order
difference = abs(blind.forward(x)[0] - blind.forward(shuffled)[0]).max()
print(f"without positions, patches in reverse order change the logits by {difference:.1e}")
assert difference < 1e-12

marked = rows // 2 * columns + 1
figure = new_figure(4.4)
axes = figure.subplots(2, 4)
for (name, vectors), matrix, grid in zip(positions.items(), *axes):
    alike = similarity(vectors)
    matrix.imshow(alike, "RdBu_r", vmin=-1, vmax=1)
    matrix.set(xticks=[], yticks=[])
    matrix.set_title(name.replace(", ", ",\n"), fontsize=10)
    shown = grid.imshow(alike[marked].reshape(rows, columns), "RdBu_r", vmin=-1, vmax=1)
    grid.plot(marked % columns, marked // columns, "kx", markersize=9)
    grid.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("all pairs\nof positions")
axes[1, 0].set_ylabel("position x and\nall others, on\nthe patch grid")
figure.colorbar(shown, ax=axes, label="similarity (cosine)", shrink=0.6)
save(figure, __file__)
