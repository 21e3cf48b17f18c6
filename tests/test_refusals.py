"""A function refuses what it cannot mean, instead of computing something else."""

import numpy as np
import pytest

from minivit import ViT, ViTConfig
from minivit.errors import TrainingError
from minivit.ops import (
    attention_forward,
    cross_entropy_forward,
    gelu_forward,
    patchify,
    pool_forward,
    sincos1d,
    sincos2d,
)
from minivit.optim import AdamWState, adamw_step, clip_by_norm, ema_step
from minivit.parallel import WorkerPool
from minivit.params import Params
from minivit.train import TrainConfig, Trainer, fit
from minivit.train.evaluate import probabilities
from tests.tools import tiny

X = np.random.default_rng(0).standard_normal((2, 5, 12))
WEIGHTS = np.ones((12, 36)), np.ones(36), np.ones((12, 12)), np.ones(12)
MODEL = ViT(tiny.config())
IMAGES, LABELS = tiny.images(6)


def adamw(**settings):
    adamw_step(np.ones(3), np.ones(3), AdamWState.zeros_like(np.ones(3)), 0.1, **settings)


def spoiled():
    model = ViT(tiny.config())
    model.params["head.bias"][1] = np.nan
    return model


def other_parameters():
    return ViT(ViTConfig(depth=1), params=ViT(ViTConfig(depth=2)).params)


REFUSED = {
    "a misspelt pool": (lambda: pool_forward(X, "CLS"), "unknown pool 'CLS': choose cls or mean"),
    "a misspelt GELU": (lambda: gelu_forward(X, "Tanh"), "unknown GELU form 'Tanh'"),
    "no queries": (lambda: attention_forward(X, *WEIGHTS, 3, queries=0), r"queries must lie in 1..5, .* not 0"),
    "minus one query": (lambda: attention_forward(X, *WEIGHTS, 3, queries=-1), r"queries must lie in 1..5, .* not -1"),
    "too many queries": (lambda: attention_forward(X, *WEIGHTS, 3, queries=6), r"queries must lie in 1..5, .* not 6"),
    "heads that do not fit": (lambda: attention_forward(X, *WEIGHTS, 5), "5 heads cannot share a width of 12"),
    "no heads": (lambda: attention_forward(X, *WEIGHTS, 0), "0 heads cannot share a width of 12"),
    "too much smoothing": (lambda: cross_entropy_forward(X[0], np.zeros(5, int), 1.0), r"label_smoothing .* not 1.0"),
    "negative smoothing": (lambda: cross_entropy_forward(X[0], np.zeros(5, int), -0.1), r"label_smoothing .* not -0.1"),
    "no patches": (lambda: patchify(X[None], 0), "patches of 0 x 0"),
    "odd positions": (lambda: sincos1d(np, 4, 5), "must be even, not 5"),
    "positions of six": (lambda: sincos2d(np, 2, 2, 6), "4 divides, not 6"),
    "a beta of one": (lambda: adamw(beta2=1.0), r"beta1 and beta2 .* 0.9 and 1.0"),
    "a negative beta": (lambda: adamw(beta1=-0.5), r"beta1 and beta2 .* -0.5 and 0.99"),
    "a limit of zero": (lambda: clip_by_norm(np.ones(3), 0.0), "limit of the norm must be positive, not 0.0"),
    "a limit that is NaN": (lambda: clip_by_norm(np.ones(3), np.nan), "limit of the norm must be positive, not nan"),
    "a decay of two": (lambda: ema_step(np.ones(3), np.ones(3), 2.0, 1), r"must lie in \[0, 1\), not 2.0"),
    "an integer model": (lambda: ViT(dtype="int32"), "computes in float32 or float64, not int32"),
    "half a float": (lambda: ViT(dtype="float16"), "computes in float32 or float64, not float16"),
    "a complex model": (lambda: ViT(dtype="complex128"), "computes in float32 or float64, not complex128"),
    "integer parameters": (lambda: ViT(params=ViT().params.astype("int64")), "float32 or float64, not int64"),
    "parameters of another config": (other_parameters, "do not match this config: blocks.1.attn.proj.bias"),
    "another device": (lambda: ViT(device="cuda:1"), "unknown device 'cuda:1': choose one of cpu, gpu"),
    "no threads": (lambda: WorkerPool(0), "threads must be at least 1, not 0"),
    "half a thread": (lambda: MODEL.predict(IMAGES, threads=2.5), r"threads must be a whole number, not 2.5"),
    "no epochs": (lambda: next(fit(Trainer(MODEL), (IMAGES, LABELS), epochs=0)), "epochs must be at least 1, not 0"),
    "no steps": (lambda: Trainer(MODEL, TrainConfig(), total_steps=0), "total_steps must be at least 1, not 0"),
    "minus one copy": (lambda: probabilities(MODEL, IMAGES, WorkerPool(1), -1), "tta must be at least 0, not -1"),
    "a spoiled model": (lambda: spoiled().predict(IMAGES), "a logit is not finite: .* hold NaN"),
    "a vector of another size": (lambda: Params({"w": (2, 3)}, np.ones(5)), r"vector of shape \(6,\), not \(5,\)"),
    "a list for a parameter": (lambda: MODEL.params.__setitem__("norm.bias", [1.0]), r"shape \(8,\), .* shape \(1,\)"),
    "a number for a parameter": (lambda: MODEL.params.__setitem__("norm.bias", 0.0), r"shape \(8,\), .* shape \(\)"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_makes_no_sense_is_refused(what):
    call, message = REFUSED[what]
    with pytest.raises((ValueError, TrainingError), match=message):
        call()
