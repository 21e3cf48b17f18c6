"""The optimiser against the formulas of the papers, in plain Python; against PyTorch: tests/reference."""

import numpy as np
import pytest

from minivit import optim
from tests import textbook


@pytest.mark.parametrize("name", textbook.CHECKS)
def test_the_optimiser_is_the_textbooks(name):
    textbook.CHECKS[name](optim)


def test_float32_stays_float32():
    params, grads = np.ones(3, np.float32), np.full(3, 2, np.float32)
    state = optim.AdamWState.zeros_like(params)
    assert optim.clip_by_norm(grads, 1.0).dtype == np.float32
    optim.adamw_step(params, grads, state, 0.1, np.full(3, 0.1, np.float32))
    assert {array.dtype.name for array in (params, grads, state.m, state.v)} == {"float32"}


def test_a_first_step_moves_every_entry_by_the_learning_rate_against_its_gradient():
    params, grads = np.zeros(4), np.array([1e3, 1e-3, -1.0, -50.0])
    optim.adamw_step(params, grads, optim.AdamWState.zeros_like(params), 0.25)
    np.testing.assert_allclose(params, -0.25 * np.sign(grads), rtol=2e-5)


@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_a_step_that_clips_is_clipping_and_a_step(limit):
    grads = np.random.default_rng(5).standard_normal(40).astype(np.float32)
    results = []
    for at_once in (True, False):
        params, given = np.linspace(-1, 1, 40, dtype=np.float32), grads.copy()
        state = optim.AdamWState.zeros_like(params)
        if at_once:
            optim.adamw_step(params, given, state, 0.1, grad_norm=optim.norm(given), clip_norm=limit)
        else:
            optim.clip_by_norm(given, limit)
            optim.adamw_step(params, given, state, 0.1)
        results.append(b"".join(array.tobytes() for array in (params, given, state.m, state.v)))
    assert results[0] == results[1]
