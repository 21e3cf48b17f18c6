"""A layer of your own: write it, get its backward pass wrong twice, find where, and correct it.

At the end stands the same layer in the other ways in which layers are written; each is checked by one call.

RMSNorm divides every token by its root mean square and does not subtract the mean: y = gain·x/rms(x).
Zhang, Sennrich 2019 (arXiv:1910.07467), equation 4.
"""

import numpy as np

from minivit.gradcheck import GradientError, check_function, check_layer, check_pair
from minivit.rng import GRADIENT_CHECK, generator


def rmsnorm_forward(x, gain, eps=1e-6):
    """x (..., D), gain (D,)  ->  y (..., D)"""
    scale = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + eps)  # (..., 1)
    xhat = x * scale
    return xhat * gain, (xhat, scale, gain)


def first_backward(dy, cache):
    """A first try: each factor of y = gain·xhat gets dy times the other."""
    xhat, scale, gain = cache
    return dy * gain * scale, dy * xhat


def second_backward(dy, cache):
    """A second try: gain was used by every token, so its gradient is a sum over the tokens."""
    xhat, scale, gain = cache
    return dy * gain * scale, (dy * xhat).sum((0, 1))


def third_backward(dy, cache):
    """Correct: x also affects y through the scale, which depends on every feature of the token.

    d scale/d x_j = -scale³·x_j/D, so the path through the scale adds -scale·xhat·mean(u·xhat), u = gain·dy.
    """
    xhat, scale, gain = cache
    u = dy * gain
    return scale * (u - xhat * (u * xhat).mean(-1, keepdims=True)), (dy * xhat).sum((0, 1))


rng = generator(0, GRADIENT_CHECK)
inputs = {"x": rng.standard_normal((2, 5, 12)), "gain": rng.standard_normal(12)}  # no two sizes are equal

for title, backward in (("First try", first_backward), ("Second try", second_backward), ("Third try", third_backward)):
    print(f"{title}\n{check_pair(rmsnorm_forward, backward, inputs)}\n")

print("The same with the complex step, which is exact to rounding:")
print(check_pair(rmsnorm_forward, third_backward, inputs, method="complex"))

# In a test suite it is one line, and the AssertionError contains all of the above:
check_pair(rmsnorm_forward, third_backward, inputs).raise_if_failed()
try:
    check_pair(rmsnorm_forward, second_backward, inputs).raise_if_failed()
except GradientError as error:
    print(f"\nWhat a test reports for the second try:\n{error}")


# Other ways to write it


def by_name(dy, cache):
    """Gradients in a dictionary, by the names of the inputs, or as "dgain"."""
    dx, dgain = third_backward(dy, cache)
    return {"gain": dgain, "x": dx}


def with_two_outputs(x, gain):
    """Two outputs, y and the norm of every token, and then the cache."""
    y, cache = rmsnorm_forward(x, gain)
    norm = np.sqrt((x * x).sum(-1))
    return y, norm, (cache, x, norm)


def backward_of_two(dy, dnorm, caches):
    cache, x, norm = caches
    dx, dgain = third_backward(dy, cache)
    return dx + x * (dnorm / norm)[..., None], dgain


def loss_and_gradients(x, gain):
    """A number and its gradients together, as a loss or a whole model may return them."""
    y, cache = rmsnorm_forward(x, gain)
    return (y**3).sum(), by_name(3 * y**2, cache)


class RMSNorm:
    """An object that keeps what it needs, its parameters and their gradients."""

    def __init__(self, width):
        self.params, self.grads = {"gain": np.ones(width)}, {}

    def forward(self, x):
        y, self.cache = rmsnorm_forward(x, self.params["gain"])
        return y

    def backward(self, dy):
        dx, self.grads["gain"] = third_backward(dy, self.cache)
        return dx


class SelfTraining(RMSNorm):
    """One whose backward takes the step, too, so that its gradient is nowhere to be seen."""

    def backward(self, dy, learning_rate):
        dx = super().backward(dy)
        self.params["gain"] -= learning_rate * self.grads["gain"]
        return dx


class MeanSquare:
    """A loss, whose backward takes nothing."""

    def forward(self, y):
        self.y = y
        return (y * y).mean()

    def backward(self):
        return 2 * self.y / self.y.size


x = {"x": inputs["x"]}
print("\nThe same layer, written in other ways:")
for report in (
    check_pair(rmsnorm_forward, by_name, inputs, name="gradients by name"),
    check_pair(with_two_outputs, backward_of_two, inputs, outputs=2, name="two outputs"),
    check_function(loss_and_gradients, inputs, name="value and gradients"),
    check_layer(RMSNorm(12), x, {"params.gain": "grads.gain"}, name="object"),
    check_layer(SelfTraining(12), x, {"params.gain": None}, rate=1e-3, name="step inside backward"),
    check_layer(MeanSquare(), {"y": inputs["x"]}, name="loss"),
):
    print(report.summary())
