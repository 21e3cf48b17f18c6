"""The loss is -log of the probability given to the right class. Its gradient with respect to the logits is p - t.

That is prediction minus target: it sums to zero over the classes. The loss is the mean over a batch of B images, so the
gradient of each image is divided by B (minivit/ops/loss.py).
"""

import numpy as np
from common import BLUE, GREY, ORANGE, inputs, new_figure, save, show_digit, test_digits, trained

from minivit import cross_entropy_backward, cross_entropy_forward

model = trained()
images, labels = test_digits()
right = model.predict(images)[np.arange(len(labels)), labels]  # the probability of the right class
one = int(abs(right - 0.5).argmin())  # a digit about which the model is undecided
image, label = images[one : one + 1], labels[one : one + 1]
logits = model.forward(inputs(model, image))[0].astype("float64")
loss, cache = cross_entropy_forward(logits, label)
dlogits = cross_entropy_backward(1.0, cache)
p, t = cache.probabilities[0], cache.targets[0]
print(f"a {label[0]}: probability p = {p[label[0]]:.3f}, loss = -log p = {loss:.4f}")
assert np.isclose(loss, -np.log(p[label[0]])) and np.allclose(dlogits, p - t) and abs(dlogits.sum()) < 1e-12

h = 1e-5
measured = np.array(
    [
        (cross_entropy_forward(logits + h * e, label)[0] - cross_entropy_forward(logits - h * e, label)[0]) / (2 * h)
        for e in np.eye(10)
    ]
)
print("class      " + "".join(f"{k:>9}" for k in range(10)))
for name, row in {"logits z": logits[0], "p": p, "p - t": dlogits[0], "measured": measured}.items():
    print(f"{name:<11}" + "".join(f"{value:>9.4f}" for value in row))
assert np.allclose(measured, dlogits, atol=1e-8)

_, four = cross_entropy_forward(np.repeat(logits, 4, 0), np.repeat(label, 4))
part = abs(cross_entropy_backward(1.0, four)[0]).max() / abs(dlogits).max()
print(f"in a batch of 4, the gradient of each image is {part:.2f} as large")

figure = new_figure(3.4)
digit, *panels = figure.subplots(1, 4, width_ratios=[0.7, 1, 1, 1.25])
show_digit(digit, image[0])
digit.set_title(f"a {label[0]}")
classes = np.arange(10)
panels[0].bar(classes, logits[0], color=GREY)
panels[0].set_title("logits z")
panels[1].bar(classes, p, color=BLUE, label="p = softmax(z)")
panels[1].step(np.append(classes - 0.5, 9.5), np.append(t, t[-1]), where="post", color=ORANGE, label="target t")
panels[1].set_title("probabilities")
panels[1].set_ylim(0, 1.35)
panels[1].legend(fontsize=9, loc="upper left")
panels[2].bar(classes, dlogits[0], color=np.where(dlogits[0] > 0, BLUE, ORANGE))
panels[2].plot(classes, measured, "k.", markersize=5, label="finite difference")
panels[2].axhline(0, color="black", linewidth=0.8)
panels[2].set_title("gradient p - t")
panels[2].legend(fontsize=9)
for axes in panels:
    axes.set(xlabel="class", xticks=classes)
    axes.tick_params(labelsize=9)
save(figure, __file__)
