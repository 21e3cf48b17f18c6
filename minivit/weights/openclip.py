"""The names of CLIP's image tower in OpenAI's code and in open_clip, which took them over."""

from .table import AS_OURS, CONVOLUTION, LINEAR, VECTOR, Family, Row, pair
from .timm import TEXT_TOWER

BLOCK = "transformer.resblocks.{i}"
OPEN_CLIP = Family(
    "CLIP's image tower (OpenAI, open_clip)",
    (
        Row("patch_embed.proj.weight", "conv1.weight", CONVOLUTION),
        Row("cls_token", "class_embedding", "d -> 1 1 d"),
        Row("pos_embed", "positional_embedding", "n d -> 1 n d"),
        *pair("norm_pre", "ln_pre"),
        *pair("blocks.{i}.norm1", f"{BLOCK}.ln_1"),
        Row("blocks.{i}.attn.qkv.weight", f"{BLOCK}.attn.in_proj_weight", LINEAR),
        Row("blocks.{i}.attn.qkv.bias", f"{BLOCK}.attn.in_proj_bias", VECTOR),
        *pair("blocks.{i}.attn.proj", f"{BLOCK}.attn.out_proj", LINEAR),
        Row("blocks.{i}.ls1.gamma", f"{BLOCK}.ls_1.gamma", VECTOR),
        *pair("blocks.{i}.norm2", f"{BLOCK}.ln_2"),
        *pair("blocks.{i}.mlp.fc1", f"{BLOCK}.mlp.c_fc", LINEAR),
        *pair("blocks.{i}.mlp.fc2", f"{BLOCK}.mlp.c_proj", LINEAR),
        Row("blocks.{i}.ls2.gamma", f"{BLOCK}.ls_2.gamma", VECTOR),
        *pair("norm", "ln_post"),
        Row("head.weight", "proj", AS_OURS),  # the layout's only matrix that is used as x @ W
    ),
    marks=("class_embedding", "ln_pre.weight"),
    prefixes=("visual.",),
    settings={"pool": "cls", "norm_eps": 1e-5},
    frame=("crop", 1.0, "bicubic"),
    pixels="clip",
    head_width=64,
    zeros=("patch_embed.proj.bias", "head.bias"),
    unused=(*TEXT_TOWER, "/input_resolution", "/context_length", "/vocab_size"),
    embedding=True,
)
