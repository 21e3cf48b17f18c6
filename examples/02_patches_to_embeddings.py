"""Each patch is embedded by one linear layer: D features, each a weighted sum of the patch's pixels.

That is a convolution with D filters of P x P pixels and stride P (minivit/ops/patches.py).
"""

import numpy as np
from common import digit, inputs, new_figure, save, show_digit, trained

from minivit.ops import patch_embed_forward

model = trained()
P, (rows, columns) = model.config.patch_size, model.config.grid
W, b = model.params["patch_embed.proj.weight"], model.params["patch_embed.proj.bias"]
image = digit(3)
x = inputs(model, image)
embedded, _ = patch_embed_forward(x, W, b, P)
print(f"images {x.shape}, W (C·P·P, D) {W.shape}, b (D,) {b.shape}  ->  embedded (B, N, D) {embedded.shape}")

# The same as a convolution: at every P-th position, multiply the pixels by every filter and sum.
filters = W.T.reshape(-1, 1, P, P)  # (C·P·P, D) -> (D, C, P, P)
windows = np.lib.stride_tricks.sliding_window_view(x[0], (P, P), axis=(1, 2))[:, ::P, ::P]  # (C, h, w, P, P)
convolved = np.einsum("chwpq,dcpq->dhw", windows, filters) + b[:, None, None]  # (D, h, w)
same = embedded[0].T.reshape(-1, rows, columns)  # (N, D) -> (D, h, w)
print(f"largest difference from a convolution with stride {P}: {abs(convolved - same).max():.1e}")
assert np.allclose(convolved, same, atol=1e-4)

strongest = np.argsort(-same.std((1, 2)))[:6]  # the filters whose responses to this digit's patches vary most
figure = new_figure(3.3)
grid = figure.add_gridspec(2, 7, width_ratios=[2.2, 1, 1, 1, 1, 1, 1])
axes = figure.add_subplot(grid[:, 0])
show_digit(axes, image[0], P)
axes.set_title(f"image, in patches of {P} x {P}")
for column, k in enumerate(strongest, 1):
    for row, (values, name) in enumerate(
        ((filters[k, 0], "filter, a\ncolumn of W"), (same[k], "response to\neach patch"))
    ):
        axes = figure.add_subplot(grid[row, column])
        axes.imshow(values, "RdBu_r", vmin=-abs(values).max(), vmax=abs(values).max())
        axes.set(xticks=[], yticks=[], title="" if row else f"feature {k}", ylabel="" if column > 1 else name)
figure.supxlabel(f"6 of {W.shape[1]} features; red positive, blue negative, white zero", fontsize=10)
save(figure, __file__)
