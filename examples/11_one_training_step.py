"""One full training step: forward, loss, backward, update, with the norm of every tensor and of its gradient.

It takes the tiny model of `minivit walk` and one digit. Forward, the tensors are computed from top to bottom; backward,
their gradients from bottom to top; then AdamW changes every parameter a little (minivit/model.py, minivit/optim.py).
"""

import numpy as np
from common import BLUE, GREEN, ORANGE, new_figure, save

from minivit.learn import backward, forward, run_walk
from minivit.optim import AdamWState, adamw_step, clip_by_norm
from minivit.params import Params

it = run_walk(0)  # a test digit
made = ["images", *(step.name for step in it.steps)]
names = [name for name in dict.fromkeys(n for step in it.steps for n in step.inputs) if name not in made]
params = Params.zeros({name: it.values[name].shape for name in names}, "float64")
grads = params.empty_like()
for name in names:
    params[name], grads[name] = it.values[name], it.gradients[name]
before = params.copy()

print(f"{'tensor':<10}{'shape':<17}{'norm':>9}{'gradient':>10}")
for name in made:
    value, gradient = it.values[name], it.gradients[name]
    print(f"{name:<10}{np.shape(value)!s:<17}{np.linalg.norm(value):>9.3f}{np.linalg.norm(gradient):>10.4f}")

norm = float(clip_by_norm(grads.flat, 1.0))  # all gradients as one vector, of norm at most 1
adamw_step(params.flat, grads.flat, AdamWState.zeros_like(params.flat), learning_rate=0.01)
print(
    f"\nall {params.flat.size} gradients, as one vector: norm {norm:.3f}, clipped to {np.linalg.norm(grads.flat):.3f}"
)
values, caches = forward(it.steps, {"images": it.values["images"], **params})
again = backward(it.steps, caches)
print(f"loss {float(it.values['loss']):.4f} before the step, {float(values['loss']):.4f} after it")
assert values["loss"] < it.values["loss"] and set(again) == set(it.gradients)

figure = new_figure(6.6)
left, right = figure.subplots(1, 2)
rows = np.arange(len(made))
left.plot([np.linalg.norm(it.values[n]) for n in made], rows, "o", color=BLUE, label="the tensor  ↓ forward")
left.plot([np.linalg.norm(it.gradients[n]) for n in made], rows, "s", color=ORANGE, label="its gradient  ↑ backward")
left.set(title="activations", yticks=rows, yticklabels=made)
rows = np.arange(len(names))
moved = [np.linalg.norm(params[n] - before[n]) for n in names]
right.plot(
    [np.linalg.norm(before[n]) or np.nan for n in names], rows, "o", color=BLUE, label="the parameter (not shown if 0)"
)
right.plot([np.linalg.norm(it.gradients[n]) for n in names], rows, "s", color=ORANGE, label="its gradient")
right.plot(moved, rows, "^", color=GREEN, label="AdamW's step")
right.set(title="parameters", yticks=rows, yticklabels=[n.removeprefix("blocks.0.") for n in names])
for axes in (left, right):
    axes.set(xlabel="norm", xscale="log")
    axes.invert_yaxis()
    axes.grid(axis="y", alpha=0.3)
    axes.tick_params(axis="y", labelsize=9)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), fontsize=9)
save(figure, __file__)
