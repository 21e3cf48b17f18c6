"""Where does a trained model look? Three methods, for digits it classifies correctly and for the hardest ones.

They are the attention of the last block; attention rollout, which multiplies the attention of all blocks and counts a
skip connection as a token's attention to itself; and the exact gradient of the predicted class's logit with respect to
every pixel (minivit/insight.py).
"""

import numpy as np
from common import new_figure, save, test_digits, trained

from minivit.insight import attention_maps, attention_rollout, draw_shares, draw_signed, on_grid, pixel_gradient

model = trained()
images, labels = test_digits()
probabilities = model.predict(images)
right = probabilities[np.arange(len(labels)), labels]  # the probability of the right class
hardest = np.argsort(right)[:3]
easy = [int(np.flatnonzero(labels == k)[right[labels == k].argmax()]) for k in (2, 5, 8)]
chosen = np.array([*easy, *hardest])
answers = probabilities[chosen].argmax(-1)

attention = attention_maps(model, images[chosen])  # (L, B, H, T, T)
rollout = attention_rollout(model, images[chosen])  # (B, T, T)
gradient = pixel_gradient(model, images[chosen], answers)  # (B, C, Sh, Sw)
print(f"attention {attention.shape}, rollout {rollout.shape}, pixel gradient {gradient.shape}")
assert np.allclose(rollout.sum(-1), 1, atol=1e-5)

# Rollout by hand: in every block, average the attention matrix with the identity, and multiply.
by_hand = np.eye(rollout.shape[-1])
for block in attention[:, 0]:
    by_hand = (block.mean(0) + np.eye(len(by_hand))) / 2 @ by_hand
assert np.allclose(by_hand, rollout[0], atol=1e-5)
for n, i in enumerate(chosen):
    p, steepness = probabilities[i, answers[n]], np.linalg.norm(gradient[n])
    print(f"digit {i}, a {labels[i]}, predicted {answers[n]}: p = {p:.3f}, norm of the gradient {steepness:.2f}")

last, flow = on_grid(attention[-1].mean(1), model.config), on_grid(rollout, model.config)
figure = new_figure(6.6)
grid = figure.subplots(4, 6)
for n, (i, column) in enumerate(zip(chosen, grid.T)):
    picture = images[i, 0]
    column[0].imshow(picture, "gray")
    verdict = "right" if answers[n] == labels[i] else "wrong"
    column[0].set_title(
        f"a {labels[i]}, predicted {answers[n]}\n{verdict}, p = {probabilities[i, answers[n]]:.2f}", fontsize=10
    )
    draw_shares(column[1], picture, last[n])
    draw_shares(column[2], picture, flow[n])
    draw_signed(column[3], gradient[n, 0])
for axes in grid.flat:
    axes.set(xticks=[], yticks=[])
for axes, name in zip(grid[:, 0], ("image", "attention,\nlast block", "attention\nrollout", "pixel\ngradient")):
    axes.set_ylabel(name)
save(figure, __file__)
