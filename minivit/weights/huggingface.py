"""The names of Hugging Face's transformers, as `save_pretrained` writes them, and as they are in memory since 5.0."""

from .table import CONVOLUTION, LINEAR, TOKENS, VECTOR, Family, Row, pair


def separate(theirs: str, names: tuple[str, str, str]) -> tuple[Row, ...]:
    """The rows of queries, keys and values that are linear layers of their own."""
    rows: list[Row] = []
    for part, name in enumerate(names):
        weight, bias = pair("blocks.{i}.attn.qkv", f"{theirs}.{name}", LINEAR)
        rows += [weight._replace(part=part), bias._replace(part=part)]
    return tuple(rows)


EMBEDDINGS = (
    *pair("patch_embed.proj", "embeddings.patch_embeddings.projection", CONVOLUTION),
    Row("cls_token", "embeddings.cls_token", TOKENS),
    Row("reg_token", "embeddings.register_tokens", TOKENS),
    Row("pos_embed", "embeddings.position_embeddings", TOKENS),
)
LAYER = "encoder.layer.{i}"
ATTENTION = (
    *separate(f"{LAYER}.attention.attention", ("query", "key", "value")),
    *pair("blocks.{i}.attn.proj", f"{LAYER}.attention.output.dense", LINEAR),
)
END = (*pair("norm", "layernorm"), *pair("head", "/classifier", LINEAR))
POOLER = ("pooler.dense.weight", "pooler.dense.bias")
IN_MEMORY = (  # transformers 5: names in memory, made into those on disk
    (r"^layers\.(\d+)\.", r"encoder.layer.\1."),
    (r"^(encoder\.layer\.\d+\.attention)\.q_proj\.", r"\1.attention.query."),
    (r"^(encoder\.layer\.\d+\.attention)\.k_proj\.", r"\1.attention.key."),
    (r"^(encoder\.layer\.\d+\.attention)\.v_proj\.", r"\1.attention.value."),
    (r"^(encoder\.layer\.\d+\.attention)\.o_proj\.", r"\1.output.dense."),
)

VIT_ROWS = (
    *EMBEDDINGS,
    *pair("blocks.{i}.norm1", f"{LAYER}.layernorm_before"),
    *ATTENTION,
    *pair("blocks.{i}.norm2", f"{LAYER}.layernorm_after"),
    *pair("blocks.{i}.mlp.fc1", f"{LAYER}.intermediate.dense", LINEAR),
    *pair("blocks.{i}.mlp.fc2", f"{LAYER}.output.dense", LINEAR),
    *END,
)
VIT_IN_MEMORY = (
    *IN_MEMORY,
    (r"^(encoder\.layer\.\d+)\.mlp\.fc1\.", r"\1.intermediate.dense."),
    (r"^(encoder\.layer\.\d+)\.mlp\.fc2\.", r"\1.output.dense."),
)
VIT = Family(
    "Hugging Face's ViT",
    VIT_ROWS,
    marks=("encoder.layer.0.layernorm_before.weight",),
    absent=("/decoder.mask_token",),
    prefixes=("vit.", "deit.", ""),
    settings={"pool": "cls"},
    unused=("embeddings.mask_token", *POOLER, "/decoder.0.weight", "/decoder.0.bias"),
    renamed=VIT_IN_MEMORY,
    resize="bicubic",
)
DECODER_LAYER = (
    "attention.attention.query", "attention.attention.key", "attention.attention.value", "attention.output.dense",
    "layernorm_before", "layernorm_after", "intermediate.dense", "output.dense",
)  # fmt: skip
VIT_MAE = VIT._replace(
    name="Hugging Face's ViTMAE",
    marks=(*VIT.marks, "/decoder.mask_token"),
    absent=(),
    prefixes=("vit.",),
    unused=(
        "/decoder.mask_token",
        "/decoder.decoder_pos_embed",
        *(
            f"/decoder.{part}.{kind}"
            for part in ("decoder_embed", "decoder_norm", "decoder_pred")
            for kind in ("weight", "bias")
        ),
        *(
            f"/decoder.{layer}.{{i}}.{part}.{kind}"
            for layer in ("decoder_layers", "decoder_encoder.layer")
            for part in DECODER_LAYER
            for kind in ("weight", "bias")
        ),
    ),
    licence="CC-BY-NC 4.0",
)

