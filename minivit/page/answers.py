"""What the page asks for, answered from a tape: the summary of a run, whole tensors, and finite differences."""

import math
from typing import Any

import numpy as np

from ..insight import rollout
from ..learn.tape import AGREE, ROUNDING, Step, Tape, norm
from ..model import head_forward
from ..ops.gelu import gelu_backward, gelu_forward
from ..ops.layernorm import layernorm_forward
from ..ops.pool import pool_forward
from ..ops.softmax import softmax_forward
from .describe import kind_of
from .pack import pack


def summary(tape: Tape, picture: np.ndarray, dtype: str = "f8") -> dict[str, Any]:
    """What the page shows of a run at once: the answer, the norms of all tensors and gradients, attention, rollout,
    logit lens and the gradient of the pixels. picture: the pixels as they were given, uint8."""
    logits = tape.logits
    probabilities = softmax_forward(logits[None])[0][0]
    attention = _attention(tape)
    flow = rollout(attention[:, None])[0]  # (L, H, T, T) -> (T, T)
    config = tape.config
    read = flow[0] if config.reads_class_token else flow[config.prefix if config.pool == "patches" else 0 :].mean(0)
    return {
        "label": tape.label,
        "prediction": int(logits.argmax()),
        "probabilities": pack(probabilities),
        "loss": tape.loss,
        "picture": pack(picture, "u1"),
        "norms": {name: [norm(step.value), norm(step.grad)] for name, step in tape.steps.items()},
        "attention": pack(attention, "f4"),  # it is only drawn; its numbers come with the tensor
        "rollout": pack(read, dtype),
        "lens": pack(_lens(tape), dtype),
        "pixels": pack(tape.steps["image"].grad, dtype),
    }


def check(tape: Tape) -> dict[str, Any]:
    """Which gradients disagree with their finite differences, in the order of the backward pass, and of each the slope
    that it gives and the one that was measured."""
    wrong = tape.disagreements()
    slopes = tape.slopes(wrong)
    return {"wrong": wrong, "reasons": [list(slopes[name]) for name in wrong]}


def tensor(tape: Tape, name: str, dtype: str = "f8") -> dict[str, Any]:
    """One tensor: its values, its gradient, and what else its operation computes on the way. Raises KeyError for an
    unknown name."""
    step = tape.steps[name]
    extras = {title: pack(values, dtype) for title, values in _extras(tape, step).items()}
    return {"value": pack(step.value, dtype), "grad": pack(step.grad, dtype), "extras": extras}


def slope(tape: Tape, name: str, entry: tuple[int, ...]) -> dict[str, Any]:
    """The finite difference of one entry beside its gradient, and in how many digits they agree. Raises KeyError and
    IndexError for what there is not."""
    measured = tape.finite_difference(name, entry)
    gradient = float(tape.steps[name].grad[entry])
    error, size = abs(measured - gradient), max(abs(measured), abs(gradient))
    agrees = bool(error <= AGREE * size + ROUNDING)
    digits = 0 if size <= ROUNDING else 15 if error == 0 else max(0, min(15, math.floor(-math.log10(error / size))))
    return {"entry": list(entry), "measured": measured, "gradient": gradient, "agrees": agrees, "digits": digits}


def _attention(tape: Tape) -> np.ndarray:
    """(L, H, T, T)."""
    return np.stack([tape.steps[f"blocks.{i}.attn.attn"].value for i in range(tape.config.depth)])


def _lens(tape: Tape) -> np.ndarray:
    """What the model would answer if it ended after each block: (L, K), the last LayerNorm and the head applied to the
    stream there (the logit lens; nostalgebraist 2020)."""
    config, params = tape.config, tape.params
    x = np.stack([tape.steps[f"blocks.{i}.out"].value for i in range(config.depth)])  # (L, T, D)
    if config.norm == "tokens":
        x, _ = layernorm_forward(x, params["norm.weight"], params["norm.bias"], config.norm_eps)
    x, _ = pool_forward(x, config.pool, config.prefix)  # (L, T, D) -> (L, D)
    if config.norm == "pool":
        x, _ = layernorm_forward(x, params["fc_norm.weight"], params["fc_norm.bias"], config.norm_eps)
    return softmax_forward(head_forward(params, x, config)[0])[0]  # (L, D) -> (L, K)


def _extras(tape: Tape, step: Step) -> dict[str, Any]:
    """What is more than products and sums in an operation, so that the page need not compute it."""
    kind, config = kind_of(step), tape.config
    x = tape.steps[step.inputs[0]].value if step.inputs else step.value
    if kind == "normalise":
        xc = x - x.mean(-1, keepdims=True)
        rstd = 1 / np.sqrt(np.square(xc).mean(-1) + config.norm_eps)
        return {"mean": x.mean(-1), "rstd": rstd, "1/D": [1 / x.shape[-1]]}
    if kind == "scores":
        return {"1/√Dh": [1 / math.sqrt(x.shape[-1])]}
    if kind == "pool":
        return {"1/n": [1 / (config.tokens - (0 if config.pool == "mean" else config.prefix))]}
    if kind == "softmax":
        powers = np.exp(x - x.max(-1, keepdims=True))
        return {"exp": powers, "1/s": 1 / powers.sum(-1)}
    if kind == "gelu":
        _, cache = gelu_forward(x, config.gelu)
        return {"cdf": 1 / cache.reciprocal, "slope": gelu_backward(np.ones_like(x), cache)}
    if kind == "fixed":
        return {"pattern": step.value - x}
    if kind == "loss":
        logsum = x.max() + np.log(np.exp(x - x.max()).sum())
        return {"label": [tape.label], "logsum": [logsum], "probabilities": softmax_forward(x[None])[0][0]}
    return {}
