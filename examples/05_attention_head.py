"""One attention head by hand: queries are compared with keys, softmax makes weights, and these average the values.

Everything here is NumPy on the trained model's own parameters, and it gives the same values as the model itself
(minivit/ops/attention.py).
"""

import numpy as np
from common import ORANGE, digit, inputs, new_figure, save, show_digit, trained

model = trained()
config, params = model.config, model.params
D, H, P, (rows, columns) = config.dim, config.heads, config.patch_size, config.grid
Dh, first = D // H, config.tokens - config.patches  # the first patch is token 1 if there is a class token
image = digit(3)
_, cache = model.forward(inputs(model, image), all_tokens=True)
token = first + int(image[0, 0].reshape(rows, P, columns, P).sum((1, 3)).argmax())  # the patch with the most ink
everywhere = np.stack([block.attn.dot.softmax.y[0, :, token] for block in cache.blocks])  # (L, H, T)
focus = (everywhere * np.log(everywhere)).sum(-1)  # near 0 if all weight is on few tokens
block, head = map(int, np.unravel_index(focus.argmax(), focus.shape))
print(f"block {block + 1}, head {head + 1}, token {token}: the sharpest attention of the patch with the most ink")

norm = cache.blocks[block].norm1
x = norm.xhat[0] * norm.gamma + params[f"blocks.{block}.norm1.bias"]  # (T, D): the head's input
qkv = x @ params[f"blocks.{block}.attn.qkv.weight"] + params[f"blocks.{block}.attn.qkv.bias"]  # (T, 3D)
q, k, v = (qkv[:, part * D + head * Dh :][:, :Dh] for part in range(3))  # (T, Dh) each
scores = q @ k.T / np.sqrt(Dh)  # (T, T): how well every key matches every query
weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)  # softmax: positive, rows sum to 1
y = weights @ v  # (T, Dh): the attended values: averages of the values with these weights
for name, array in {"x": x, "q": q, "k": k, "v": v, "scores": scores, "weights": weights, "y": y}.items():
    print(f"{name:<8}{array.shape!s:<10}norm {np.linalg.norm(array):8.3f}")
print(f"the weights of token {token} sum to {weights[token].sum():.6f}; the largest is {weights[token].max():.3f}")
assert np.allclose(weights, cache.blocks[block].attn.dot.softmax.y[0, head], atol=1e-4)

figure = new_figure(3.1)
picture, score, weight, matrix = figure.subplots(1, 4, width_ratios=[1, 1, 1, 1.15])
show_digit(picture, image[0], P)
picture.set_title("the patch of the query")
at = scores[token, first:].reshape(rows, columns)
limit = abs(at).max()
score.imshow(at, "RdBu_r", vmin=-limit, vmax=limit, extent=(0, 28, 28, 0))
score.set_title("scores: q·k/√Dh")
percent = 100 * weights[token, first:].reshape(rows, columns)
weight.imshow(percent, "viridis", vmin=0, extent=(0, 28, 28, 0))
weight.set_title("weights: softmax, in %")
for panel, values, form in ((score, at, ".1f"), (weight, percent, ".0f")):
    for (i, j), value in np.ndenumerate(values if rows <= 4 else np.empty((0, 0))):
        dark = value < percent.max() / 2 if panel is weight else abs(value) > limit / 2
        colour = "white" if dark else "black"
        panel.text(
            (j + 0.5) * P, (i + 0.5) * P, format(value, form), ha="center", va="center", color=colour, fontsize=9
        )
for panel in (picture, score, weight):
    down, across = divmod(token - first, columns)
    panel.add_patch(type(panel.patch)((across * P, down * P), P, P, fill=False, edgecolor=ORANGE, linewidth=3))
    panel.set_axis_off()
matrix.imshow(weights, "viridis", vmin=0)
matrix.set(title="all tokens' weights", xlabel="key token", ylabel="query token")
matrix.set_xticks(range(0, len(weights), len(weights) // 4))
matrix.set_yticks(range(0, len(weights), len(weights) // 4))
matrix.axhspan(token - 0.5, token + 0.5, fill=False, edgecolor=ORANGE, linewidth=2)
save(figure, __file__)
