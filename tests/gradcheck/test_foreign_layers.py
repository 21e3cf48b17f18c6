"""Every kind of layer that people write: a right one is green, a wrong one red with its tensor's name, none crashes.

The tables hold what the user of such a layer writes, one call each: the arguments of check_pair, check_function and
check_layer, and the tensor that the mistake of the wrong one is in.
"""

from functools import partial

import numpy as np
import pytest

from minivit.gradcheck import check_function, check_layer, check_pair

from . import foreign_objects as objects
from . import foreign_pairs as pairs
from .foreign_pairs import AFFINE, LABELS, B, W, X, draw

NORM = {"x": X, "gamma": draw(4), "beta": draw(4, seed=7), "running": {"mean": np.zeros(4)}}
KEYED = {"x": X, "wk": draw(4, 4), "bk": draw(4)}

PAIRS = {  # forward, backward, inputs, options, tensor
    "gradients in order": (pairs.affine_forward, pairs.affine_backward, AFFINE, {}, "w"),
    "gradients by name": (pairs.affine_forward, pairs.affine_named, AFFINE, {}, "w"),
    "dx and a dictionary of dw and db": (pairs.affine_forward, pairs.affine_mixed, AFFINE, {}, "w"),
    "running statistics in a dictionary": (pairs.batchnorm_forward, pairs.batchnorm_backward, NORM, {}, "x"),
    "two outputs": (pairs.gate_forward, pairs.gate_backward, {"x": X, "w": W}, dict(outputs=2), "x"),
    "a tuple of outputs": (pairs.sums_forward, pairs.sums_backward, {"x": X}, {}, "x"),
    "a cache that is used up": (pairs.stack_forward, pairs.popping_backward, {"x": X}, {}, "x"),
    "in place in its own cache": (pairs.stack_forward, pairs.in_place_backward, {"x": X}, {}, "x"),
    "a loss whose gradient is changed in place": (pairs.scaled_loss, pairs.scaled_loss_backward, {"x": X}, {}, "x"),
    "a scalar parameter": (pairs.prelu_forward, pairs.prelu_backward, {"x": X, "a": np.array(0.25)}, {}, "a"),
    "integer indices": (
        pairs.embedding_forward, pairs.embedding_backward, {"ids": LABELS, "table": draw(4, 3)}, {}, "table"),
    "a loop over time": (pairs.rnn_forward, pairs.rnn_backward, {"x": X, "w": draw(4, 4)}, {}, "x"),
    "overlapping windows": (pairs.window_forward, pairs.window_backward, {"x": X}, {}, "x"),
    "zero by the mathematics": (pairs.keyed_forward, pairs.keyed_backward, KEYED, {}, "x"),
    "lists of numbers": (pairs.list_forward, pairs.list_backward, {"x": X}, {}, "x"),
    "numpy.random": (pairs.dropout_forward, pairs.dropout_backward, {"x": X}, dict(seed_numpy=True), "x"),
    "float32 only": (pairs.single_forward, pairs.single_backward, {"x": X, "w": W}, dict(dtype="float32"), "x"),
}  # fmt: skip

FUNCTIONS = {  # function, inputs, tensor
    "a loss and its gradient": (pairs.softmax_loss, {"scores": draw(5, 3), "labels": LABELS}, "scores"),
    "a model with dictionaries": (pairs.model_loss, {"W1": W, "b1": B, "W2": draw(3, 3)}, "W1"),
    "a tape": (pairs.tape_loss, {"x": X, "w": W}, "w"),
}

DICTIONARIES = {"params.w": "grads.w", "params.b": "grads.b"}
LISTS = {"params.0": "grads.0", "params.1": "grads.1"}
NETWORK = {"layers.0.W": "layers.0.dW", "layers.1.params.w": "layers.1.grads.w"}
ATTRIBUTES = {"W": "dW", "b": "db"}
STEPS = {"W": None, "b": None}
TARGET = {"y": X, "target": draw(5, 4, seed=6)}
METHODS = dict(forward="forward_pass", backward="backward_pass")

OBJECTS = {  # class, inputs, params, options, tensor
    "attributes": (objects.WithAttributes, {"x": X}, ATTRIBUTES, {}, "W"),
    "dictionaries": (objects.WithDictionaries, {"inputs": X}, DICTIONARIES, {}, "params.w"),
    "lists": (objects.WithLists, {"x": X}, LISTS, {}, "params.1"),
    "parameters that add up gradients": (
        objects.WithParameters, {"x": X}, {"W.data": "W.grad", "b.data": "b.grad"}, {}, "b.data"),
    "backward takes a step": (objects.WithSteps, {"x": X}, STEPS, dict(rate=1e-3), "W"),
    "backward_pass takes a rate": (objects.WithRate, {"x": X}, STEPS, dict(rate=0.1, **METHODS), "W"),
    "optimizers of its own": (objects.WithOptimizers, {"x": X}, STEPS, dict(rate=0.01), "W"),
    "a cache beside y": (objects.WithCache, {"x": X}, ATTRIBUTES, {}, "W"),
    "every gradient an attribute": (objects.WithInputGradient, {"x": X}, {**ATTRIBUTES, "x": "dx"}, {}, "W"),
    "a loss with backward()": (objects.SquaredError, TARGET, {}, dict(fixed=["target"]), "y"),
    "a loss with backward(dout=1)": (objects.SoftmaxWithLoss, {"x": draw(5, 3), "t": LABELS}, {}, {}, "x"),
    "a network of layers": (objects.Network, {"x": X}, NETWORK, {}, "layers.1.params.w"),
    "two outputs": (objects.Cell, {"x": X}, ATTRIBUTES, dict(outputs=2), "W"),
    "numpy.random": (objects.Dropout, {"x": X}, ATTRIBUTES, dict(seed_numpy=True), "W"),
}  # fmt: skip


def hold(right, wrong, tensor):
    assert right.passed, right
    assert tensor in [row.tensor for row in wrong.failed], wrong
    assert f"FAILED: {tensor}: relative error" in wrong.summary()


@pytest.mark.parametrize("forward, backward, inputs, options, tensor", PAIRS.values(), ids=PAIRS)
def test_pairs(forward, backward, inputs, options, tensor):
    hold(
        check_pair(forward, backward, inputs, **options),
        check_pair(forward, partial(backward, wrong=True), inputs, **options),
        tensor,
    )


@pytest.mark.parametrize("function, inputs, tensor", FUNCTIONS.values(), ids=FUNCTIONS)
def test_functions(function, inputs, tensor):
    hold(check_function(function, inputs), check_function(partial(function, wrong=True), inputs), tensor)


@pytest.mark.parametrize("kind, inputs, params, options, tensor", OBJECTS.values(), ids=OBJECTS)
def test_objects(kind, inputs, params, options, tensor):
    hold(
        check_layer(kind(), inputs, params, **options),
        check_layer(kind(wrong=True), inputs, params, **options),
        tensor,
    )


@pytest.mark.parametrize("seed", range(5))
def test_what_is_right_is_right_for_every_seed(seed):
    for forward, backward, inputs, options, _ in PAIRS.values():
        check_pair(forward, backward, inputs, seed=seed, **options).raise_if_failed()
    for kind, inputs, params, options, _ in OBJECTS.values():
        check_layer(kind(), inputs, params, seed=seed, **options).raise_if_failed()
