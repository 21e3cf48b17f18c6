"""An AdamW step on one image: the loss falls, every parameter tensor moves, and undoing gives back what was before."""

import copy

import numpy as np
import pytest

from minivit.learn import Bug, record
from minivit.learn.update import not_updated, update
from minivit.learn.walk import record_digit
from minivit.optim import AdamWState, adamw_step, decay_vector
from minivit.run import load_run


@pytest.fixture(scope="module", params=["tiny", "pretrained"])
def begin(request):
    return not_updated(record_digit(0, None if request.param == "tiny" else load_run("pretrained").model))


def test_the_loss_falls_and_every_tensor_moves(begin):
    one = update(begin)
    two = update(one)
    assert two.tape.loss < one.tape.loss < begin.tape.loss
    assert set(one.moved) == set(begin.tape.params) and min(one.moved.values()) > 0
    assert set(begin.moved.values()) == {0.0}
    assert two.state.step == 2 and one.state.step == 1 and begin.state.step == 0


def test_the_step_is_adamws(begin):
    params, state = begin.tape.params.copy(), AdamWState.zeros_like(begin.tape.params.flat)
    decay = decay_vector(params.shapes, 0.1, "float64")
    adamw_step(params.flat, begin.tape.grads.flat.copy(), state, 0.01, decay)
    one = update(begin, 0.01, 0.1)
    assert one.tape.params == params and one.state == state


def test_undoing_gives_back_what_was_there(begin):
    flat, grads = begin.tape.params.flat.copy(), begin.tape.grads.flat.copy()
    state = copy.copy(begin.state)
    one = update(begin)
    update(one)
    assert one.before is begin and begin.state == state
    assert np.array_equal(begin.tape.params.flat, flat) and np.array_equal(begin.tape.grads.flat, grads)
    again = update(one.before)
    assert again.tape.params == one.tape.params and again.tape.loss == one.tape.loss


def test_another_class_can_be_taught():
    model = load_run("pretrained").model
    tape = record_digit(0, model)
    last = not_updated(record(model.params, model.config, tape.steps["image"].value, (tape.label + 3) % 10))
    for _ in range(10):
        last = update(last)
    assert last.tape.logits.argmax() == last.tape.label != tape.label


def test_a_bug_moves_the_parameters_too():
    tape = record_digit(0)
    bug = Bug("sign", "", "ops.loss", "dlogits = probabilities - targets", "dlogits = targets - probabilities", "", "")
    wrong = not_updated(record(tape.params, tape.config, tape.steps["image"].value, tape.label, bug))
    assert update(wrong).tape.loss > wrong.tape.loss
