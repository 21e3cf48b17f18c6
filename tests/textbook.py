"""The optimiser as the papers print it, number by number in plain Python, and what it means to agree with it.

Each check takes the module to test, so that `test_planted_bugs.py` can hand in broken ones.
"""

import math
from types import ModuleType
from typing import Any

import numpy as np

BOUND = 1e-13


def assert_equal(name: str, ours: Any, expected: Any) -> None:
    """Fail, naming the quantity, unless every entry is within rounding of what is expected. NaN never is."""
    ours, expected = np.asarray(ours), np.asarray(expected)
    assert ours.shape == expected.shape, f"{name}: shape {ours.shape}, expected {expected.shape}"
    error = np.abs(ours - expected).max() / max(np.abs(expected).max(), 1e-300)
    assert error <= BOUND, f"{name}: {ours} instead of {expected}, relative error {error:.1e}"


def adamw(theta: float, gs: list[float], lrs: list[float], decay: float, b1: float, b2: float, eps: float) -> Any:
    """One parameter through Loshchilov and Hutter's algorithm 2: (theta, m, v) after every step."""
    m = v = 0.0
    for t, (g, lr) in enumerate(zip(gs, lrs), start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        mhat = m / (1 - b1**t)
        vhat = v / (1 - b2**t)
        theta = theta - lr * (mhat / (math.sqrt(vhat) + eps) + decay * theta)
        yield theta, m, v


def check_adamw(optim: ModuleType) -> None:
    """Eight steps of a vector whose entries differ in size and decay, with the rate falling, for several settings."""
    rng = np.random.default_rng(6)
    start, grads = rng.normal(size=7), rng.normal(size=(8, 7)) * 10.0 ** rng.integers(-4, 3, (8, 7))
    decay, falling = np.array([0, 0.3, 0, 0.1, 0.3, 0, 2.0]), [0.1 / (t + 1) for t in range(8)]
    shares = np.array([1, 0.75, 0.5, 1, 0.1, 0.2, 0.6])  # of the learning rate, one for each entry
    for b1, b2, eps in ((0.9, 0.99, 1e-8), (0.5, 0.9, 1e-2), (0.0, 0.999, 1e-8)):
        params, state = start.copy(), optim.AdamWState.zeros_like(start)
        expected = [
            list(adamw(start[i], list(grads[:, i]), [rate * shares[i] for rate in falling], decay[i], b1, b2, eps))
            for i in range(len(start))
        ]  # entry, step, (theta, m, v)
        for t, gradient in enumerate(grads):
            given = gradient.copy()
            optim.adamw_step(params, given, state, falling[t], decay, b1, b2, eps, shares)
            assert state.step == t + 1, f"step: {state.step} after {t + 1} steps"
            theta, m, v = np.array(expected)[:, t].T
            assert_equal(f"m after step {t + 1}", state.m, m)
            assert_equal(f"v after step {t + 1}", state.v, v)
            assert_equal(f"params after step {t + 1}", params, theta)
            assert_equal("grads", given, gradient)


def check_adamw_defaults(optim: ModuleType) -> None:
    """The settings that minivit's recipes rest on: no decay, beta 0.9 and 0.99, eps 1e-8."""
    params, state = np.array([1.0, -2.0]), optim.AdamWState.zeros_like(np.zeros(2))
    for t, gradient in enumerate(([3.0, 1e-8], [-1.0, 2e-8])):
        optim.adamw_step(params, np.array(gradient), state, 0.1)
        expected = [
            list(adamw(theta, gs, [0.1, 0.1], 0.0, 0.9, 0.99, 1e-8))[t][0]
            for theta, gs in ((1.0, [3.0, -1.0]), (-2.0, [1e-8, 2e-8]))
        ]
        assert_equal(f"params after step {t + 1} with the defaults", params, expected)


def check_clipping(optim: ModuleType) -> None:
    """Scaled to the limit if longer, left as they are if not; the norm before comes back."""
    for limit, expected in ((1.0, [0.6, -0.8]), (5.0, [3.0, -4.0]), (20.0, [3.0, -4.0])):
        grads = np.array([3.0, -4.0])
        assert_equal("norm", optim.clip_by_norm(grads, limit), 5.0)
        assert_equal(f"grads clipped at {limit}", grads, expected)
    zeros = np.zeros(3)
    assert_equal("norm of zeros", optim.clip_by_norm(zeros, 1.0), 0.0)
    assert_equal("zeros clipped", zeros, np.zeros(3))


def check_decay(optim: ModuleType) -> None:
    """Weight matrices decay; biases, LayerNorm, class token and positions do not."""
    shapes = {"cls_token": (1, 1, 2), "pos_embed": (1, 3, 2), "head.weight": (2, 3), "head.bias": (3,)}
    vector = optim.decay_vector(shapes, 0.25)
    assert vector.dtype == np.float32
    assert_equal("decay", vector, [0.0] * 8 + [0.25] * 6 + [0.0] * 3)
    assert optim.decay_vector(shapes, 0.25, "float64").dtype == np.float64


def check_schedule(optim: ModuleType) -> None:
    """A line to the peak, half a cosine to its end, and constant before and after what is defined."""
    warm = [optim.warmup_cosine(step, 8.0, 4, 12, final=0.25) for step in range(4)]
    assert_equal("rates of the warm-up", warm, [2.0, 4.0, 6.0, 8.0])
    cosine = [optim.warmup_cosine(step, 8.0, 4, 12, final=0.25) for step in (4, 6, 8, 10, 12, 13, 100)]
    s = math.sqrt(0.5)
    assert_equal("rates of the cosine", cosine, [8.0, 5 + 3 * s, 5.0, 5 - 3 * s, 2.0, 2.0, 2.0])
    assert_equal("rate at the end by default", optim.warmup_cosine(12, 8.0, 4, 12), 0.08)
    assert_equal("rates without warm-up", [optim.warmup_cosine(t, 8.0, 0, 2, 0.0) for t in range(3)], [8.0, 4.0, 0.0])
    endless = [optim.warmup_cosine(step, 8.0, 4, None) for step in (0, 3, 4, 1000)]
    assert_equal("rates without an end", endless, [2.0, 8.0, 8.0, 8.0])
    short = [optim.warmup_cosine(t, 8.0, 4, 5, 0.25) for t in (4, 5)]
    assert_equal("rates of a cosine of one step", short, [8.0, 2.0])
    assert_equal("rates of a run that is all warm-up", optim.warmup_cosine(4, 8.0, 4, 4, 0.25), 8.0)


def check_average(optim: ModuleType) -> None:
    """The running mean of the weights: d = min(memory, t/(t + 9)) of the old, the rest of the new."""
    for memory in (0.5, 0.999):
        ema, expected = np.array([1.0, -2.0]), np.array([1.0, -2.0])
        for t in range(1, 30):
            params = np.array([math.sin(t), t])
            d = min(memory, t / (t + 9))
            expected = d * expected + (1 - d) * params
            optim.ema_step(ema, params, memory, t)
            assert_equal(f"ema after step {t}", ema, expected)


def muon(M: np.ndarray) -> np.ndarray:
    """Jordan et al.'s orthogonalisation by the singular values themselves: U p(p(p(p(p(s/|s|))))) Vᵀ."""
    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    s = s / math.sqrt((s * s).sum())
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return (U * s) @ Vt


def check_muon(muon_module: ModuleType) -> None:
    """Steps of a wide matrix, a tall one, and three side by side, with entries between them that Muon must leave."""
    Matrices = muon_module.Matrices
    rng = np.random.default_rng(7)
    places = [Matrices(slice(2, 17), 3, 1, 5), Matrices(slice(17, 41), 6, 1, 4, 0.5), Matrices(slice(44, 104), 4, 3, 5)]
    places.append(Matrices(slice(105, 125), 4, 1, 5))
    params, grads, momentum = (rng.normal(size=126) for _ in range(3))
    expected, given = params.copy(), (grads.copy(), momentum.copy())
    for place, rows, count, columns, rate in places:
        together = (rows, count, columns)
        for i in range(count):
            W = expected[place].reshape(together)[:, i]
            G, m = grads[place].reshape(together)[:, i], momentum[place].reshape(together)[:, i]
            move = 0.3 * rate * math.sqrt(max(rows, columns)) * muon(0.9 * m + 0.1 * G)
            W[...] = W - 0.3 * rate * 0.2 * W - move
    muon_module.muon_step(params, grads, momentum, places, 0.3, 0.2, 0.9)
    for place, *_ in places:
        assert_equal("matrices", params[place], expected[place])
    assert_equal("params", params, expected)
    assert_equal("grads", grads, given[0])
    assert_equal("momentum", momentum, given[1])


CHECKS = {
    check.__name__.removeprefix("check_"): check
    for check in (check_adamw, check_adamw_defaults, check_clipping, check_decay, check_schedule, check_average)
}
