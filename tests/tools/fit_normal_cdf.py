"""Fit Phi(x) ~= 1 / (1 + exp(-2 * x * P(t) / Q(t))), t = x*x, Q(0) = 1, write Q/2P as a continued fraction, measure it.

Minimax in the absolute error of Phi: the target for P/Q is f(x) = atanh(2 Phi(x) - 1) / x,
and an error d in it moves Phi by w(x) * d, w = 2 x Phi (1 - Phi).  A rational Remez
exchange on a grid in x, in 50-digit arithmetic, equioscillates w * (P/Q - f).
"""

import math
import warnings

import mpmath as mp
import numpy as np
from scipy.special import ndtr

from minivit.ops.normal_cdf import ERF_COEFFICIENTS, _one_plus_exp_in_place, log_odds_against

mp.mp.dps = 50
warnings.simplefilter("error")  # any overflow or invalid operation is a failure


def remez(m, n, top, grid):
    """Coefficients of P (degree m) and Q (degree n), lowest first, and the largest error."""
    size = m + n + 2
    x = [mp.mpf(top) * (k + 1) / grid for k in range(grid)]
    upper = [mp.erfc(v / mp.sqrt(2)) / 2 for v in x]  # 1 - Phi
    f = [(mp.log1p(-u) - mp.log(u)) / (2 * v) for u, v in zip(upper, x)]
    w = [2 * v * u * (1 - u) for u, v in zip(upper, x)]
    t = [v * v for v in x]
    ref = [round(grid * math.sin(math.pi / 2 * (k + 0.5) / size)) - 1 for k in range(size)]
    level, q = mp.mpf(0), [mp.mpf(1)] + [mp.mpf(0)] * n
    for _ in range(40):
        for _ in range(40):  # Newton for P(t) = (f + s * level / w) Q(t) at the reference
            a, b = mp.matrix(size, size), mp.matrix(size, 1)
            for r, i in enumerate(ref):
                s = (-1) ** r / w[i]
                g, slope = f[i] + s * level, s * mp.polyval(q[::-1], t[i])
                row = [t[i] ** j for j in range(m + 1)]
                row += [-g * t[i] ** j for j in range(1, n + 1)] + [-slope]
                for c, v in enumerate(row):
                    a[r, c] = v
                b[r] = g - slope * level
            z = list(mp.lu_solve(a, b))
            p, q = z[: m + 1], [mp.mpf(1)] + z[m + 1 : -1]
            step, level = abs(z[-1] - level), z[-1]
            if step < abs(level) * mp.mpf("1e-12"):
                break
        err = [w[i] * (mp.polyval(p[::-1], t[i]) / mp.polyval(q[::-1], t[i]) - f[i]) for i in range(grid)]
        worst = max(map(abs, err))
        if worst <= abs(level) * mp.mpf("1.0005"):
            break
        ref = [0]  # the largest error of every run of one sign
        for i in range(1, grid):
            if err[i] * err[ref[-1]] <= 0:
                ref.append(i)
            elif abs(err[i]) > abs(err[ref[-1]]):
                ref[-1] = i
        while len(ref) > size:  # drop a small end, or a small adjacent pair
            if len(ref) == size + 1:
                ref.pop(0 if abs(err[ref[0]]) < abs(err[ref[-1]]) else -1)
            else:
                k = min(range(len(ref) - 1), key=lambda k: max(abs(err[ref[k]]), abs(err[ref[k + 1]])))
                del ref[k : k + 2]
        assert len(ref) == size, "error curve lost an alternation"
    assert min(p) > 0 and min(q) > 0  # so no pole for t >= 0
    return p, q, float(worst)


def continued(p, q):
    """Q/2P = c + a/(t + b + ...), as `log_odds_against` takes it: from the innermost fraction out."""

    def divide(above, below):
        """above = factor * t**(0 or 1) * below + rest, by the leading terms."""
        shift = len(above) - len(below)
        factor = above[-1] / below[-1]
        return factor, [u - factor * v for u, v in zip(above, [mp.mpf(0)] * shift + below)][:-1]

    c, above = divide(q, p)
    below, pairs = p, []
    while above:  # above / below = a / (t + b + rest / above)
        a = above[-1] / below[-1]
        one, rest = divide([a * v for v in below], above)
        assert abs(one - 1) < mp.mpf("1e-40")
        b, rest = divide(rest, above)
        pairs.append((float(a), float(b)))
        above, below = rest, above
    a, b = zip(*reversed(pairs))
    for t in np.geomspace(1e-6, 1e12, 2000):
        denominator = t + b[0]
        for i in range(1, len(b)):
            denominator = t + b[i] + a[i - 1] / denominator
            assert denominator > 1  # a pole, or a cancellation, would show here
    return b[0], tuple(zip(a, b[1:])), (a[-1] / 2, float(c) / 2)


