"""The list of a model's parameters."""

from .config import ViTConfig


def parameter_shapes(config: ViTConfig) -> dict[str, tuple[int, ...]]:
    """Every parameter's name and shape, in the order of the architecture: the only such list. The names are timm's;
    weights are (in, out)."""
    C, P, D, F, K = config.channels, config.patch_size, config.dim, config.mlp_dim, config.classes
    features = config.features
    shapes: dict[str, tuple[int, ...]] = {}
    shapes["patch_embed.proj.weight"] = (C * P * P, D)
    shapes["patch_embed.proj.bias"] = (D,)
    if config.has_class_token:
        shapes["cls_token"] = (1, 1, D)
    if config.registers:
        shapes["reg_token"] = (1, config.registers, D)
    if config.positions == "learned":
        shapes["pos_embed"] = (1, config.tokens - config.registers, D)
    if config.pre_norm:
        shapes["norm_pre.weight"] = (D,)
        shapes["norm_pre.bias"] = (D,)
    for i in range(config.depth):
        shapes[f"blocks.{i}.norm1.weight"] = (D,)
        shapes[f"blocks.{i}.norm1.bias"] = (D,)
        shapes[f"blocks.{i}.attn.qkv.weight"] = (D, 3 * D)
        if config.qkv_bias:
            shapes[f"blocks.{i}.attn.qkv.bias"] = (3 * D,)
        shapes[f"blocks.{i}.attn.proj.weight"] = (D, D)
        shapes[f"blocks.{i}.attn.proj.bias"] = (D,)
        if config.layer_scale is not None:
            shapes[f"blocks.{i}.ls1.gamma"] = (D,)
        shapes[f"blocks.{i}.norm2.weight"] = (D,)
        shapes[f"blocks.{i}.norm2.bias"] = (D,)
        shapes[f"blocks.{i}.mlp.fc1.weight"] = (D, F)
        shapes[f"blocks.{i}.mlp.fc1.bias"] = (F,)
        shapes[f"blocks.{i}.mlp.fc2.weight"] = (F, D)
        shapes[f"blocks.{i}.mlp.fc2.bias"] = (D,)
        if config.layer_scale is not None:
            shapes[f"blocks.{i}.ls2.gamma"] = (D,)
    norm, width = ("norm.", D) if config.norm == "tokens" else ("fc_norm.", features)
    shapes[norm + "weight"] = (width,)
    shapes[norm + "bias"] = (width,)
    if K is None:
        return shapes
    if config.head_hidden is None:
        shapes["head.weight"] = (features, K)
        shapes["head.bias"] = (K,)
    else:
        shapes["head.fc1.weight"] = (features, config.head_hidden)
        shapes["head.fc1.bias"] = (config.head_hidden,)
        shapes["head.fc2.weight"] = (config.head_hidden, K)
        shapes["head.fc2.bias"] = (K,)
    return shapes
