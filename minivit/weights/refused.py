"""Structures that minivit does not have, and how a file shows them: in the names of its tensors, or in its config."""

import re
from collections.abc import Iterable

SECOND_TOKEN = "a second token beside the class token (distilled DeiT)"
TENSORS = (
    (r"(^|\.)(dist_token$|head_dist\.)|embeddings\.distillation_token$", SECOND_TOKEN),
    (r"(^|\.)attn_pool\.|(^|/)MAPHead_0/|vision_model\.head\.|(^|\.)head\.probe$", "attention pooling (SigLIP)"),
    (r"\.mlp\.(w12|w3|weights_in|weights_out|fc1_g|fc1_x)\.", "a SwiGLU in its MLP (DINOv2 giant, EVA-02)"),
    (r"(^|\.)rope(_embed)?\.|rotary_emb|\.rope\.", "rotary positions (rope, as in DINOv3 and EVA-02)"),
    (r"\.(q_norm|k_norm|q_layernorm|k_layernorm)\.", "a LayerNorm of queries and keys (q/k norm)"),
    (r"\.lambda_[qk][12]$", "differential attention"),
    (r"^(.*\.)?blocks\.\d+\.(attns|ffns)\.|\.(mlp_bias|attn_out_proj|mlp_out_proj)(\.|$)", "parallel blocks"),
    (r"^(.*\.)?blocks\.\d+\.(attn|mlp)\.norm\.", "a LayerNorm inside attention or MLP"),
    (r"relative_position_bias_table|rel_pos_[hw]$", "relative positions (BEiT, Swin, SAM)"),
    (r"\.attn\.(q_bias|v_bias)$|^(.*\.)?blocks\.\d+\.attn\.q_proj\.", "separate query and value biases (BEiT, EVA)"),
    (r"patch_embed\.backbone\.|(^|/)conv_root/", "a convolutional network in front (hybrid ViT)"),
    (r"patch_embed\.norm\.|norm_embed\.", "a LayerNorm in its patch embedding"),
    (r"^(.*\.)?stages\.\d+\.|^layer[1-4]\.\d+\.conv", "stages of a network that is no plain ViT"),
)  # fmt: skip
ARCHITECTURES = (
    (r"_rpn_", "LayerNorms behind its branches (res-post-norm)"),
    (r"distilled", SECOND_TOKEN),
    (r"(_|^)(d?pwee|xp)_", "parallel blocks"),
)  # of timm, whose tensors may look like a plain ViT's
ARGUMENTS = (
    "block_fn",
    "mlp_layer",
    "attn_layer",
    "embed_layer",
    "embed_norm_layer",
    "qk_norm",
    "scale_attn_norm",
    "scale_mlp_norm",
)


def refused_tensors(names: Iterable[str]) -> str | None:
    """The structure that these tensors belong to and that minivit does not have, with one of their names; None if there
    is none."""
    for name in names:
        if name.startswith(("text", "transformer.")):  # of a text tower, which is not read
            continue
        for pattern, what in TENSORS:
            if re.search(pattern, name):
                return f"{what}, which minivit does not have; see {name}"
    return None


def refused_architecture(name: str) -> str | None:
    """The structure that an architecture of timm has and minivit does not; None if there is none."""
    for pattern, what in ARCHITECTURES:
        if re.search(pattern, name):
            return f"{what}, which minivit does not have"
    return None