DINOV2 = Family(
    "Hugging Face's Dinov2",
    (
        *EMBEDDINGS,
        *pair("blocks.{i}.norm1", f"{LAYER}.norm1"),
        *ATTENTION,
        Row("blocks.{i}.ls1.gamma", f"{LAYER}.layer_scale1.lambda1", VECTOR),
        *pair("blocks.{i}.norm2", f"{LAYER}.norm2"),
        *pair("blocks.{i}.mlp.fc1", f"{LAYER}.mlp.fc1", LINEAR),
        *pair("blocks.{i}.mlp.fc2", f"{LAYER}.mlp.fc2", LINEAR),
        Row("blocks.{i}.ls2.gamma", f"{LAYER}.layer_scale2.lambda1", VECTOR),
        *END,
    ),
    marks=("encoder.layer.0.norm1.weight",),
    absent=("embeddings.register_tokens",),
    prefixes=("dinov2.", ""),
    settings={"pool": "cls+patches"},
    unused=("embeddings.mask_token",),
    renamed=IN_MEMORY,
    resize="bicubic",
)
DINOV2_WITH_REGISTERS = DINOV2._replace(
    name="Hugging Face's Dinov2WithRegisters",
    marks=(*DINOV2.marks, "embeddings.register_tokens"),
    absent=(),
    prefixes=("dinov2_with_registers.", ""),
    resize="bicubic-antialias",
)

CLIP_LAYER = "encoder.layers.{i}"
CLIP_LAYER_NAMES = (
    "layer_norm1", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "layer_norm2",
    "mlp.fc1", "mlp.fc2",
)  # fmt: skip
CLIP = Family(
    "Hugging Face's CLIP",
    (
        Row("patch_embed.proj.weight", "embeddings.patch_embedding.weight", CONVOLUTION),
        Row("cls_token", "embeddings.class_embedding", "d -> 1 1 d"),
        Row("pos_embed", "embeddings.position_embedding.weight", "n d -> 1 n d"),
        *pair("norm_pre", "pre_layrnorm"),  # spelt so
        *pair("blocks.{i}.norm1", f"{CLIP_LAYER}.layer_norm1"),
        *separate(f"{CLIP_LAYER}.self_attn", ("q_proj", "k_proj", "v_proj")),
        *pair("blocks.{i}.attn.proj", f"{CLIP_LAYER}.self_attn.out_proj", LINEAR),
        *pair("blocks.{i}.norm2", f"{CLIP_LAYER}.layer_norm2"),
        *pair("blocks.{i}.mlp.fc1", f"{CLIP_LAYER}.mlp.fc1", LINEAR),
        *pair("blocks.{i}.mlp.fc2", f"{CLIP_LAYER}.mlp.fc2", LINEAR),
        *pair("norm", "post_layernorm"),
        Row("head.weight", "/visual_projection.weight", LINEAR),
    ),
    marks=("embeddings.class_embedding", "pre_layrnorm.weight"),
    prefixes=("vision_model.", ""),
    settings={"pool": "cls"},
    zeros=("patch_embed.proj.bias", "head.bias"),
    unused=(
        "embeddings.position_ids",
        "/logit_scale",
        "/text_projection.weight",
        "/text_model.embeddings.position_ids",
        "/text_model.embeddings.token_embedding.weight",
        "/text_model.embeddings.position_embedding.weight",
        *(
            f"/text_model.encoder.layers.{{i}}.{part}.{kind}"
            for part in CLIP_LAYER_NAMES
            for kind in ("weight", "bias")
        ),
        "/text_model.final_layer_norm.weight",
        "/text_model.final_layer_norm.bias",
    ),
    resize="bicubic",
    embedding=True,
)
