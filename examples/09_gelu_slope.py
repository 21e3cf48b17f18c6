"""GELU multiplies every feature by the probability that a standard normal variable is smaller: y = x·Φ(x).

Unlike ReLU it is smooth, and its slope is not zero for negative features, so gradients still pass. The figure shows the
slope together with the distribution of the features of real digits (minivit/ops/gelu.py).
"""

import numpy as np
from common import BLUE, GREY, ORANGE, inputs, new_figure, save, test_digits, trained

from minivit.ops import gelu_backward, gelu_forward

x = np.linspace(-4, 4, 801)
y, cache = gelu_forward(x)
slope = gelu_backward(np.ones_like(x), cache)
h = 1e-5
measured = (gelu_forward(x + h)[0] - gelu_forward(x - h)[0]) / (2 * h)
print(
    f"slope at 0 {slope[400]:.3f}; smallest y {y.min():.4f} at x = {x[y.argmin()]:.2f}; largest slope {slope.max():.3f}"
)
print(f"largest difference between slope and finite difference: {abs(slope - measured).max():.1e}")
print(f"slope(x) + slope(-x) = 1 up to {abs(slope + slope[::-1] - 1).max():.1e}")
assert abs(slope - measured).max() < 1e-9 and np.allclose(slope + slope[::-1], 1)

tanh, _ = gelu_forward(x, "tanh")
print(f"the tanh formula is off by at most {abs(tanh - y).max():.1e}")

model = trained()
_, cache = model.forward(inputs(model, test_digits().images[::20]), all_tokens=True)
features = np.concatenate([block.mlp.gelu.x.ravel() for block in cache.blocks])  # of every token in every block
print(
    f"{features.size:,} features of real digits: {100 * (features < 0).mean():.0f} % negative, where ReLU's slope is 0"
)

figure = new_figure(3.6)
left, right = figure.subplots(1, 2)
left.plot(x, y, color=BLUE, linewidth=2.5, label="GELU")
left.plot(x, np.maximum(x, 0), color=ORANGE, linestyle="--", label="ReLU")
left.set(xlabel="x", ylabel="y", title="the value", ylim=(-0.6, 4))
left.legend()
right.hist(features, np.linspace(-4, 4, 81), weights=np.full(features.size, 8 / features.size), color="#dddddd")
right.plot(x, slope, color=BLUE, linewidth=2.5, label="GELU")
right.plot(x, x > 0, color=ORANGE, linestyle="--", label="ReLU")
right.text(-3.9, 0.3, "histogram of features\nof real digits", color=GREY, fontsize=9)
right.set(xlabel="x", ylabel="dy/dx", title="the slope")
right.legend(loc="upper left")
save(figure, __file__)
