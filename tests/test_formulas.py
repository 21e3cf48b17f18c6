"""Formulas as they stand in the docstrings are run, and give what the code gives."""

import math
import re

import numpy as np
import pytest

from minivit import ops
from minivit.ops.attention import _heads
from minivit.rng import INITIAL_WEIGHTS, generator
from tests.docstrings import MODULES, Call, docstring, flatten, given_and_returned, make_arguments

FORMULAS = {  # as they stand in a docstring, and what they compute
    "linear_forward": ("y = x @ W + b", "y"),
    "linear_backward": ("dW = xᵀ @ dy", "dW"),
    "linear_backward.": ("dx = dy @ Wᵀ", "dx"),
    "layernorm_forward": (
        "xc = x - mean(x);  rstd = 1/sqrt(mean(xc²) + eps);  xhat = rstd·xc;  y = gamma·xhat + beta", "y"),
    "layernorm_backward": ("dx = rstd · (u - mean(u) - xhat·mean(u·xhat))", "dx"),
    "gelu_forward": ("y = x·Φ(x)", "y"),
    "softmax_backward": ("dx = y · (dy - sum(dy·y))", "dx"),
    "dot_product_forward": ("attn = softmax(q @ kᵀ / sqrt(Dh));  y = dropout(attn) @ v", "y"),
    "mlp_forward": ("y = gelu(x @ W1 + b1) @ W2 + b2", "y"),
    "patch_embed_forward": ("y = patchify(images) @ W + b", "y"),
    "class_token_forward": ("y[:, 0] = token;  y[:, 1:] = x", "y"),
    "add_positions_forward": ("y = x + positions", "y"),
    "dropout_forward": ("y = x·mask", "y"),
    "dropout_backward": ("dx = dy·mask", "dx"),
    "block_forward": ("h = x + dropout(attention(layernorm(x)));  y = h + dropout(mlp(layernorm(h)))", "y"),
    "cross_entropy_backward": ("dlogits = (p - t)·dloss/B", "dlogits"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas_compute_what_the_code_computes(name):
    formula, result = FORMULAS[name]
    name = name.rstrip(".")
    pair = name.rsplit("_", 1)[0]
    module = next(m for m in MODULES.values() if hasattr(m, name) and getattr(m, name).__module__ == m.__name__)
    assert formula in docstring(getattr(module, name))
    extra = {"dropout": {"mask": np.arange(12.0)}, "patch_embed": {"patch_size": 4}, "block": {"heads": 3}}
    extra |= {"cross_entropy": {"labels": np.array([3, 0])}}
    call = Call("", pair, extra.get(pair, {}))
    forward, backward = getattr(module, f"{pair}_forward"), getattr(module, f"{pair}_backward")
    arguments = make_arguments(call, forward)
    if pair == "linear":
        arguments["x"] = arguments["x"].reshape(-1, 12)  # dW = xᵀ @ dy is for rows
    y, cache = forward(**arguments)
    dy = generator(9, INITIAL_WEIGHTS).standard_normal(y.shape)
    gradients = backward(dy, cache)
    made = {"y": y} | dict(zip(given_and_returned(backward)[1], flatten(gradients)))
    code = re.sub(r"(\w)ᵀ", r"T(\1)", formula.replace(" · ", "*").replace("·", "*").replace("²", "**2"))
    scope = vocabulary(arguments, y, dy, cache)
    exec(code, scope)
    np.testing.assert_allclose(scope[result], made[result], rtol=1e-10, atol=1e-12)


def vocabulary(arguments, y, dy, cache):
    """What the words of the formulas mean, said once more in plain NumPy."""

    def softmax(x):
        return np.exp(x) / np.exp(x).sum(-1, keepdims=True)

    def normal_cdf(x):
        return (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2

    def layernorm(x):
        xc = x - x.mean(-1, keepdims=True)
        gamma, beta = arguments["norm2" if "h" in scope else "norm1"]
        return gamma * xc / np.sqrt((xc * xc).mean(-1, keepdims=True) + 1e-6) + beta

    def attention(x):
        W, b, Wproj, bproj = arguments["attn"]
        q, k, v = _heads(x @ W + b, 3, None)
        joined = (softmax(q @ k.swapaxes(-1, -2) / 2) @ v).swapaxes(1, 2).reshape(x.shape)
        return joined @ Wproj + bproj

    def mlp(x):
        W1, b1, W2, b2 = arguments["mlp"]
        return gelu(x @ W1 + b1) @ W2 + b2

    def gelu(x):
        return x * normal_cdf(x)

    def dropout(x):
        return x * (1 if arguments.get("mask") is None else arguments["mask"])

    scope = {**arguments, "dy": dy, "y": np.empty_like(y), "eps": 1e-6, "Dh": 4, "B": 2, "dloss": dy, "sqrt": np.sqrt}
    scope |= {"mean": lambda x: x.mean(-1, keepdims=True), "sum": lambda x: x.sum(-1, keepdims=True)}
    scope |= {"T": lambda x: x.swapaxes(-1, -2), "Φ": normal_cdf, "softmax": softmax, "layernorm": layernorm}
    scope |= {"gelu": gelu, "mlp": mlp, "attention": attention, "dropout": dropout}
    scope["patchify"] = lambda images: ops.patchify(images, 4)
    if hasattr(cache, "xhat"):
        scope |= {"xhat": cache.xhat, "rstd": cache.rstd, "u": dy * cache.gamma}
    if hasattr(cache, "targets"):
        scope |= {"p": cache.probabilities, "t": cache.targets}
    if hasattr(cache, "y"):
        scope["y"] = cache.y
    return scope
