"""A layer of your own: write it, get its backward pass wrong twice, find where, and correct it.

RMSNorm divides every token by its root mean square and does not subtract the mean: y = gain·x/rms(x).
Zhang, Sennrich 2019 (arXiv:1910.07467), equation 4.
"""

import numpy as np

from minivit.gradcheck import GradientError, check_pair
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
