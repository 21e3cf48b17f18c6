"""Every sentence under "Facts" in the docstrings of `minivit.ops` is a test here, found by its own words."""

import inspect
import itertools
import re

import numpy as np
import pytest

from minivit import ops
from minivit.ops import (
    attention_backward,
    attention_forward,
    class_token_backward,
    class_token_forward,
    cross_entropy_backward,
    cross_entropy_forward,
    dot_product_backward,
    dot_product_forward,
    dropout_backward,
    dropout_forward,
    gelu_backward,
    gelu_forward,
    interpolation_matrix,
    layer_scale_backward,
    layer_scale_forward,
    layernorm_backward,
    layernorm_forward,
    linear_backward,
    linear_forward,
    patch_dropout_backward,
    patch_dropout_forward,
    patch_embed_backward,
    patch_embed_forward,
    pool_backward,
    pool_forward,
    registers_backward,
    registers_forward,
    resize_backward,
    resize_forward,
    sincos1d,
    softmax_backward,
    softmax_forward,
)
from minivit.rng import INITIAL_WEIGHTS, generator

B, T, D, E, K = 2, 5, 12, 7, 6


def zero(x, scale=1.0):
    return abs(x).max() < 1e-12 * scale


def db_is_dW_of_a_constant_input(draw):
    dy = draw((B, T, E))
    _, dW, db = linear_backward(dy, linear_forward(np.ones((B, T, 1)), draw((1, E)), draw(E))[1])
    return np.allclose(dW[0], db)


def dx_of_linear_does_not_see_x(draw):
    W, dy = draw((D, E)), draw((B, T, E))
    one, other = (linear_backward(dy, linear_forward(x, W, None)[1])[0] for x in (draw((B, T, D)), np.ones((B, T, D))))
    return np.array_equal(one, other)


def layernorm(draw, gamma, dy):
    x = 3 * draw((B, T, D)) + 1
    _, cache = layernorm_forward(x, gamma, draw(D), eps=0.1)
    return x, cache, layernorm_backward(dy, cache)[0]


def dx_of_layernorm_sums_to_zero(draw):
    return zero(layernorm(draw, draw(D), draw((B, T, D)))[2].sum(-1))


def layernorm_forgets_a_constant_dy(draw):
    return zero(layernorm(draw, np.ones(D), np.full((B, T, D), 3.0))[2])


def what_eps_leaves_along_xhat(draw):
    gamma, dy = draw(D), draw((B, T, D))
    x, (xhat, rstd, _), dx = layernorm(draw, gamma, dy)
    expected = rstd[..., 0] * (gamma * dy * xhat).sum(-1) * 0.1 / (x.var(-1) + 0.1)
    return np.allclose((dx * xhat).sum(-1), expected) and abs(expected).min() > 1e-6


def slope(x, form):
    return gelu_backward(np.ones_like(x), gelu_forward(x, form)[1])


def slopes_mirror(draw):
    x = np.linspace(-6, 6, 101)
    forms = ("erf", "tanh")
    return all(slope(np.zeros(1), f) == 0.5 and np.allclose(slope(x, f) + slope(-x, f), 1) for f in forms)


def gelu_turns(draw):
    below, above = np.linspace(-6, -0.7519, 50), np.linspace(-0.7517, 6, 50)
    return (slope(below, "erf") < 0).all() and (slope(above, "erf") > 0).all()


def softmax(draw, dy):
    return softmax_backward(dy, softmax_forward(draw((B, K)))[1])


def rows_of_softmax(draw):
    return zero(softmax(draw, draw((B, K))).sum(-1))


def softmax_forgets_a_constant_dy(draw):
    return zero(softmax(draw, np.full((B, K), 3.0)))


