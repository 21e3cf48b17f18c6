"""check_layer: it leaves the layer alone, moves its parameters, and says what it cannot find."""

import copy
import threading

import numpy as np
import pytest

from minivit.gradcheck import check_layer
from minivit.gradcheck.paths import read, write

from .foreign_objects import (
    Network,
    WithAttributes,
    WithCache,
    WithDictionaries,
    WithParameters,
    WithRate,
    WithSteps,
)
from .foreign_pairs import W, X, layernorm_backward, layernorm_forward

PLACES = {"W": "dW", "b": "db"}


class LayerNorm:
    """With a scale of ones, as initialised, a mistake in dx cannot be seen."""

    def __init__(self, wrong=False):
        self.gamma, self.wrong = np.ones(4), wrong

    def forward(self, x):
        y, self.cache = layernorm_forward(x, self.gamma)
        return y

    def backward(self, dy):
        dx, self.dgamma = layernorm_backward(dy, self.cache, self.wrong)
        return dx


def test_parameters_are_moved_off_their_initial_values():
    assert check_layer(LayerNorm(), {"x": X}, {"gamma": "dgamma"}).passed
    (row,) = check_layer(LayerNorm(wrong=True), {"x": X}, {"gamma": "dgamma"}).failed
    assert row.tensor == "x"
    report = check_layer(LayerNorm(wrong=True), {"x": X}, {"gamma": "dgamma"}, move=0)
    assert report.passed and report.notes[0].startswith("gamma is all ones, which hides missing terms")


@pytest.mark.parametrize("kind", [WithAttributes, WithSteps])
def test_the_layer_is_left_alone(kind):
    layer = kind()
    layer.forward(X)
    before = copy.deepcopy(vars(layer))
    check_layer(layer, {"x": X}, {"W": None, "b": None} if kind is WithSteps else PLACES, rate=1e-3).raise_if_failed()
    after = vars(layer)
    assert list(after) == list(before)
    assert all(np.array_equal(after[name], value) for name, value in before.items())


def test_a_layer_that_was_used_is_checked_as_a_fresh_one():
    layer = WithParameters()
    layer(X)
    layer.backward(np.ones((5, 3)))
    assert check_layer(layer, {"x": X}, {"W.data": "W.grad", "b.data": "b.grad"}).passed


def test_an_array_that_two_names_share_stays_one():
    class Shared(WithAttributes):
        def __init__(self):
            super().__init__()
            self.params = {"W": self.W, "b": self.b}

    assert check_layer(Shared(), {"x": X}, {"params.W": "dW", "params.b": "db"}).passed  # forward uses self.W


def test_numbers_lists_and_properties_are_parameters_too():
    class Scale:
        def __init__(self):
            self.factor, self.shift, self._bias = 0.5, [0.1, 0.2, 0.3, 0.4], np.zeros(4)

        @property
        def bias(self):
            return self._bias.copy()

        @bias.setter
        def bias(self, value):
            self._bias = value

        def forward(self, x):
            self.x = x
            return self.factor * x + np.asarray(self.shift) + self._bias

        def backward(self, dy):
            self.dfactor, self.dshift = float((dy * self.x).sum()), list(dy.sum(0))
            return self.factor * dy

    places = {"factor": "dfactor", "shift": "dshift", "bias": "dshift"}
    report = check_layer(Scale(), {"x": X}, places)
    assert report.passed and [row.shape for row in report.rows] == [(5, 4), (), (4,), (4,)]
    assert check_layer(Scale(), {"x": X}, places, method="complex").passed


@pytest.mark.parametrize("method", ["differences", "complex", "dense"])
def test_every_method(method):
    report = check_layer(Network(), {"x": X}, {"layers.0.W": "layers.0.dW"}, method=method)
    assert report.passed and report.name == "Network" and report.method == method


