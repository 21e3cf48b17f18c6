"""One full training step: forward, loss, backward, update, with the norm of every tensor and of its gradient.

It takes the tiny model of `minivit walk` and one digit. Forward, the tensors are computed from top to bottom; backward,
their gradients from bottom to top; then AdamW changes every parameter a little (minivit/model.py, minivit/optim.py).
"""

import numpy as np
from common import BLUE, GREEN, ORANGE, new_figure, save

from minivit.learn import record
from minivit.learn.walk import record_digit
from minivit.optim import AdamWState, adamw_step, clip_by_norm

tape = record_digit(0)  # a test digit through the tiny model
steps = tape.steps
made = [step.name for step in steps.values() if step.kind != "parameter"]
names = list(tape.params)
params, grads = tape.params.copy(), tape.params.empty_like()
for name in names:
    grads[name] = steps[name].grad

print(f"{'tensor':<24}{'shape':<15}{'norm':>9}{'gradient':>10}")
for name in made:
    value, gradient = steps[name].value, steps[name].grad
    print(f"{name:<24}{value.shape!s:<15}{np.linalg.norm(value):>9.3f}{np.linalg.norm(gradient):>10.4f}")

norm = float(clip_by_norm(grads.flat, 1.0))  # all gradients as one vector, of norm at most 1
adamw_step(params.flat, grads.flat, AdamWState.zeros_like(params.flat), learning_rate=0.01)
print(
    f"\nall {params.flat.size} gradients, as one vector: norm {norm:.3f}, clipped to {np.linalg.norm(grads.flat):.3f}"
)
after = record(params, tape.config, steps["image"].value, tape.label)
print(f"loss {tape.loss:.4f} before the step, {after.loss:.4f} after it")
assert after.loss < tape.loss

figure = new_figure(6.6)
left, right = figure.subplots(1, 2)
rows = np.arange(len(made))
left.plot([np.linalg.norm(steps[n].value) for n in made], rows, "o", color=BLUE, label="the tensor  ↓ forward")
left.plot([np.linalg.norm(steps[n].grad) for n in made], rows, "s", color=ORANGE, label="its gradient  ↑ backward")
left.set(title="activations", yticks=rows, yticklabels=[n.removeprefix("blocks.0.") for n in made])
rows = np.arange(len(names))
moved = [np.linalg.norm(params[n] - tape.params[n]) for n in names]
sizes = [np.linalg.norm(tape.params[n]) or np.nan for n in names]
right.plot(sizes, rows, "o", color=BLUE, label="the parameter (not shown if 0)")
right.plot([np.linalg.norm(steps[n].grad) for n in names], rows, "s", color=ORANGE, label="its gradient")
right.plot(moved, rows, "^", color=GREEN, label="AdamW's step")
right.set(title="parameters", yticks=rows, yticklabels=[n.removeprefix("blocks.0.") for n in names])
for axes in (left, right):
    axes.set(xlabel="norm", xscale="log")
    axes.invert_yaxis()
    axes.grid(axis="y", alpha=0.3)
    axes.tick_params(axis="y", labelsize=9)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), fontsize=9)
save(figure, __file__)
