"""Training repeats that step on shuffled digits. Random augmentation makes every copy of a digit a little different.

The model is small and trains in seconds. The loss of a single batch is noisy; what counts is the error on held-out
digits (minivit/train/loop.py). `minivit train` trains for longer and ends below 2 %.
"""

import numpy as np
from common import BLUE, GREY, ORANGE, error, new_figure, save, test_digits, train_briefly

model, losses, errors = train_briefly()
print(f"{model.params.flat.size} parameters, {len(losses)} steps of 40 digits")
print(f"the first loss is {losses[0]:.3f}; random guessing among 10 classes would give log 10 = {np.log(10):.3f}")
for step, train, valid in errors:
    print(f"step {step:>4}: error {100 * train:4.1f} % on training digits, {100 * valid:4.1f} % on held-out digits")
test = error(model, test_digits())
print(f"on the 1,000 test digits, used once: {100 * test:.1f} %")
assert losses[-1] < 0.7 * losses[0] and test < 0.2

figure = new_figure(3.5)
left, right = figure.subplots(1, 2)
smooth = np.convolve(losses, np.ones(20) / 20, "valid")
left.plot(losses, color=GREY, alpha=0.4, linewidth=1, label="a batch")
left.plot(np.arange(len(smooth)) + 19, smooth, color=BLUE, linewidth=2.5, label="mean of 20")
left.axhline(np.log(10), color=ORANGE, linestyle="--", label="random guessing: log 10")
left.set(xlabel="step", ylabel="cross-entropy, smoothed labels", ylim=(0, None))
left.legend(loc="lower left")
steps, train, valid = np.array(errors).T
right.semilogy(steps, 100 * train, "o-", color=BLUE, label="training digits")
right.semilogy(steps, 100 * valid, "s--", color=ORANGE, label="held-out digits")
right.set(xlabel="step", ylabel="error (%)", yticks=[5, 10, 20, 50], yticklabels=[5, 10, 20, 50])
right.minorticks_off()
right.legend()
save(figure, __file__)
