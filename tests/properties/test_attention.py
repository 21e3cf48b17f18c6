"""Attention knows no order: not of the tokens, not of the heads."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minivit.ops.attention import attention_backward, attention_forward

from .strategies import SEEDS, normal, sizes


@st.composite
def problems(draw):
    """x, Wqkv, bqkv, Wproj, bproj, heads, mask, dy of some attention layer, and a generator."""
    B, T, H, Dh, seed = draw(sizes(1, 3)), draw(sizes(1, 5)), draw(sizes(1, 3)), draw(sizes(1, 4)), draw(SEEDS)
    D = H * Dh
    Wqkv, bqkv, Wproj, bproj = normal(seed, D, 3 * D), normal(seed, 3 * D), normal(seed, D, D), normal(seed, D)
    rng = np.random.default_rng(seed)
    mask = (rng.random((B, H, T, T)) < 0.7) / 0.7 if draw(st.booleans()) else None
    bqkv = bqkv if draw(st.booleans()) else None
    return normal(seed, B, T, D), Wqkv, bqkv, Wproj, bproj, H, mask, normal(seed + 1, B, T, D), rng


def assert_close(one, other):
    for a, b in zip(one, other, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10 * max(1, np.abs(b).max()))


@given(problems())
def test_tokens_in_another_order_come_out_in_that_order(problem):
    x, *weights, heads, mask, dy, rng = problem
    y, cache = attention_forward(x, *weights, heads, mask)
    dx, *dweights = attention_backward(dy, cache)

    order = rng.permutation(x.shape[1])
    mask = None if mask is None else mask[:, :, order][..., order]
    moved, cache = attention_forward(x[:, order], *weights, heads, mask)
    moved_dx, *moved_dweights = attention_backward(dy[:, order], cache)
    assert_close([moved, moved_dx, *moved_dweights], [y[:, order], dx[:, order], *dweights])


@given(problems())
def test_heads_in_another_order_give_the_same(problem):
    x, Wqkv, bqkv, Wproj, bproj, H, mask, dy, rng = problem
    D = x.shape[-1]
    y, cache = attention_forward(x, Wqkv, bqkv, Wproj, bproj, H, mask)
    dx, dWqkv, dbqkv, dWproj, dbproj = attention_backward(dy, cache)

    heads = rng.permutation(H)
    features = np.arange(D).reshape(H, -1)[heads].ravel()
    columns = np.concatenate([features, D + features, 2 * D + features])
    moved_bqkv = None if bqkv is None else bqkv[columns]
    moved_mask = None if mask is None else mask[:, heads]
    moved, cache = attention_forward(x, Wqkv[:, columns], moved_bqkv, Wproj[features], bproj, H, moved_mask)
    moved_dx, *moved_dweights = attention_backward(dy, cache)
    expected = [dWqkv[:, columns], None if dbqkv is None else dbqkv[columns], dWproj[features], dbproj]
    assert_close([moved, moved_dx, *moved_dweights], [y, dx, *expected])


@given(problems())
def test_a_constant_key_changes_nothing_and_its_bias_has_no_gradient(problem):
    x, Wqkv, bqkv, Wproj, bproj, heads, _, dy, _ = problem
    D = x.shape[-1]
    bqkv = np.zeros(3 * D) if bqkv is None else bqkv
    y, cache = attention_forward(x, Wqkv, bqkv, Wproj, bproj, heads)
    _, _, dbqkv, _, _ = attention_backward(dy, cache)
    np.testing.assert_allclose(dbqkv[D : 2 * D], 0, atol=1e-12 * max(1, np.abs(dbqkv).max()))
    bqkv = bqkv + np.concatenate([np.zeros(D), np.full(D, 3.0), np.zeros(D)])
    np.testing.assert_allclose(attention_forward(x, Wqkv, bqkv, Wproj, bproj, heads)[0], y, rtol=1e-9, atol=1e-9)


@given(problems())
def test_a_token_alone_listens_to_itself_only(problem):
    x, Wqkv, bqkv, Wproj, bproj, heads, _, _, _ = problem
    D = x.shape[-1]
    y, _ = attention_forward(x[:, :1], Wqkv, bqkv, Wproj, bproj, heads)
    values = x[:, :1] @ Wqkv[:, 2 * D :] + (0 if bqkv is None else bqkv[2 * D :])
    np.testing.assert_allclose(y, values @ Wproj + bproj, rtol=1e-9, atol=1e-9)
