"""`minivit walk` shows the numbers of the real model, the lines that make them, and slopes that agree."""

import re
from pathlib import Path

import numpy as np
import pytest

import minivit
from minivit import cross_entropy_backward, cross_entropy_forward, vit_backward, vit_forward
from minivit.data import load
from minivit.initial import initial_params
from minivit.learn.passes import TINY, norm, run_walk
from minivit.learn.walk import walk
from minivit.preprocess.arrays import normalise

INDEX = 7


@pytest.fixture(scope="module")
def it():
    return run_walk(INDEX)


@pytest.fixture(scope="module")
def model():
    """(logits, loss, gradients, gradient of the images) of the model itself for the same digit."""
    test = load("mnist5k").test
    images, labels = normalise(test.images[INDEX : INDEX + 1], TINY, "float64"), test.labels[INDEX : INDEX + 1]
    logits, cache = vit_forward(initial_params(TINY, dtype="float64"), images, TINY)
    loss, loss_cache = cross_entropy_forward(logits, labels)
    return logits, loss, *vit_backward(cross_entropy_backward(1.0, loss_cache), cache)


def test_the_graph_is_the_model(it, model):
    logits, loss, grads, dimages = model
    assert np.allclose(it.values["logits"], logits, rtol=1e-13, atol=0)
    assert np.isclose(it.values["loss"], loss, rtol=1e-13)
    assert np.allclose(it.gradients["images"], dimages, rtol=0, atol=1e-13)
    for name, gradient in grads.items():
        assert np.allclose(it.gradients[name], gradient, rtol=0, atol=1e-12), name
    assert set(grads) < set(it.gradients) == set(it.values)


def test_every_gradient_is_the_slope_that_differences_measure(it):
    assert set(it.slopes) == set(it.gradients) - {"loss"}
    for name, slope in it.slopes.items():
        assert slope == pytest.approx(norm(it.gradients[name]), rel=1e-6), name


def test_shapes_of_gradients_are_those_of_values(it):
    for name, value in it.values.items():
        assert np.shape(it.gradients[name]) == np.shape(value), name


def test_places_are_lines_of_the_package_that_compute(it):
    root = Path(minivit.__file__).parents[1]
    places = [step.operation.place for step in it.steps]
    places += [gradient.place for step in it.steps for gradient in step.operation.gradients]
    for place in places:
        path, line = str(place).split(":")
        code = (root / path).read_text(encoding="utf-8").splitlines()[int(line) - 1]
        assert code.strip().startswith(place.begins) and "minivit/ops/" in path
    for step in it.steps:
        assert len(step.operation.gradients) == len(step.inputs)
        assert "backward" not in step.operation.place.function.__name__


def test_the_text_has_every_tensor_once_each_way(it):
    forward, backward = walk(INDEX).split("GRADIENT WITH RESPECT TO")
    made = [step.name for step in it.steps]
    shown = [re.findall(r"^([\w.]+) +\(", part, re.M) for part in (forward, backward)]
    assert sorted(shown[0]) == sorted(it.values) and sorted(shown[1]) == sorted(set(it.values) - {"loss"})
    assert [name for name in shown[0] if name in made] == made
    assert shown[1] == [name for name in reversed(shown[0]) if name != "loss"]
    assert max(map(len, walk(INDEX).splitlines())) <= 120


def test_the_text_says_the_numbers(it):
    text = walk(INDEX)
    assert text.startswith(f"Test digit {INDEX}, a {it.label}, through a tiny untrained model of 1250 parameters")
    row = re.search(r"^logits +\(1, 10\) +(\S+) +(\S+) +(\S+)", text.split("GRADIENT")[1], re.M)
    assert float(row[1]) == pytest.approx(norm(it.gradients["logits"]), rel=1e-5)
    assert float(row[2]) == pytest.approx(it.slopes["logits"], rel=1e-5)
    assert float(row[3]) == pytest.approx(it.gradients["logits"][0, 0], rel=1e-3)
    assert "= normed1 @ blocks.0.attn.qkv.weight + blocks.0.attn.qkv.bias" in text
    assert "+ rstd·(u - mean(u) - xhat·mean(u·xhat)), u = dnormed1·blocks.0.norm1.weight" in text
    assert float(re.search(r"(\S+) of its norm\.$", text)[1]) < 1e-6


@pytest.mark.parametrize("index", [-1, 1000])
def test_a_digit_that_there_is_not(index):
    with pytest.raises(ValueError, match=f"^there is no digit {index}: the bundled test digits are numbered 0 to 999$"):
        walk(index)