def cdf(x, *coefficients):
    """As `normal_cdf` computes it, with these coefficients."""
    return 1 / _one_plus_exp_in_place(log_odds_against(x, *coefficients))


def check32(*fit):
    """Largest error over every float32 in [2**-6, 16] and a sweep to 20; at +-20..1e4."""
    worst = 0.0
    for e in range(-6, 5):
        base = np.float32(2.0**e).view(np.int32)
        for part in np.split(np.arange(base, base + 2**23, dtype=np.int32).view(np.float32), 8):
            for x in (part, -part):
                worst = max(worst, np.abs(cdf(x, *fit) - ndtr(x.astype(float))).max())
    x = np.linspace(-20, 20, 2000001, dtype=np.float32)
    worst = max(worst, np.abs(cdf(x, *fit) - ndtr(x.astype(float))).max())
    x = np.geomspace(15, 1e4, 100001, dtype=np.float32)
    return worst, max(np.abs(cdf(x, *fit) - 1).max(), np.abs(cdf(-x, *fit)).max())


def check64(*fit):
    """Errors of Phi on [-20, 20] against mpmath, at +-20..1e8, and of the complex-step slope."""
    x = np.concatenate([np.linspace(-20, 20, 8001), np.linspace(-8.5, 8.5, 30001)])
    true = np.array([float(mp.erfc(-mp.mpf(v) / mp.sqrt(2)) / 2) for v in x])
    far = np.geomspace(15, 1e8, 100001)
    far = max(np.abs(cdf(far, *fit) - 1).max(), np.abs(cdf(-far, *fit)).max())
    value = np.abs(cdf(x, *fit) - true).max()
    slope = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    miss = np.abs(cdf(x + 1e-30j, *fit).imag / 1e-30 - slope)
    return value, far, (miss / np.maximum(slope, 1e-3)).max(), miss.max()


def rounded(fit):
    """Coefficients near these that are float32 numbers. The nearest ones move Phi by several 1e-9, others by less:
    of 3,000 draws, the four that move it least are checked over every float32, and the best is taken."""
    b, inner, last = fit
    base = np.array([b, *(number for pair in inner for number in pair), *last], np.float32)
    x = np.linspace(0.05, 6, 1000)
    true = ndtr(x)
    steps = np.random.default_rng(0).integers(-8, 9, (3000, base.size))
    fits = []
    for row in (base + steps * np.spacing(base)).astype(np.float32):
        flat = [float(str(number)) for number in row]  # the shortest decimals that name these float32 numbers
        pairs = tuple(zip(flat[1:-2:2], flat[2:-2:2]))
        fit = (flat[0], pairs, (flat[-2], flat[-1]))
        fits.append((np.abs(cdf(x, *fit) - true).max(), fit))
    return min((fit for _, fit in sorted(fits)[:4]), key=lambda fit: check32(*fit)[0])


if __name__ == "__main__":
    for name, degrees, check in (("float32", (3, 3, 6, 600), check32), ("float64", (8, 8, 9, 800), check64)):
        p, q, worst = remez(*degrees)
        print(f"# {name}: P degree {degrees[0]}, Q degree {degrees[1]}, approximation error {worst:.3g}")
        fit = rounded(continued(p, q)) if name == "float32" else continued(p, q)
        print("normal_cdf.py has the same" if fit == ERF_COEFFICIENTS[name] else "normal_cdf.py has others")
        print(f'"{name}": {fit!r}')
        labels = ("max |error|", "far tail", "slope, relative to max(slope, 1e-3)", "slope, absolute")
        print("# measured:", "; ".join(f"{k} {v:.3g}" for k, v in zip(labels, check(*fit))), "\n")
