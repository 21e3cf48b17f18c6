"""Many heads: each has its own queries, keys and values on D/H features, and so its own attention weights.

The figure shows which patches the class token attends to, in every head of every block (minivit/ops/attention.py,
minivit/insight.py).
"""

import numpy as np
from common import digit, new_figure, save, trained

from minivit.insight import attention_maps, draw_shares, on_grid

model = trained()
image = digit(3)
attention = attention_maps(model, image)  # (L, B, H, T, T)
L, B, H, T, _ = attention.shape
print(f"attention maps (L, B, H, T, T): {attention.shape}; every row sums to 1")
assert np.allclose(attention.sum(-1), 1, atol=1e-5)

shares = on_grid(attention[:, 0], model.config)  # (L, H, rows, columns): the class token's attention to each patch
entropy = -(attention[:, 0, :, 0] * np.log2(attention[:, 0, :, 0])).sum(-1)  # (L, H), in bits
for number, bits in enumerate(entropy, 1):
    print(f"block {number}: the class token attends to about {', '.join(f'{2**b:.1f}' for b in bits)} tokens")

figure = new_figure(min(8.5, 9.0 * L / (H + 1.2)))
for number, (row, maps) in enumerate(zip(figure.subplots(L, H), shares), 1):
    for head, (axes, share) in enumerate(zip(row, maps), 1):
        shown = draw_shares(axes, image[0, 0], 100 * share, 100 * shares.max())
        axes.set(xticks=[], yticks=[])
        if number == 1:
            axes.set_title(f"head {head}")
    row[0].set_ylabel(f"block {number}")
figure.colorbar(shown, ax=figure.axes, label="attention of the class token to a patch (%)", shrink=0.5)
save(figure, __file__)
