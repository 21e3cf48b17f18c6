"""What minivit knows about libraries, held against the libraries: the numbers that an architecture's name stands for in
timm, the weights that want QuickGELU, and the defaults of transformers' config classes."""

import pytest

from minivit.weights.huggingface_config import DEFAULTS
from minivit.weights.refused import refused_architecture, refused_tensors
from minivit.weights.timm_config import QUICK, rules

from .agreement import torch
from .libraries import timm, transformers

pytestmark = pytest.mark.reference
GELUS = {"GELU": "erf", "GELUTanh": "tanh", "QuickGELU": "quick"}


def architectures():
    return [*timm.list_models(module="vision_transformer"), *timm.list_models(module="deit")]


def test_the_rules_hold_for_every_architecture_that_minivit_reads():
    """Built without memory. What is refused by name, by tensors or by an MLP of another form is left out."""
    checked = 0
    for name in architectures():
        if refused_architecture(name):
            continue
        with torch.device("meta"):
            model = timm.create_model(name, depth=1)
        norms = {module.eps for module in model.modules() if isinstance(module, torch.nn.LayerNorm)}
        tensors = model.state_dict()
        if refused_tensors(tensors) or "blocks.0.norm1.bias" not in tensors:
            continue
        if len(tensors["blocks.0.mlp.fc1.weight"]) != tensors["blocks.0.mlp.fc2.weight"].shape[1]:
            continue
        attention = model.blocks[0].attn
        activation = type(model.blocks[0].mlp.act).__name__
        told = rules(name, {})
        assert told["head_width"] == model.embed_dim // attention.num_heads == attention.head_dim, name
        assert {told["norm_eps"]} == norms, name
        assert told["gelu"] == GELUS[activation], name
        parts = model.blocks[0], attention, model.patch_embed
        assert [type(part).__name__ for part in parts] == ["Block", "Attention", "PatchEmbed"], name
        assert attention.scale == attention.head_dim**-0.5 and model.global_pool in ("token", "avg"), name
        checked += 1
    assert checked > 120


def test_the_weights_that_want_quickgelu_are_those_that_timm_notes():
    noted = {}
    for name in timm.list_models(pretrained=True, module="vision_transformer"):
        published = timm.models.get_pretrained_cfg(name)
        if "clip_quickgelu" not in name and any("QuickGELU" in note for note in published.notes or ()):
            noted[name] = published.num_classes
    assert QUICK == noted


@pytest.mark.parametrize("model_type", DEFAULTS)
def test_the_defaults_are_those_of_the_config_classes(model_type):
    config = transformers.AutoConfig.for_model(model_type).to_dict()
    assert {name: config[name] for name in DEFAULTS[model_type]} == DEFAULTS[model_type]
