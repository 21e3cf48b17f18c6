"""timm's names, which are ours, and those that Meta's DINOv2 and MAE share with them."""

from .table import CONVOLUTION, LINEAR, TOKENS, VECTOR, Family, Row, pair

ROWS = (
    *pair("patch_embed.proj", "patch_embed.proj", CONVOLUTION),
    Row("cls_token", "cls_token", TOKENS),
    Row("reg_token", "reg_token", TOKENS),
    Row("pos_embed", "pos_embed", TOKENS),
    *pair("norm_pre", "norm_pre"),
    *pair("blocks.{i}.norm1", "blocks.{i}.norm1"),
    *pair("blocks.{i}.attn.qkv", "blocks.{i}.attn.qkv", LINEAR),
    *pair("blocks.{i}.attn.proj", "blocks.{i}.attn.proj", LINEAR),
    Row("blocks.{i}.ls1.gamma", "blocks.{i}.ls1.gamma", VECTOR),
    *pair("blocks.{i}.norm2", "blocks.{i}.norm2"),
    *pair("blocks.{i}.mlp.fc1", "blocks.{i}.mlp.fc1", LINEAR),
    *pair("blocks.{i}.mlp.fc2", "blocks.{i}.mlp.fc2", LINEAR),
    Row("blocks.{i}.ls2.gamma", "blocks.{i}.ls2.gamma", VECTOR),
    *pair("norm", "norm"),
    *pair("fc_norm", "fc_norm"),
    *pair("head", "head", LINEAR),
)

# The text tower of an open_clip file whose image tower is one of timm's.
TEXT_TOWER = (
    "/logit_scale",
    "/logit_bias",
    "/positional_embedding",
    "/token_embedding.weight",
    "/text_projection",
    "/attn_mask",
    "/ln_final.weight",
    "/ln_final.bias",
    *(
        f"/transformer.resblocks.{{i}}.{name}"
        for name in (
            "ln_1.weight", "ln_1.bias", "attn.in_proj_weight", "attn.in_proj_bias", "attn.out_proj.weight",
            "attn.out_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight",
            "mlp.c_proj.bias",
        )
    ),
)  # fmt: skip

TIMM = Family(
    "timm's VisionTransformer",
    ROWS,
    absent=("mask_token", "register_tokens", "decoder_embed.weight"),
    prefixes=("visual.trunk.", ""),
    zeros=("patch_embed.proj.bias",),
    before_head=("pre_logits.fc.weight", "pre_logits.fc.bias"),
    unused=TEXT_TOWER,
    renamed=((r"^(blocks\.\d+\.)gamma_([12])$", r"\1ls\2.gamma"),),  # DeiT-3, as Meta wrote it
)

# The same as the image tower of an open_clip model, with its projection beside it.
TOWER = TIMM._replace(
    name="timm's VisionTransformer in open_clip",
    rows=(
        *(row for row in ROWS if not row.ours.startswith("head.")),
        Row("head.weight", "/visual.head.proj.weight", LINEAR),
    ),
    marks=("/visual.head.proj.weight",),
    prefixes=("visual.trunk.",),
    zeros=(*TIMM.zeros, "head.bias"),
    pixels="clip",
    embedding=True,
)

DINOV2 = Family(
    "Meta's DINOv2",
    tuple(row._replace(theirs="register_tokens") if row.ours == "reg_token" else row for row in ROWS),
    marks=("mask_token", "blocks.0.ls1.gamma"),
    prefixes=("vision_encoder.", ""),
    settings={"gelu": "erf", "norm_eps": 1e-6, "pool": "cls"},
    frame=("crop", 256 / 224, "bicubic"),
    pixels="imagenet",
    head_width=64,
    unused=("mask_token",),
    renamed=((r"^blocks\.\d+\.(\d+)\.", r"blocks.\1."),),  # training files keep their blocks in chunks
    resize="bicubic+0.1",
)

MAE = Family(
    "Meta's MAE",
    ROWS,
    marks=("decoder_embed.weight", "mask_token"),
    settings={"gelu": "erf", "norm_eps": 1e-6, "pool": "cls"},
    frame=("crop", 256 / 224, "bicubic"),
    pixels="imagenet",
    heads={768: 12, 1024: 16, 1280: 16},
    unused=(
        "mask_token",
        "decoder_pos_embed",
        "decoder_embed.weight",
        "decoder_embed.bias",
        *(
            f"decoder_blocks.{{i}}.{name}.{kind}"
            for name in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
            for kind in ("weight", "bias")
        ),
        "decoder_norm.weight",
        "decoder_norm.bias",
        "decoder_pred.weight",
        "decoder_pred.bias",
    ),
    resize="bicubic",
    licence="CC-BY-NC 4.0",
)
