"""Muon: AdamW's companion for weight matrices, which makes the momentum nearly orthogonal; on slices of flat vectors,
independent of any model.

AdamW scales every entry by itself and so ignores that the entries form a matrix. Muon takes the momentum M with its
singular value decomposition U S Vᵀ and moves the weights by U Vᵀ: all directions that the momentum has are followed
about equally far, faint ones too.
Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; the scale of the update: Liu et al. 2025
(arXiv:2502.16982), section 2.2, without their factor 0.2: their learning rate η is 0.2·η here, and their weight decay
λ, which the rate multiplies, 5·λ.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from .backend import Array, array_module

QUINTIC = 3.4445, -4.7750, 2.0315  # a, b, c of Jordan et al.
ITERATIONS = 5


class Matrices(NamedTuple):
    """`n` matrices (rows, columns) that lie side by side in a slice of a flat vector, as (rows, n·columns)."""

    place: slice
    rows: int
    n: int
    columns: int
    rate: float = 1.0  # their learning rate, relative to the schedule's

    def of(self, vector: Array) -> Array:
        """The matrices, (n, rows, columns), as a view of the vector."""
        return vector[self.place].reshape(self.rows, self.n, self.columns).swapaxes(0, 1)


def muon_step(
    params: Array,
    grads: Array,
    momentum: Array,
    matrices: Sequence[Matrices],
    learning_rate: float,
    decay: float = 0.0,
    beta: float = 0.95,
    run: Callable[..., Iterable[None]] = map,
) -> None:
    """One Muon step of the matrices, in place on `params` (size,); `grads` and `momentum`, (size,), are not modified.

    momentum: the running mean of the gradients, this step's included, m = beta·m + (1 - beta)·g. AdamW keeps that mean
    for every entry, so Muon has no state of its own. run: calls a function with each group of matrices, as `map` does;
    with that of a worker pool, the groups are computed at the same time, and for any number of threads BLAS adds in
    one order.

    Derivation.
      (1) Nesterov's momentum: the mean as one more step with the same gradient would leave it, beta·m + (1 - beta)·g.
      (2) The rows of a wide U Vᵀ, and the columns of a tall one, have length 1 and max(rows, columns) entries each, so
          the root mean square of its entries is 1/sqrt(max(rows, columns)). Multiplied by sqrt(max(rows, columns)), an
          entry moves by about the learning rate, as with AdamW's first steps.
      (3) The decay is decoupled and multiplied by the learning rate, as in `adamw_step`.
    """
    groups: dict[tuple[int, int], list[Matrices]] = {}
    for some in matrices:  # those of one shape are multiplied together
        groups.setdefault((some.rows, some.columns), []).append(some)

    def step(group: list[Matrices]) -> None:
        xp, start = array_module(params), 0
        M = xp.concatenate([beta * some.of(momentum) + (1 - beta) * some.of(grads) for some in group])  # (1)
        moves = orthogonalised(M)
        moves *= learning_rate * math.sqrt(max(moves.shape[1:]))  # (2)
        for some in group:
            W, move = some.of(params), moves[start : start + some.n]
            W *= 1 - some.rate * learning_rate * decay  # (3)
            W -= some.rate * move
            start += some.n

    for _ in run(step, list(groups.values())):
        pass


def orthogonalised(M: Array) -> Array:
    """Matrices with the singular vectors of M and singular values near 1.

    Shapes   M (n, rows, columns): n matrices  ->  the same shape and dtype; M is not modified
    Derivation.
      (1) The Frobenius norm is the root of the sum of the squares of the singular values. Divided by it, a matrix has
          singular values in [0, 1]; a zero matrix stays zero.
      (2) X Xᵀ X = U S³ Vᵀ for X = U S Vᵀ: an odd polynomial of X keeps the singular vectors and acts on the singular
          values. p(X) = a·X + b·(X Xᵀ) X + c·(X Xᵀ)² X makes s to p(s) = a·s + b·s³ + c·s⁵.
      (3) Small values grow by the factor p'(0) = a in each iteration. The band [0.68, 1.21] is mapped into itself, and
          five iterations bring every value from 0.002 to 1 into it. They do not converge to 1: that would need
          p(1) = 1, a smaller a and more iterations.
      (4) X Xᵀ is the smaller product where X is wide, so tall matrices are transposed; p(Xᵀ) = p(X)ᵀ.
    Source   Newton-Schulz iteration: Björck, Bowie 1971 (doi:10.1137/0708036); its coefficients: Jordan et al. 2024.
    """
    xp = array_module(M)
    a, b, c = QUINTIC
    tall = M.shape[1] > M.shape[2]
    X = M.swapaxes(1, 2) if tall else M  # (4)
    norms = xp.sqrt(xp.einsum("nrc,nrc->n", X, X))[:, None, None]
    X = X / xp.where(norms > 0, norms, 1)  # (1)
    for _ in range(ITERATIONS):
        XX = X @ X.swapaxes(1, 2)  # (n, rows, columns) -> (n, rows, rows)
        P = c * (XX @ XX)
        P += b * XX
        pX = P @ X  # (2)
        pX += a * X
        X = pX
    return X.swapaxes(1, 2) if tall else X
