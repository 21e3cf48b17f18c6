"""Tiny files with the published names of every layout, written out here and not taken from minivit's tables, with
random values. D = 12, two blocks of three heads, an MLP of 20, images of 8 x 8 in patches of 4, five classes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

D, F, P, N, K, H, R = 12, 20, 4, 4, 5, 3, 2
Tensors = dict[str, np.ndarray]
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def filled(shapes: dict[str, tuple[int, ...]], seed: int = 0, dtype: Any = np.float64) -> Tensors:
    rng = np.random.default_rng(seed)
    return {name: np.asarray(0.4 * rng.standard_normal(shape), dtype) for name, shape in shapes.items()}


def pair(name: str, weight: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}


def timm_shapes(
    rows: int = N + 1,
    class_token: bool = True,
    registers: int = 0,
    pre_norm: bool = False,
    scale: bool = False,
    norm: str = "norm",
    head: bool = True,
    depth: int = 2,
) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    if class_token:
        shapes["cls_token"] = (1, 1, D)
    if registers:
        shapes["reg_token"] = (1, registers, D)
    shapes["pos_embed"] = (1, rows, D)
    shapes["patch_embed.proj.weight"] = (D, 3, P, P)
    if pre_norm:
        shapes |= pair("norm_pre", (D,))
    else:
        shapes["patch_embed.proj.bias"] = (D,)
    for i in range(depth):
        shapes |= pair(f"blocks.{i}.norm1", (D,)) | pair(f"blocks.{i}.attn.qkv", (3 * D, D))
        shapes |= pair(f"blocks.{i}.attn.proj", (D, D)) | pair(f"blocks.{i}.norm2", (D,))
        shapes |= pair(f"blocks.{i}.mlp.fc1", (F, D)) | pair(f"blocks.{i}.mlp.fc2", (D, F))
        if scale:
            shapes |= {f"blocks.{i}.ls1.gamma": (D,), f"blocks.{i}.ls2.gamma": (D,)}
    shapes |= pair(norm, (D,))
    return shapes | (pair("head", (K, D)) if head else {})


def meta_dinov2_shapes(registers: int = 0) -> dict[str, tuple[int, ...]]:
    shapes = timm_shapes(scale=True, head=False) | {"mask_token": (1, D)}
    return shapes | ({"register_tokens": (1, registers, D)} if registers else {})


def meta_mae_shapes() -> dict[str, tuple[int, ...]]:
    shapes = timm_shapes(head=False) | {"mask_token": (1, 1, 8), "decoder_pos_embed": (1, N + 1, 8)}
    shapes |= pair("decoder_embed", (8, D)) | pair("decoder_norm", (8,)) | pair("decoder_pred", (48, 8))
    for name, shape in timm_shapes(depth=1).items():
        if name.startswith("blocks."):
            shapes["decoder_" + name] = shape
    return shapes


def openai_shapes(text: bool = True) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "visual.class_embedding": (D,), "visual.positional_embedding": (N + 1, D), "visual.proj": (D, 6),
        "visual.conv1.weight": (D, 3, P, P),
    }  # fmt: skip
    shapes |= pair("visual.ln_pre", (D,)) | pair("visual.ln_post", (D,))
    for tower, width in (("visual.", D), ("", 8)) if text else (("visual.", D),):
        for i in range(2):
            block = f"{tower}transformer.resblocks.{i}"
            shapes |= {f"{block}.attn.in_proj_weight": (3 * width, width), f"{block}.attn.in_proj_bias": (3 * width,)}
            shapes |= pair(f"{block}.attn.out_proj", (width, width))
            shapes |= pair(f"{block}.ln_1", (width,)) | pair(f"{block}.ln_2", (width,))
            shapes |= pair(f"{block}.mlp.c_fc", (F, width)) | pair(f"{block}.mlp.c_proj", (width, F))
    if text:
        shapes |= {"token_embedding.weight": (9, 8), "positional_embedding": (7, 8), "text_projection": (8, 6)}
        shapes |= {"logit_scale": ()} | pair("ln_final", (8,))
    return shapes


def open_clip_tower_shapes() -> dict[str, tuple[int, ...]]:
    """An open_clip model whose image tower is one of timm's."""
    shapes: dict[str, tuple[int, ...]] = {"visual.head.proj.weight": (6, D)}
    shapes |= {f"visual.trunk.{name}": shape for name, shape in timm_shapes(head=False).items()}
    return shapes | {name: shape for name, shape in openai_shapes().items() if not name.startswith("visual.")}


