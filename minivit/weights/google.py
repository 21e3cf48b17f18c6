"""The names of Google's .npz files: "vision_transformer" and "big_vision", both written with Flax."""

from .table import AS_OURS, TOKENS, VECTOR, Family, Row

BLOCK = "Transformer/encoderblock_{i}"
HEADS_OUT = "d h e -> d (h e)"  # a layer that makes heads, (D, H, Dh)


def dense(ours: str, theirs: str) -> tuple[Row, Row]:
    """The rows of a linear layer, stored as ours are."""
    return Row(f"{ours}.weight", f"{theirs}/kernel", AS_OURS), Row(f"{ours}.bias", f"{theirs}/bias", VECTOR)


def norm(ours: str, theirs: str) -> tuple[Row, Row]:
    """The rows of a LayerNorm."""
    return Row(f"{ours}.weight", f"{theirs}/scale", VECTOR), Row(f"{ours}.bias", f"{theirs}/bias", VECTOR)


def heads(part: int, name: str) -> tuple[Row, Row]:
    """The rows of queries, keys or values."""
    theirs = f"{BLOCK}/MultiHeadDotProductAttention_1/{name}"
    return (
        Row("blocks.{i}.attn.qkv.weight", f"{theirs}/kernel", HEADS_OUT, part),
        Row("blocks.{i}.attn.qkv.bias", f"{theirs}/bias", "h e -> (h e)", part),
    )


GOOGLE = Family(
    "Google's .npz",
    (
        Row("patch_embed.proj.weight", "embedding/kernel", "p q c d -> (c p q) d"),
        Row("patch_embed.proj.bias", "embedding/bias", VECTOR),
        Row("cls_token", "cls", TOKENS),
        Row("pos_embed", "Transformer/posembed_input/pos_embedding", TOKENS),
        *norm("blocks.{i}.norm1", f"{BLOCK}/LayerNorm_0"),
        *heads(0, "query"),
        *heads(1, "key"),
        *heads(2, "value"),
        Row("blocks.{i}.attn.proj.weight", f"{BLOCK}/MultiHeadDotProductAttention_1/out/kernel", "h e d -> (h e) d"),
        Row("blocks.{i}.attn.proj.bias", f"{BLOCK}/MultiHeadDotProductAttention_1/out/bias", VECTOR),
        *norm("blocks.{i}.norm2", f"{BLOCK}/LayerNorm_2"),
        *dense("blocks.{i}.mlp.fc1", f"{BLOCK}/MlpBlock_3/Dense_0"),
        *dense("blocks.{i}.mlp.fc2", f"{BLOCK}/MlpBlock_3/Dense_1"),
        *norm("norm", "Transformer/encoder_norm"),
        *dense("head", "head"),
    ),
    marks=("Transformer/encoderblock_0/LayerNorm_0/scale",),
    prefixes=("opt/target/", "params/img/", "params/", ""),
    wrappers=(),
    settings={"gelu": "tanh", "norm_eps": 1e-6},  # jax.nn.gelu is the tanh formula unless told otherwise
    frame=("squash", 1.0, "bilinear"),
    pixels="half",
    before_head=("pre_logits/kernel", "pre_logits/bias"),
    renamed=(  # big_vision's, and those of later Flax
        (r"^pos_embedding$", "Transformer/posembed_input/pos_embedding"),
        (r"^(Transformer/encoderblock_\d+)/LayerNorm_1/", r"\1/LayerNorm_2/"),
        (r"^(Transformer/encoderblock_\d+)/MultiHeadDotProductAttention_0/", r"\1/MultiHeadDotProductAttention_1/"),
        (r"^(Transformer/encoderblock_\d+)/MlpBlock_0/", r"\1/MlpBlock_3/"),
    ),
    resize="bilinear",
)