def shifted_keys(draw):
    q, k, v = draw((3, B, 3, T, 4))
    _, cache = dot_product_forward(q, k, v, (draw((B, 3, T, T)) > 0) * 2.0)
    _, dk, _ = dot_product_backward(draw((B, 3, T, 4)), cache)
    moved, _ = dot_product_forward(q, k + draw(4), v)
    return zero(dk.sum(-2)) and abs(dk).max() > 0.1 and np.allclose(moved, dot_product_forward(q, k, v)[0])


def key_bias(draw):
    _, cache = attention_forward(draw((B, T, D)), draw((D, 3 * D)), draw(3 * D), draw((D, D)), draw(D), 3)
    dbqkv = attention_backward(draw((B, T, D)), cache)[2]
    return zero(dbqkv[D : 2 * D], abs(dbqkv).max()) and not zero(dbqkv[:D]) and not zero(dbqkv[2 * D :])


def pixels_only_move(draw):
    W, dy = draw((3 * 4 * 4, D)), draw((B, 6, D))
    dimages, _, _ = patch_embed_backward(dy, patch_embed_forward(draw((B, 3, 8, 12)), W, draw(D), 4)[1])
    return np.isclose((dimages**2).sum(), ((dy @ W.T) ** 2).sum())


def class_token_sees_its_own_row(draw):
    _, cache = class_token_forward(draw((B, T, D)), draw((1, 1, D)))
    dy = draw((B, T + 1, D))
    other = dy.copy()
    other[:, 1:] = 7
    return np.array_equal(class_token_backward(dy, cache)[1], class_token_backward(other, cache)[1])


def sines_depend_on_distance(draw):
    y = sincos1d(np, 9, 8)
    products = y @ y.T
    return all(np.allclose(np.diagonal(products, k), products[0, k]) for k in range(9))


def rows_of_an_interpolation(draw):
    sizes = itertools.product((1, 2, 5, 12), repeat=2)
    return all(np.allclose(interpolation_matrix(np, *size, d).sum(1), 1) for size in sizes for d in ops.DIALECTS)


def same_points(draw):
    identity = [d for d in ops.DIALECTS if np.array_equal(interpolation_matrix(np, 7, 7, d), np.eye(7))]
    return identity == [d for d in ops.DIALECTS if d != "bicubic+0.1"]


def resizing_keeps_the_sum(draw):
    vertical, horizontal = (interpolation_matrix(np, *size, "bicubic") for size in ((3, 5), (4, 2)))
    dy = draw((B, 5 * 2, D))
    dx = resize_backward(dy, resize_forward(draw((B, 3 * 4, D)), vertical, horizontal)[1])
    return np.allclose(dx.sum(1), dy.sum(1))


def dropped_entries(draw):
    x, dy, mask = draw((B, T, D)), draw((B, T, D)), (draw((T, D)) > 0) * 2.0
    y, cache = dropout_forward(x, mask)
    dx = dropout_backward(dy, cache)
    return (dx[:, mask == 0] == 0).all() and np.isclose((y * dy).sum(), (x * dx).sum())


def pooled(draw):
    dy, both, x = draw((B, D)), draw((B, 2 * D)), draw((B, T, D))
    sums = [pool_backward(dy, pool_forward(x, pool, 2)[1]).sum(1) for pool in ("cls", "mean", "patches")]
    halves = pool_backward(both, pool_forward(x, "cls+patches", 2)[1]).sum(1)
    return all(np.allclose(one, dy) for one in sums) and np.allclose(halves, both[:, :D] + both[:, D:])


def factors_of_layer_scale(draw):
    gamma, dy = draw(D), draw((B, T, D))
    y, cache = layer_scale_forward(draw((B, T, D)), gamma)
    return np.isclose((gamma * layer_scale_backward(dy, cache)[1]).sum(), (dy * y).sum())


def registers_see_their_own_rows(draw):
    _, cache = registers_forward(draw((B, T, D)), draw((1, 3, D)), 1)
    dy = draw((B, T + 3, D))
    other = dy.copy()
    other[:, :1] = other[:, 4:] = 7
    return np.array_equal(registers_backward(dy, cache)[1], registers_backward(other, cache)[1])