def hf_vit_shapes(prefix: str = "vit.", head: bool = True) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        f"{prefix}embeddings.cls_token": (1, 1, D), f"{prefix}embeddings.position_embeddings": (1, N + 1, D),
    }  # fmt: skip
    shapes |= pair(f"{prefix}embeddings.patch_embeddings.projection", (D, 3, P, P))
    for i in range(2):
        layer = f"{prefix}encoder.layer.{i}"
        for name in ("query", "key", "value"):
            shapes |= pair(f"{layer}.attention.attention.{name}", (D, D))
        shapes |= pair(f"{layer}.attention.output.dense", (D, D))
        shapes |= pair(f"{layer}.layernorm_before", (D,)) | pair(f"{layer}.layernorm_after", (D,))
        shapes |= pair(f"{layer}.intermediate.dense", (F, D)) | pair(f"{layer}.output.dense", (D, F))
    return shapes | pair(f"{prefix}layernorm", (D,)) | (pair("classifier", (K, D)) if head else {})


def hf_dinov2_shapes(prefix: str = "dinov2.", registers: int = 0, head: bool = True) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for name, shape in hf_vit_shapes(prefix, head=False).items():
        name = name.replace("layernorm_before", "norm1").replace("layernorm_after", "norm2")
        name = name.replace("intermediate.dense", "mlp.fc1")
        if ".attention." not in name:
            name = name.replace("output.dense", "mlp.fc2")
        shapes[name] = shape
    for i in range(2):
        shapes |= {f"{prefix}encoder.layer.{i}.layer_scale{j}.lambda1": (D,) for j in (1, 2)}
    shapes[f"{prefix}embeddings.mask_token"] = (1, D)
    if registers:
        shapes[f"{prefix}embeddings.register_tokens"] = (1, registers, D)
    return shapes | (pair("classifier", (K, 2 * D)) if head else {})


def hf_clip_shapes(text: bool = True, prefix: str = "vision_model.") -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        f"{prefix}embeddings.class_embedding": (D,), f"{prefix}embeddings.patch_embedding.weight": (D, 3, P, P),
        f"{prefix}embeddings.position_embedding.weight": (N + 1, D), "visual_projection.weight": (6, D),
    }  # fmt: skip
    shapes |= pair(f"{prefix}pre_layrnorm", (D,)) | pair(f"{prefix}post_layernorm", (D,))
    for tower, width in ((prefix, D), ("text_model.", 8)) if text else ((prefix, D),):
        for i in range(2):
            layer = f"{tower}encoder.layers.{i}"
            for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
                shapes |= pair(f"{layer}.self_attn.{name}", (width, width))
            shapes |= pair(f"{layer}.layer_norm1", (width,)) | pair(f"{layer}.layer_norm2", (width,))
            shapes |= pair(f"{layer}.mlp.fc1", (F, width)) | pair(f"{layer}.mlp.fc2", (width, F))
    if text:
        shapes |= {"logit_scale": (), "text_projection.weight": (6, 8), "text_model.embeddings.position_ids": (1, 7)}
        shapes |= {"text_model.embeddings.token_embedding.weight": (9, 8)}
        shapes |= {"text_model.embeddings.position_embedding.weight": (7, 8)} | pair(
            "text_model.final_layer_norm", (8,)
        )
    return shapes


