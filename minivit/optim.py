"""The optimiser: AdamW, clipping and the learning-rate schedule, all on flat vectors, independent of any model.

Kingma, Ba 2015 (arXiv:1412.6980), algorithm 1; Loshchilov, Hutter 2019 (arXiv:1711.05101), algorithm 2.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .backend import Array, array_module, fused, same_values


@dataclass
class AdamWState:
    """AdamW's state between steps: running means of the gradient and of its square, and the step number."""

    m: Array  # (size,)
    v: Array  # (size,)
    step: int = 0

    def __copy__(self) -> "AdamWState":  # sharing m and v, but not the step number, would make both states wrong
        return AdamWState(self.m.copy(), self.v.copy(), self.step)

    def __repr__(self) -> str:
        return f"AdamWState({self.m.size} values, {self.m.dtype}, step {self.step})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AdamWState):
            return NotImplemented
        return self.step == other.step and same_values(self.m, other.m) and same_values(self.v, other.v)

    @classmethod
    def zeros_like(cls, params: Array) -> "AdamWState":
        """The state before the first step, for a vector (size,) of parameters."""
        xp = array_module(params)
        return cls(xp.zeros_like(params), xp.zeros_like(params))


def adamw_step(
    params: Array,
    grads: Array,
    state: AdamWState,
    learning_rate: float,
    decay: Array | float = 0.0,
    beta1: float = 0.9,
    beta2: float = 0.99,
    eps: float = 1e-8,
    rates: Array | float = 1.0,
    grad_norm: Array | float = 0.0,
    clip_norm: float | None = None,
) -> None:
    """One AdamW step, in place on `params` (size,) and `state`; `grads` (size,) is not modified, except by clipping.

    `decay` is the weight decay of each entry, (size,), or one value for all; `rates` is what the learning rate of each
    entry is multiplied by, likewise. With a clip_norm, `grads`, whose norm is `grad_norm`, is first clipped in place as
    by `clip_by_norm`; on a GPU that is part of the same kernel. Raises ValueError, and changes nothing, for a beta
    outside [0, 1), for a clip_norm that is not positive, for vectors of different shapes and for read-only parameters.

    Derivation.
      (1) m and v are running means: m = beta1·m + (1 - beta1)·g,  v = beta2·v + (1 - beta2)·g².
      (2) They start at zero, so after t steps the weights of the mean sum to 1 - beta^t only; divide by that:
          mhat = m/(1 - beta1^t),  vhat = v/(1 - beta2^t).
      (3) Each entry moves by about the learning rate against its mean gradient, whatever the gradient's size, and
          shrinks by its own decay, which does not pass through m and v (decoupled weight decay, the W in AdamW; it
          is multiplied by the learning rate, as in PyTorch):
          params -= learning_rate · (mhat/(sqrt(vhat) + eps) + decay·params).
    """
    if not (0 <= beta1 < 1 and 0 <= beta2 < 1):
        raise ValueError(f"beta1 and beta2 must lie in [0, 1), not {beta1} and {beta2}")
    if not params.shape == grads.shape == state.m.shape == state.v.shape:
        raise ValueError(
            f"parameters {params.shape}, gradient {grads.shape} and state {state.m.shape} must have the same shape"
        )
    if not getattr(params.flags, "writeable", True):
        raise ValueError("the parameters are read-only, and a step changes them in place: pass a copy")
    if clip_norm is not None:
        _check_limit(clip_norm)
    xp = array_module(params)
    decay = xp.asarray(decay, params.dtype)

    # CuPy's kernel multiplies two scalars in half precision: each must meet an array first
    def step(
        params: Array,
        grads: Array,
        m: Array,
        v: Array,
        decay: Array | float,
        rates: Array | float,
        grad_norm: Array | float,
        rate: float,
        of_m: float,
        of_v: float,
    ) -> None:
        if clip_norm is not None:
            _clip(grads, grad_norm, clip_norm)
        m *= beta1  # (1)
        m += (1 - beta1) * grads
        v *= beta2
        v += (1 - beta2) * (grads * grads)
        rms = xp.sqrt(v)
        rms *= of_v  # (2) sqrt(vhat)
        rms += eps
        move = m / rms
        move *= of_m  # (2) (3)
        move *= rates
        params *= 1 - decay * rate * rates  # (3)
        params -= move

    state.step += 1
    of_m, of_v = learning_rate / (1 - beta1**state.step), 1 / math.sqrt(1 - beta2**state.step)
    fused(step, params, grads, state.m, state.v, decay, rates, grad_norm, learning_rate, of_m, of_v)


