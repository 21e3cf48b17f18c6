"""Structures that minivit does not have: each refused by name, in one line, from the header."""

import pytest

from minivit import ViT
from minivit.errors import CheckpointError
from minivit.weights.refused import refused_architecture

from . import synthetic
from .synthetic import D, filled, hf_config, timm_config, write
from .test_load import PLAIN, file_of

TENSORS = {
    "dist_token": "a second token beside the class token",
    "head_dist.weight": "a second token beside the class token",
    "deit.embeddings.distillation_token": "a second token beside the class token",
    "attn_pool.latent": "attention pooling (SigLIP)",
    "visual.trunk.attn_pool.q.weight": "attention pooling (SigLIP)",
    "vision_model.head.probe": "attention pooling (SigLIP)",
    "params/img/MAPHead_0/probe": "attention pooling (SigLIP)",
    "blocks.0.mlp.w12.weight": "a SwiGLU",
    "dinov2.encoder.layer.0.mlp.weights_in.weight": "a SwiGLU",
    "blocks.0.mlp.fc1_g.weight": "a SwiGLU",
    "rope.freqs": "rotary positions",
    "rope_embed.periods": "rotary positions",
    "blocks.0.attn.rope.freqs": "rotary positions",
    "blocks.0.attn.q_norm.weight": "a LayerNorm of queries and keys",
    "blocks.0.attn.lambda_q1": "differential attention",
    "blocks.0.attns.0.qkv.weight": "parallel blocks",
    "blocks.0.mlp_bias": "parallel blocks",
    "blocks.0.attn.norm.weight": "a LayerNorm inside attention or MLP",
    "blocks.0.attn.relative_position_bias_table": "relative positions",
    "blocks.0.attn.q_bias": "separate query and value biases",
    "blocks.0.attn.q_proj.weight": "separate query and value biases",
    "patch_embed.backbone.conv.weight": "a convolutional network in front",
    "conv_root/kernel": "a convolutional network in front",
    "layer1.0.conv1.weight": "stages of a network that is no plain ViT",
}


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_tells_a_structure_that_minivit_has_not(name, tmp_path):
    path = file_of(filled(synthetic.timm_shapes() | {name: (D,)}), tmp_path)
    with pytest.raises(CheckpointError) as error:
        ViT.load(path, **PLAIN)
    message = str(error.value)
    assert TENSORS[name] in message and f"which minivit does not have; see {name}" in message and "\n" not in message


def test_a_text_tower_may_have_what_it_likes(tmp_path):
    shapes = synthetic.hf_clip_shapes() | {"text_model.encoder.layers.0.self_attn.q_norm.weight": (3,)}
    with pytest.raises(CheckpointError, match="no use for these tensors"):
        ViT.load(file_of(filled(shapes), tmp_path), **PLAIN)


def test_tensors_of_no_vit(tmp_path):
    with pytest.raises(CheckpointError, match=r"its tensors \(a, b, ...\) are not laid out as any ViT"):
        ViT.load(file_of(filled({"a": (2,), "b": (3,)}), tmp_path))
    with pytest.raises(CheckpointError, match=r"its tensors \(none, ...\)"):
        ViT.load(file_of({}, tmp_path))


@pytest.mark.parametrize(
    "config, expected",
    [
        (timm_config("vit_base_patch16_rpn_224"), "LayerNorms behind its branches"),
        (timm_config("deit_tiny_distilled_patch16_224"), "a second token"),
        (timm_config(model_args={"block_fn": "ParallelScalingBlock"}), "block_fn 'ParallelScalingBlock'"),
        (timm_config(model_args={"qk_norm": True}), "qk_norm True"),
        (timm_config(model_args={"act_layer": "relu"}), "activation 'relu', minivit has gelu, gelu_tanh, quick_gelu"),
        (timm_config(global_pool="max"), "pooling 'max'"),
        (timm_config(model_args={"global_pool": "map"}), "pooling 'map'"),
        (hf_config("swin"), "model_type 'swin', minivit reads vit"),
        (hf_config("deit"), "model_type 'deit'"),
        (hf_config("dinov2", use_swiglu_ffn=True), "a SwiGLU"),
        (hf_config(hidden_act="relu"), "activation 'relu'"),
        (hf_config(hidden_size=24), "the config beside it is of another model: dim 24, the tensors have 12"),
        (hf_config(num_hidden_layers=12), "the config beside it is of another model: depth 12, the tensors have 2"),
    ],
)
def test_a_config_tells_what_minivit_has_not(config, expected, tmp_path):
    folder = write(tmp_path / "model", filled(synthetic.timm_shapes()), config)
    with pytest.raises(CheckpointError) as error:
        ViT.load(folder, **PLAIN)
    assert expected in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("vision", [{"pool_type": "avg"}, {"attentional_pool": True}, {"no_ln_pre": True}])
def test_open_clip_s_other_towers(vision, tmp_path):
    config = {"model_cfg": {"vision_cfg": {"width": D, "layers": 2, **vision}}}
    file_of(filled(synthetic.openai_shapes()), tmp_path).rename(tmp_path / "open_clip_model.safetensors")
    write(tmp_path / "other", {}, open_clip_config=config)
    (tmp_path / "other/open_clip_config.json").rename(tmp_path / "open_clip_config.json")
    with pytest.raises(CheckpointError, match="which minivit does not have"):
        ViT.load(tmp_path, **PLAIN)


def test_plain_architectures_are_not_refused():
    for name in (
        "vit_base_patch16_224",
        "deit3_small_patch16_224",
        "vit_base_patch16_plus_240",
        "vit_wee_patch16_reg1_gap_256",
    ):
        assert refused_architecture(name) is None
