"""A function refuses what it cannot mean, instead of computing something else."""

import numpy as np
import pytest

from minivit import ViT, ViTConfig, model
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
from minivit.params import Params, keep
from minivit.train import TrainConfig, Trainer, fit
from minivit.train.evaluate import probabilities
from tests.tools import tiny

X = np.random.default_rng(0).standard_normal((2, 5, 12))
WEIGHTS = np.ones((12, 36)), np.ones(36), np.ones((12, 12)), np.ones(12)
MODEL = ViT(tiny.config())
IMAGES, LABELS = tiny.images(6)


def adamw(grads=None, **settings):
    grads = np.ones(3) if grads is None else grads
    adamw_step(np.ones(3), grads, AdamWState.zeros_like(np.ones(3)), 0.1, **settings)


def spoiled():
    one = ViT(tiny.config())
    one.params["head.bias"][1] = np.nan
    return one


def read_only():
    params, state = np.ones(3), AdamWState.zeros_like(np.ones(3))
    params.flags.writeable = False
    try:
        adamw_step(params, np.ones(3), state, 0.1)
    finally:
        assert state == AdamWState.zeros_like(params)


def gradients_in_the_parameters():
    one = ViT(tiny.config())
    before = one.params.copy()
    logits, cache = one.forward(np.zeros((2, 1, 8, 8), "float32"))
    try:
        one.backward(np.ones_like(logits), cache, grads=one.params)
    finally:
        assert one.params == before


def other_parameters():
    return ViT(ViTConfig(depth=1), params=ViT(ViTConfig(depth=2)).params)


def in_another_order():
    shapes = dict(reversed(MODEL.params.shapes.items()))
    return ViT(MODEL.config, params=Params(shapes, MODEL.params.flat.copy()))


REFUSED = {
    "a misspelt pool": (lambda: pool_forward(X, "CLS"), "unknown pool 'CLS': choose one of cls, mean, patches"),
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
    "a beta1 of one": (lambda: adamw(beta1=1.0), r"beta1 and beta2 .* 1.0 and 0.99"),
    "a negative beta": (lambda: adamw(beta1=-0.5), r"beta1 and beta2 .* -0.5 and 0.99"),
    "read-only parameters": (read_only, "the parameters are read-only, and a step changes them in place: pass a copy"),
    "gradients in the parameters": (gradients_in_the_parameters, "grads are the model's own parameters"),
    "a seed for a generator": (
        lambda: MODEL.forward(np.zeros((1, 1, 8, 8), "float32"), rng=0),
        r"rng must be a generator, numpy.random.default_rng\(0\) for example, not 0",
    ),
    "no path": (lambda: ViT.load(None), "a model's path must be the name of a file or a folder, not None"),
    "a number for a path": (lambda: ViT.load(3), "a model's path must be the name of a file or a folder, not 3"),
    "a limit of zero": (lambda: clip_by_norm(np.ones(3), 0.0), "limit of the norm must be positive, not 0.0"),
    "a step that clips to zero": (lambda: adamw(clip_norm=0.0), "limit of the norm must be positive, not 0.0"),
    "a limit that is NaN": (lambda: clip_by_norm(np.ones(3), np.nan), "limit of the norm must be positive, not nan"),
    "a decay of one": (lambda: ema_step(np.ones(3), np.ones(3), 1.0, 1), r"must lie in \[0, 1\), not 1.0"),
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
    "a masked array": (lambda: MODEL.predict(np.ma.masked_array(IMAGES, IMAGES > 9)), "masked array, .*filled"),
    "a class below 0": (lambda: MODEL.config.class_name(-1), r"no class -1: they are 0\.\.2"),
    "a class too many": (lambda: MODEL.config.class_name(3), r"no class 3: they are 0\.\.2"),
    "a spoiled model": (lambda: spoiled().predict(IMAGES), "a logit is not finite: .* hold NaN"),
    "a dtype of None": (lambda: ViT(dtype=None), "computes in float32 or float64, not None"),
    "a dtype that is none": (lambda: ViT(dtype="junk"), "computes in float32 or float64, not junk"),
    "no seed": (lambda: ViT(seed=None), "seed must be a whole number, not None"),
    "a negative seed": (lambda: ViT(seed=-1), "seed must be at least 0, not -1"),
    "half a seed": (lambda: ViT(seed=1.5), "seed must be a whole number, not 1.5"),
    "parameters in another order": (in_another_order, "in another order than this config's"),
    "complex images": (lambda: MODEL.forward(IMAGES * 1j), "takes normalised floats as they are, not complex128"),
    "images of objects": (lambda: MODEL.forward(IMAGES.astype(object)), "normalised floats as they are, not object"),
    "images of text": (lambda: MODEL.forward(IMAGES.astype(str)), "normalised floats as they are, not <U"),
    "a billion blocks": (lambda: ViTConfig(depth=10**9), "depth must be at most 10000, not 1000000000"),
    "one gradient for all": (lambda: adamw(grads=np.ones(1)), r"gradient \(1,\) and state \(3,\) must have the same"),
    "a gradient of no axes": (lambda: adamw(grads=np.float64(1)), r"gradient \(\) and state \(3,\) must have the"),
    "an average before step 1": (lambda: ema_step(np.ones(3), np.ones(3), 0.9, 0), "step 0, expected 1, 2"),
    "an average of another size": (lambda: ema_step(np.ones(3), np.ones(1), 0.9, 1), "expected the same"),
    "a vector of another size": (lambda: Params({"w": (2, 3)}, np.ones(5)), r"vector of shape \(6,\), not \(5,\)"),
    "a list for a parameter": (lambda: MODEL.params.__setitem__("norm.bias", [1.0]), r"shape \(8,\), .* shape \(1,\)"),
    "a number for a parameter": (lambda: MODEL.params.__setitem__("norm.bias", 0.0), r"shape \(8,\), .* shape \(\)"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_makes_no_sense_is_refused(what):
    call, message = REFUSED[what]
    with pytest.raises((ValueError, TrainingError), match=message):
        call()


def test_the_ends_of_the_ranges_are_taken():
    """No running mean at all: the last gradient, and the last weights."""
    adamw(beta1=0.0, beta2=0.0)
    mean = np.zeros(3)
    ema_step(mean, np.ones(3), 0.0, 5)
    assert (mean == 1).all()


def test_as_many_gradients_as_parameters(monkeypatch):
    with pytest.raises(ValueError, match="zip"):
        keep([np.ones(2)], [np.ones(2), np.ones(2)])
    logits, cache = MODEL.forward(IMAGES.astype("float32"))
    backward = model.block_backward
    monkeypatch.setattr(model, "block_backward", lambda *arguments: backward(*arguments)[:-1])
    with pytest.raises(ValueError, match="zip"):
        MODEL.backward(np.ones_like(logits), cache)