def google_shapes(
    class_token: bool = True, big_vision: bool = False, head: bool = True, pre_logits: bool = False, prefix: str = ""
) -> dict[str, tuple[int, ...]]:
    attention, norm2, mlp = ("0", "1", "0") if big_vision else ("1", "2", "3")
    shapes: dict[str, tuple[int, ...]] = {"embedding/kernel": (P, P, 3, D), "embedding/bias": (D,)}
    if class_token:
        shapes["cls"] = (1, 1, D)
    positions = "pos_embedding" if big_vision else "Transformer/posembed_input/pos_embedding"
    shapes[positions] = (1, N + class_token, D)
    for i in range(2):
        block = f"Transformer/encoderblock_{i}"
        for norm in ("0", norm2):
            shapes |= {f"{block}/LayerNorm_{norm}/scale": (D,), f"{block}/LayerNorm_{norm}/bias": (D,)}
        heads = f"{block}/MultiHeadDotProductAttention_{attention}"
        for name in ("query", "key", "value"):
            shapes |= {f"{heads}/{name}/kernel": (D, H, D // H), f"{heads}/{name}/bias": (H, D // H)}
        shapes |= {f"{heads}/out/kernel": (H, D // H, D), f"{heads}/out/bias": (D,)}
        dense = f"{block}/MlpBlock_{mlp}/Dense"
        shapes |= {f"{dense}_0/kernel": (D, F), f"{dense}_0/bias": (F,)}
        shapes |= {f"{dense}_1/kernel": (F, D), f"{dense}_1/bias": (D,)}
    shapes |= {"Transformer/encoder_norm/scale": (D,), "Transformer/encoder_norm/bias": (D,)}
    if pre_logits:
        shapes |= {"pre_logits/kernel": (D, D), "pre_logits/bias": (D,)}
    if head:
        shapes |= {"head/kernel": (D, K), "head/bias": (K,)}
    return {prefix + name: shape for name, shape in shapes.items()}


def stacked(tensors: Tensors) -> Tensors:
    """Google's tensors with the blocks' in one array each, as big_vision writes scanned models."""
    made = {name: value for name, value in tensors.items() if "encoderblock_" not in name}
    for name in tensors:
        if "encoderblock_0/" in name:
            layers = [tensors[name.replace("encoderblock_0/", f"encoderblock_{i}/")] for i in range(2)]
            made[name.replace("encoderblock_0/", "encoderblock/")] = np.stack(layers)
    return made


def timm_config(architecture: str = "vit_tiny_patch16_224", **more: Any) -> dict[str, Any]:
    """A config.json of timm's."""
    published = {
        "input_size": [3, 8, 8],
        "interpolation": "bicubic",
        "crop_pct": 0.9,
        "crop_mode": "center",
        **IMAGENET,
    }
    arguments = {"num_heads": H, "embed_dim": D, **more.pop("model_args", {})}
    published |= more.pop("pretrained_cfg", {})
    return {"architecture": architecture, "model_args": arguments, "pretrained_cfg": published, **more}


def hf_config(model_type: str = "vit", **more: Any) -> dict[str, Any]:
    """A config.json of transformers'."""
    return {
        "model_type": model_type, "hidden_size": D, "num_hidden_layers": 2, "num_attention_heads": H, "image_size": 8,
        "patch_size": P, **more,
    }  # fmt: skip


PROCESSOR = {
    "do_normalize": True, "do_resize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
    "resample": 2, "size": {"height": 8, "width": 8}, "rescale_factor": 1 / 255,
}  # fmt: skip


def write(folder: Path, tensors: Tensors, config: Any = None, processor: Any = None, **others: Any) -> Path:
    """A folder of a model, as the libraries lay it out."""
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    for name, values in {"config": config, "preprocessor_config": processor, **others}.items():
        if values is not None:
            (folder / f"{name}.json").write_text(json.dumps(values), encoding="utf-8")
    return folder
