"""What LayerNorm does not see: where its input lies and how large it is."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minivit.ops.layernorm import layernorm_backward, layernorm_forward

from .strategies import SEEDS, normal, sizes

SHAPES = st.tuples(sizes(1, 3), sizes(1, 4), sizes(2, 7))
EPS = 1e-6


@given(SHAPES, st.floats(-100, 100), st.floats(0.01, 100), SEEDS)
def test_shifted_and_stretched_tokens_come_out_the_same(shape, shift, scale, seed):
    x, gamma, beta = normal(seed, *shape), normal(seed + 1, shape[-1]), normal(seed + 2, shape[-1])
    dy = normal(seed + 3, *shape)
    y, cache = layernorm_forward(x, gamma, beta, EPS)
    moved, moved_cache = layernorm_forward(scale * x + shift, gamma, beta, EPS * scale**2)
    np.testing.assert_allclose(moved, y, rtol=1e-6, atol=1e-6)
    dx, dgamma, dbeta = layernorm_backward(dy, cache)
    moved_dx, moved_dgamma, moved_dbeta = layernorm_backward(dy, moved_cache)
    size = np.abs(dx).max()
    np.testing.assert_allclose(scale * moved_dx, dx, rtol=1e-6, atol=1e-6 * size)
    np.testing.assert_allclose(moved_dgamma, dgamma, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(moved_dbeta, dbeta)


@given(SHAPES, SEEDS)
def test_tokens_come_out_with_mean_zero_and_variance_one(shape, seed):
    x = normal(seed, *shape)
    y, _ = layernorm_forward(x, np.ones(shape[-1]), np.zeros(shape[-1]), EPS)
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-10)
    variance = x.var(-1)
    np.testing.assert_allclose(y.var(-1), variance / (variance + EPS), rtol=1e-9)


@given(SHAPES, SEEDS)
def test_the_gradient_has_no_part_along_what_is_taken_out(shape, seed):
    """The facts in its docstring: sum(dx) = 0, and sum(dx·xhat) = rstd·sum(u·xhat)·eps/(var + eps)."""
    eps = 0.1  # large, so that the second fact is not just "about zero"
    x, gamma, dy = normal(seed, *shape), normal(seed + 1, shape[-1]), normal(seed + 2, *shape)
    _, cache = layernorm_forward(x, gamma, gamma, eps)
    dx, _, _ = layernorm_backward(dy, cache)
    xhat, rstd, _ = cache
    np.testing.assert_allclose(dx.sum(-1), 0, atol=1e-12 * np.abs(dx).max())
    expected = rstd[..., 0] * (dy * gamma * xhat).sum(-1) * eps / (x.var(-1) + eps)
    np.testing.assert_allclose((dx * xhat).sum(-1), expected, rtol=1e-9, atol=1e-12 * np.abs(dx).max())


@given(SHAPES, st.floats(-5, 5), SEEDS)
def test_a_constant_gradient_is_forgotten_where_gamma_is_one(shape, constant, seed):
    x, gamma = normal(seed, *shape), np.ones(shape[-1])
    _, cache = layernorm_forward(x, gamma, gamma, EPS)
    dx, _, _ = layernorm_backward(np.full(shape, constant), cache)
    np.testing.assert_allclose(dx, 0, atol=1e-10 * cache.rstd.max())


@given(sizes(), sizes(), st.floats(-100, 100))
def test_a_constant_token_comes_out_as_beta(B, D, level):
    gamma, beta = normal(3, D), normal(4, D)
    y, _ = layernorm_forward(np.full((B, D), level), gamma, beta, EPS)
    np.testing.assert_allclose(y, np.broadcast_to(beta, (B, D)), rtol=1e-9, atol=1e-9)
