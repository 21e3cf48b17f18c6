"""The referees, tested: each wrong setting and each wrong rearrangement makes them fail."""

import dataclasses

import numpy as np
import pytest

from minivit import ViT
from minivit.weights import load, table

from .libraries import FAMILIES, perturbed
from .test_weights_agree import compare

pytestmark = pytest.mark.reference


def swapped(first, second):
    """Two thirds of every matrix of queries, keys and values, exchanged."""

    def change(params, config):
        D = config.dim
        for i in range(config.depth):
            matrix = params[f"blocks.{i}.attn.qkv.weight"]
            thirds = [matrix[:, j * D : (j + 1) * D].copy() for j in range(3)]
            matrix[:, first * D : (first + 1) * D] = thirds[second]
            matrix[:, second * D : (second + 1) * D] = thirds[first]

    return change


def transposed(name):
    def change(params, config):
        params[name] = params[name].T.copy()

    return change


def settings(**values):
    return lambda config: dataclasses.replace(config, **values)


WRONG_SETTINGS = {
    "eps 1e-12 for 1e-6": ("timm ViT", settings(norm_eps=1e-12)),
    "eps 1e-6 for 1e-12": ("HF ViT", settings(norm_eps=1e-6)),
    "eps 1e-6 for 1e-5": ("HF CLIP", settings(norm_eps=1e-6)),
    "erf for quick": ("timm CLIP, OpenAI", settings(gelu="erf")),
    "quick for erf": ("timm CLIP, LAION", settings(gelu="quick")),
    "tanh for erf": ("HF ViT", settings(gelu="tanh")),
    "erf for tanh": ("timm SigLIP 2, averaged", settings(gelu="erf")),
    "the class token in the mean": ("timm MAE, fine-tuned", settings(pool="mean")),
    "registers in the mean": ("timm reg4_gap", settings(pool="mean")),
    "the class token left out of the mean": ("timm ViT, mean of all tokens", settings(pool="patches")),
    "other heads": ("timm ViT", settings(heads=2)),
}
WRONG_TENSORS = {
    "q and k swapped": ("HF ViT", swapped(0, 1)),
    "k and v swapped": ("timm ViT", swapped(1, 2)),
    "a square matrix transposed": ("timm ViT", transposed("blocks.0.attn.proj.weight")),
    "a square matrix transposed, HF": ("HF ViT", transposed("blocks.1.attn.proj.weight")),
}


def loaded(family, folder):
    theirs = FAMILIES[family]()
    theirs = theirs._replace(model=perturbed(theirs.model))
    theirs.save(theirs.model, folder)
    return theirs, ViT.load(folder, dtype="float64", pixels="none")


def fails(theirs, ours, match):
    with pytest.raises(AssertionError, match=match):
        compare(theirs, ours, None, 1e-10)


@pytest.mark.parametrize("wrong", WRONG_SETTINGS)
def test_a_wrong_setting_is_seen(wrong, tmp_path):
    family, change = WRONG_SETTINGS[wrong]
    theirs, ours = loaded(family, tmp_path)
    fails(theirs, ViT(change(ours.config), params=ours.params), "tokens|embedding")


@pytest.mark.parametrize("family", ["timm reg1_gap", "timm gap"])
def test_the_norm_on_the_wrong_side_of_the_pool_is_seen(family, tmp_path):
    theirs, ours = loaded(family, tmp_path)
    other = {"pool": "tokens", "tokens": "pool"}[ours.config.norm]
    names = {"pool": ("fc_norm.", "norm."), "tokens": ("norm.", "fc_norm.")}[ours.config.norm]
    made = ViT(dataclasses.replace(ours.config, norm=other), dtype="float64")
    for name, value in ours.params.items():
        made.params[name.replace(*names) if name.startswith(names[0]) else name] = value
    fails(theirs, made, "tokens|embedding")


@pytest.mark.parametrize("wrong", WRONG_TENSORS)
def test_a_wrong_tensor_is_seen(wrong, tmp_path):
    family, change = WRONG_TENSORS[wrong]
    theirs, ours = loaded(family, tmp_path)
    change(ours.params, ours.config)
    fails(theirs, ours, "tokens")


@pytest.mark.parametrize("form, wrong", [(table.LINEAR, "i o -> i o"), (table.CONVOLUTION, "d c q p -> (c p q) d")])
def test_a_wrong_pattern_is_seen(form, wrong, tmp_path, monkeypatch):
    """A linear layer taken as it is, where it is square, and a convolution with rows and columns exchanged."""

    def planted(tensor, pattern, config):
        square = pattern == form and tensor.shape[-1] == tensor.shape[-2]
        return table.inward(tensor, wrong if square else pattern, config)

    monkeypatch.setattr(load, "inward", planted)
    theirs, ours = loaded("timm ViT", tmp_path)
    fails(theirs, ours, "tokens")


def test_a_square_matrix_transposed_on_the_way_out_is_seen(tmp_path, monkeypatch):
    from minivit.weights import convert, export

    from .test_weights_export import in_timm, outputs

    def planted(value, form, config):
        made = table.outward(value, form, config)
        return made.T if form == table.LINEAR and made.shape[0] == made.shape[1] else made

    monkeypatch.setattr(export, "outward", planted)
    _, ours = loaded("timm ViT", tmp_path / "theirs")
    model = ViT(ours.config, params=ours.params.astype("float32"))
    convert(model.params, model.config, None, tmp_path / "out", "timm")
    images, expected = outputs(model)
    assert np.abs(in_timm(tmp_path / "out", images) - expected).max() > 1e-2