def what_is_left_out_receives_nothing(draw):
    dy = draw((B, 3, D))
    _, cache = patch_dropout_forward(draw((B, T, D)), np.array([[4, 0, 2]] * B))
    return np.isclose(patch_dropout_backward(dy, cache).sum(), dy.sum())


def loss(logits, smoothing):
    return cross_entropy_backward(1.0, cross_entropy_forward(logits, np.array([1, 4]), smoothing)[1])


def rows_of_the_loss(draw):
    return zero(loss(draw((B, K)), 0.1).sum(-1))


def smoothing_makes_an_end(draw):
    targets = np.eye(K)[[1, 4]] * 0.9 + 0.1 / K
    return zero(loss(np.log(targets), 0.1)) and not zero(loss(20 * np.eye(K)[[1, 4]], 0.0))


FACTS = {
    "db is the gradient that W would get from a constant input of 1.": db_is_dW_of_a_constant_input,
    "dx does not depend on x.": dx_of_linear_does_not_see_x,
    "sum(dx) = 0 for every token.": dx_of_layernorm_sums_to_zero,
    "With gamma = 1, a constant dy gives dx = 0.": layernorm_forgets_a_constant_dy,
    "sum(dx·xhat) = rstd·sum(u·xhat)·eps/(var + eps) with var = mean(xc²): zero up to eps.": what_eps_leaves_along_xhat,
    "the slope is 1/2 at 0, and slope(x) + slope(-x) = 1.": slopes_mirror,
    "It is negative below x = -0.7518, where GELU has its minimum.": gelu_turns,
    "sum(dx) = 0 for every row: adding a constant to the scores changes nothing.": rows_of_softmax,
    "A constant dy gives dx = 0.": softmax_forgets_a_constant_dy,
    "the sum of dk over tokens is 0: adding one vector to every key adds one constant to all scores of a query, which "
    "does not change their softmax.": shifted_keys,
    "So the gradient of the key bias is zero.": key_bias,
    "the squared norms of dpatches and dimages are equal.": pixels_only_move,
    "dtoken does not depend on dy of the patches.": class_token_sees_its_own_row,
    "y[t]·y[s] depends on t - s only: the pattern looks the same from every position.": sines_depend_on_distance,
    "every row sums to 1.": rows_of_an_interpolation,
    'Except with "bicubic+0.1" it is the identity where before and after are equal.': same_points,
    "where every row of both matrices sums to 1, the sum of dx is the sum of dy.": resizing_keeps_the_sum,
    "where the mask is zero, dx is zero.": dropped_entries,
    "The same map forward and backward: it is its own transpose.": dropped_entries,
    "the sum of the entries of dx is that of dy.": what_is_left_out_receives_nothing,
    'sum over tokens of dx = dy; for "cls+patches" it is the sum of dy\'s two halves.': pooled,
    "the sum of gamma·dgamma is the sum of dy·y.": factors_of_layer_scale,
    "dregisters does not depend on dy of the other tokens.": registers_see_their_own_rows,
    "every row sums to zero.": rows_of_the_loss,
    "dlogits is zero only where p = t, which finite logits cannot reach where t is 0 or 1.": smoothing_makes_an_end,
}


def stated():
    """Every sentence under "Facts"."""
    for function in vars(ops).values():
        found = re.search(r"^Facts +(.*)", inspect.getdoc(function) or "", re.M | re.S)
        if inspect.isfunction(function) and found:
            yield from re.findall(r"\S.*?[a-z0-9)]\.(?= |$)", " ".join(found[1].split()))


def test_every_fact_is_tested():
    assert sorted(stated()) == sorted(FACTS)


@pytest.mark.parametrize("fact", FACTS)
def test_fact(fact):
    assert FACTS[fact](generator(0, INITIAL_WEIGHTS).standard_normal)