def test_inputs_go_by_name_where_the_names_are_the_layers_and_in_order_otherwise():
    class Difference:
        def forward(self, a, b):
            return a - 2 * b

        def backward(self, dy):
            return {"a": dy, "b": -2 * dy, "p": dy, "q": -2 * dy}

    for names in ("ab", "ba", "pq"):
        report = check_layer(Difference(), dict(zip(names, (X, X + 1))))
        assert report.passed, report


def test_the_gradient_of_a_sum_where_backward_takes_nothing():
    class Squares:
        def forward(self, x):
            self.x = x
            return x * x

        def backward(self):
            return 2 * self.x

    assert check_layer(Squares(), {"x": X}).passed


def test_a_gradient_that_is_missing_after_backward_is_named():
    (row,) = check_layer(WithAttributes(), {"x": X}, {"W": "dW", "b": "dbias"}).failed
    assert row.tensor == "backward" and "dbias" in row.problem


def test_the_wrong_rate_is_a_wrong_factor():
    rows = check_layer(WithSteps(), {"x": X}, {"W": None, "b": None}, rate=1e-2).failed
    assert [row.tensor for row in rows] == ["W", "b"]
    assert all("Every entry is 0.1 times what it should be: look for a factor" in row.problem for row in rows)


@pytest.mark.parametrize(
    "layer, arguments, words",
    [
        (WithAttributes(), dict(params={"V": "dV"}), r"the layer has no V \(AttributeError: "),
        (WithDictionaries(), dict(params={"params.v": "grads.v"}), r"the layer has no params.v \(KeyError: 'v'\)"),
        (WithAttributes(), dict(params={"forward": "dW"}), "forward is a method, not an array of numbers"),
        (
            WithSteps(),
            dict(params={"W": None}),
            "a gradient of None is taken from the step that backward makes: give rate",
        ),
        (
            WithRate(),
            {},
            "the layer has no method backward: its methods are backward_pass, forward, forward_pass, gradients",
        ),
        (WithRate(), dict(backward="backward_pass"), "backward takes learning_rate: give rate"),
    ],
)
def test_what_cannot_be_found_is_named(layer, arguments, words):
    with pytest.raises(ValueError, match=words):
        check_layer(layer, {"x": X}, **arguments)


def test_a_layer_that_cannot_be_copied_says_so():
    layer = WithAttributes()
    layer.lock = threading.Lock()
    with pytest.raises(ValueError, match=r"the layer cannot be copied \(cannot pickle '_thread.lock' object\)"):
        check_layer(layer, {"x": X}, PLACES)


def test_a_cache_beside_y_must_be_there():
    class NoCache(WithCache):
        def forward(self, x):
            return x @ self.W + self.b

    (row,) = check_layer(NoCache(), {"x": X}, PLACES).failed
    assert row.tensor == "forward" and "raised ValueError: too many values to unpack" in row.problem


def test_float32_layers():
    class Single(WithAttributes):
        def forward(self, x):
            self.x = x.astype("f")
            return self.x @ self.W.astype("f") + self.b.astype("f")

    report = check_layer(Single(), {"x": X}, PLACES, dtype="float32")
    assert report.passed and report.rows[0].note == "float32: bound 1e-03"


def test_paths():
    class Box:
        pass

    box = Box()
    box.layers, box.named, box.values = [{"w": 1}, Box()], {"blocks.0.w": 2, 3: "three"}, (4, 5)
    box.layers[1].w = 6
    assert [read(box, path) for path in ("layers.0.w", "named.blocks.0.w", "named.3", "values.1", "layers.1.w")] == [
        1, 2, "three", 5, 6
    ]  # fmt: skip
    for path in ("layers.0.w", "layers.1.w", "named.blocks.0.w", "named.3", "layers.1"):
        write(box, path, W)
        assert read(box, path) is W
    with pytest.raises(AttributeError):
        read(box, "nothing.w")
    with pytest.raises(LookupError):
        read(box, "values.7")