def clip_by_norm(grads: Array, limit: float) -> Array:
    """Scale `grads` (size,) in place so that its Euclidean norm is at most `limit`; return the norm before that, ().

    The direction is kept. The norm stays on the device: nothing here waits for it. Raises ValueError unless the limit
    is positive.
    Pascanu et al. 2013 (arXiv:1211.5063), algorithm 1.
    """
    _check_limit(limit)
    before = norm(grads)
    fused(lambda grads, before: _clip(grads, before, limit), grads, before)
    return before


def _check_limit(limit: float) -> None:
    if not limit > 0:
        raise ValueError(f"the limit of the norm must be positive, not {limit}")


def _clip(grads: Array, before: Array | float, limit: float) -> None:
    """The lines of clipping, elementwise: `before` is the norm of grads."""
    grads *= limit / array_module(grads).maximum(before, limit)


def norm(vector: Array) -> Array:
    """The Euclidean norm of a vector (size,), as a 0-d array on its device."""
    xp = array_module(vector)
    return xp.sqrt(xp.dot(vector, vector))


def ema_step(ema: Array, params: Array, decay: float, step: int) -> None:
    """Update the exponential moving average `ema` (size,) of `params` (size,), in place, after step 1, 2, ...

    ema += (1 - d)·(params - ema) with d = min(decay, step/(step + 9)): early in training an average over about the last
    tenth of the steps, later over about the last 1/(1 - decay) steps. The ramp is that of TensorFlow's
    ExponentialMovingAverage, (1 + n)/(10 + n) with n = step - 1; averaging goes back to Polyak, Juditsky 1992
    (doi:10.1137/0330046), who weight all steps equally. Raises ValueError for a decay outside [0, 1),
    a step below 1, and another shape.
    """
    if step < 1 or ema.shape != params.shape:
        raise ValueError(f"step {step}, expected 1, 2, ...; shapes {ema.shape} and {params.shape}, expected the same")
    if not 0 <= decay < 1:
        raise ValueError(f"the decay must lie in [0, 1), not {decay}")

    def move(ema: Array, params: Array, part: float) -> None:
        ema += part * (params - ema)

    fused(move, ema, params, 1 - min(decay, step / (step + 9)))


def decay_vector(shapes: Mapping[str, tuple[int, ...]], weight_decay: float, dtype: str = "float32") -> np.ndarray:
    """The weight decay of every parameter, (size,) on the host: weight matrices decay; biases, LayerNorm, the class
    token and the positions do not."""
    parts = [np.full(math.prod(s), weight_decay if len(s) == 2 else 0.0, dtype) for s in shapes.values()]
    return np.concatenate(parts)


def rates_vector(shapes: Mapping[str, tuple[int, ...]], rates: Mapping[str, float], dtype: str) -> np.ndarray:
    """The learning rate of every parameter relative to the schedule's, (size,) on the host: `rates` by name."""
    return np.concatenate([np.full(math.prod(shape), rates[name], dtype) for name, shape in shapes.items()])


def warmup_cosine(step: int, peak: float, warmup: int, total: int | None, final: float = 0.01) -> float:
    """The learning rate of step 0, 1, ...: it rises linearly to `peak` over `warmup` steps, then falls as half a cosine
    to `final`·peak at step `total`; constant after the warm-up if `total` is None.

    Loshchilov, Hutter 2017 (arXiv:1608.03983), equation 5, without restarts.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    if total is None:
        return peak
    progress = min(1.0, (step - warmup) / max(1, total - warmup))
    return peak * (final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2)
