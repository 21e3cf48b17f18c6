"""The class token belongs to no patch. It starts as the same vector in every image, and the classifier reads it.

In between, attention gathers information from the patches into it. (The trained model's classifier reads the mean of
the patches beside it: minivit/ops/pool.py.) Its gradient is the sum over all images, because every image uses the same
vector (minivit/ops/class_token.py).
"""

import numpy as np
from common import BLUE, ORANGE, inputs, new_figure, save, test_digits, trained

from minivit import cross_entropy_backward, cross_entropy_forward

model = trained()
images, labels = (part[::8] for part in test_digits())
x = inputs(model, images)
logits, cache = model.forward(x)
depths = [block.norm1.xhat[:, 0] for block in cache.blocks] + [cache.norm.xhat[:, 0]]  # (B, D) each: the class token
print(
    f"class token {model.params['cls_token'].shape}, in {len(images)} images {depths[0].shape}, at {len(depths)} depths"
)

same_class = labels[:, None] == labels
np.fill_diagonal(same_class, False)
other_class = labels[:, None] != labels
directions = [token / np.linalg.norm(token, axis=1, keepdims=True) for token in depths]
alike = [d @ d.T for d in directions]  # (B, B): cosines
within = [cosines[same_class].mean() for cosines in alike]
between = [cosines[other_class].mean() for cosines in alike]
for depth, (a, b) in enumerate(zip(within, between)):
    print(f"after {depth} blocks: similarity {a:.2f} within a class, {b:.2f} between classes")
assert np.allclose(alike[0], 1, atol=1e-3)  # before the first block it is the same for every image


def token_gradient(rows: slice) -> np.ndarray:
    """The gradient of the summed loss of some images with respect to the class token, (1, 1, D)."""
    logits, cache = model.forward(x[rows])
    _, loss_cache = cross_entropy_forward(logits, labels[rows])
    dlogits = cross_entropy_backward(len(logits), loss_cache)  # dloss = B undoes the mean over the batch
    return model.backward(dlogits, cache)[0]["cls_token"]


whole, one_by_one = token_gradient(slice(8)), sum(token_gradient(slice(i, i + 1)) for i in range(8))
print(f"gradient of 8 images minus the sum of their gradients: {abs(whole - one_by_one).max():.1e}")
assert np.allclose(whole, one_by_one, atol=1e-4)

figure = new_figure(3.8)
left, right = figure.subplots(1, 2)
left.plot(within, "o-", color=BLUE, label="digits of the same class")
left.plot(between, "s--", color=ORANGE, label="digits of different classes")
left.set(xlabel="encoder blocks passed", ylabel="similarity of class tokens (cosine)", xticks=range(len(depths)))
left.legend(loc="lower left")
left.set_title("identical at first, then separated by class")
centred = depths[-1] - depths[-1].mean(0)
plane = np.linalg.svd(centred, full_matrices=False)[2][:2]  # the two directions in which the tokens differ most
for (across, up), label in zip(centred @ plane.T, labels):
    right.text(across, up, label, ha="center", va="center", fontsize=9, color=f"C{label}")
right.set(xlim=(-8, 8), ylim=(-8, 8), xticks=[], yticks=[], xlabel="first principal direction", ylabel="second")
right.set_title(f"after {len(cache.blocks)} blocks: what the classifier reads")
save(figure, __file__)
