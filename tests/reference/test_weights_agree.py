"""Every family against the library that wrote it: tokens, embedding, logits, and the gradient of every parameter and of
the pixels, at the native size.

Gradients are compared in our layout: the library saves a model whose parameters are the gradients, and that is loaded.
"""

import json

import numpy as np
import pytest

from minivit import ViT

from .agreement import assert_agrees, torch
from .libraries import FAMILIES, Theirs, perturbed

pytestmark = pytest.mark.reference
BOUNDS = {"float64": 1e-10, "float32": 2e-5}


def load(folder, dtype):
    """The model in a folder; its normalisation is not asked for, the images being normalised already."""
    return ViT.load(folder, dtype=dtype, pixels="none")


def compare(theirs: Theirs, ours: ViT, gradients, bound: float) -> None:
    """Fail, naming the tensor, unless both compute the same. gradients: a function that saves and loads a model."""
    dtype, model = ours.dtype, theirs.model
    rng = np.random.default_rng(5)
    images = rng.standard_normal((3, *ours.config.image_shape)).astype(dtype)
    with torch.no_grad():
        assert_agrees("tokens", ours.forward_features(images), theirs.tokens(model, torch.tensor(images)), bound)
    leaf, seen = torch.tensor(images, requires_grad=True), []
    hook = None
    if theirs.head:
        hook = model.get_submodule(theirs.head).register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    output = theirs.output(model, leaf)
    if hook:
        hook.remove()
    embedding = (seen[0] if seen else output).detach()
    if not ours.config.embedding:
        assert_agrees("embedding", ours.embed(images), embedding, bound)
    logits, cache = ours.forward(images)
    assert_agrees("output", logits, output.detach(), bound)
    dlogits = rng.standard_normal(logits.shape).astype(dtype)
    (output * torch.tensor(dlogits)).sum().backward()
    grads, dimages = ours.backward(dlogits, cache)
    assert_agrees("pixels", dimages, leaf.grad, bound)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)
    expected = gradients(theirs)
    for name, value in grads.items():
        there = expected.params[name]
        if name == "pos_embed" and ours.config.has_class_token and not there[0, 0].any():
            assert_agrees("pos_embed[0]", value[:, :1], grads["cls_token"], bound)  # zero in a table without that row
            value, there = value[:, 1:], there[:, 1:]
        if name not in theirs.keeps_out:
            assert_agrees(name, value, there, bound)


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_agrees_with_its_library(family, dtype, tmp_path):
    theirs = FAMILIES[family]()
    theirs = theirs._replace(model=perturbed(theirs.model, dtype))
    theirs.save(theirs.model, tmp_path / "model")

    def gradients(theirs):
        theirs.save(theirs.model, tmp_path / "gradients")
        return load(tmp_path / "gradients", dtype)

    ours = load(tmp_path / "model", dtype)
    compare(theirs, ours, gradients, BOUNDS[dtype])
    sizes = [tuple(p.shape) for p in theirs.model.parameters()]
    assert len(sizes) >= len(ours.params) - len(theirs.keeps_out)
    assert json.loads((tmp_path / "model" / "config.json").read_text())
