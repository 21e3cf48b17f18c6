"""Is a gradient that was written by hand correct? It is checked against numerical derivatives of the forward pass.

For a layer of your own, a forward pass `y, cache` and a backward pass `gradients`:

    import numpy as np
    from minivit.gradcheck import check_pair

    def scale_forward(x, gain):
        return x * gain, (x, gain)

    def scale_backward(dy, cache):
        x, gain = cache
        return dy * gain, (dy * x).sum()            # wrong: gain is (4,), so the sum is over the rows only

    rng = np.random.default_rng(0)
    report = check_pair(scale_forward, scale_backward, {"x": rng.normal(size=(3, 4)), "gain": rng.normal(size=4)})
    print(report)                                   # a table, and under it: "gain: its gradient has shape () ..."
    report.raise_if_failed()                        # in a test: GradientError, an AssertionError

Layers come in many forms; each is one call:

    check_pair(f, b, inputs)                                            # dx, dgain or {"gain": dgain, "x": dx}
    check_pair(f, b, inputs, outputs=2)                                 # h, c, cache = f(...);  b(dh, dc, cache)
    check_function(loss, {"x": x, "y": labels})                         # value, gradients = loss(...)
    check_function(lambda **p: model_loss(p, x, labels), params)        # a model with dictionaries
    check_layer(layer, {"x": x}, {"W": "dW", "b": "db"})                # an object: its parameters, and their gradients
    check_layer(layer, {"x": x}, {"params.0": "grads.0", "b.data": "b.grad"})     # keys, indices, attributes
    check_layer(layer, {"x": x}, {"W": None}, rate=1e-3)                # backward takes a step of gradient descent
    check_layer(MeanSquaredError(), {"y": y, "target": t}, fixed=["target"])      # backward() of a loss

For a layer that draws from numpy.random add `seed_numpy=True`, for one that computes in float32 only
`dtype="float32"`. A tape or another library is checked as a function that makes its tensors from arrays and returns the
value and the gradients as arrays. What is not checked is said under the table, and an exception is a row of it.

`check_pair` explains its three methods, the error it measures, and what it finds besides wrong numbers: kinks,
randomness, inputs that are written to. `check_model` does the same for a whole model, `CASES` and `SWITCHES` are the
tables that minivit's own gradients are held against, and `run` checks all of them.
"""

from .cases import CASES, FLOAT32_CASES, NORMAL, TINY, Case, Sizes
from .check_model import check_model
from .checker import check_pair
from .curve import plot_curve
from .function import check_function
from .layers import check_layer
from .model_cases import SWITCHES, Switch
from .report import GradientError, Report, Results, Row
from .suite import run, run_model

__all__ = [
    "CASES",
    "FLOAT32_CASES",
    "NORMAL",
    "SWITCHES",
    "TINY",
    "Case",
    "GradientError",
    "Report",
    "Results",
    "Row",
    "Sizes",
    "Switch",
    "check_function",
    "check_layer",
    "check_model",
    "check_pair",
    "plot_curve",
    "run",
    "run_model",
]
