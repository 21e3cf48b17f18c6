"""timm and transformers, as referees: tiny models of every family, with no initial value left in them, saved by the
libraries themselves. Skips where one of them is missing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .agreement import torch

# torchvision's wheel is compiled for CUDA's torch; beside the CPU's, it can be imported once these operators exist.
LIBRARY = torch.library.Library("torchvision", "DEF")
for operator in ("nms", "qnms"):
    LIBRARY.define(operator + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

REASON = 'compares with timm and transformers: pip install ".[reference]"'
timm = pytest.importorskip("timm", reason=REASON)
transformers = pytest.importorskip("transformers", reason=REASON)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

TINY = {"img_size": (8, 12), "patch_size": 4, "embed_dim": 12, "depth": 2, "num_heads": 3, "num_classes": 5}
GAP = {"global_pool": "avg", "class_token": False}
HF = {
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "patch_size": 4,
    "attn_implementation": "sdpa",
}
WIDE = {**HF, "image_size": (8, 12), "intermediate_size": 20}
SQUARE = {**WIDE, "image_size": 8}
DINO = {**HF, "image_size": 8, "mlp_ratio": 2}
TEXT = {
    "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 12, "vocab_size": 9,
    "max_position_embeddings": 4, "bos_token_id": 1, "eos_token_id": 2, "projection_dim": 6,
}  # fmt: skip


class Theirs(NamedTuple):
    """A model of another library.

    save writes the model to a folder. tokens: images to all tokens behind the last norm; output: images to logits, to
    an embedding, or to what a head would read. head: the module whose input that is; None without a head. keeps_out:
    parameters of ours that the file does not hold, and that are zero.
    """

    model: Any
    save: Callable[[Any, Path], None]
    tokens: Callable[[Any, Any], Any]
    output: Callable[[Any, Any], Any]
    head: str | None
    keeps_out: tuple[str, ...] = ()


def perturbed(model: Any, dtype: str = "float64", seed: int = 0) -> Any:
    """The model in evaluation, with noise on every parameter."""
    generator = torch.Generator().manual_seed(seed)
    model = model.double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.requires_grad_(True)  # MAE's positions are fixed
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return model.to(getattr(torch, dtype))


def of_timm(architecture: str, **arguments: Any) -> Theirs:
    model = timm.create_model(architecture, **{**TINY, **arguments})

    def save(model: Any, folder: Path) -> None:
        timm.models.save_for_hf(model, folder, safe_serialization=True)

    def tokens(model: Any, images: Any) -> Any:
        return model.forward_features(images)

    keeps_out = ("patch_embed.proj.bias",) if model.patch_embed.proj.bias is None else ()
    head = "head" if model.num_classes else None
    return Theirs(model, save, tokens, lambda model, images: model(images), head, keeps_out)


def save_pretrained(model: Any, folder: Path) -> None:
    model.save_pretrained(folder)


def last_hidden(model: Any, images: Any) -> Any:
    base = getattr(model, model.base_model_prefix, model)
    return base(pixel_values=images).last_hidden_state


def vit(**settings: Any) -> Theirs:
    config = transformers.ViTConfig(**{**WIDE, "num_labels": 5, **settings})
    model = transformers.ViTForImageClassification(config)
    return Theirs(model, save_pretrained, last_hidden, lambda m, images: m(pixel_values=images).logits, "classifier")


def class_token_of(model: Any, images: Any) -> Any:
    return last_hidden(model, images)[:, 0]


def vit_model() -> Theirs:
    model = transformers.ViTModel(transformers.ViTConfig(**WIDE))
    return Theirs(model, save_pretrained, last_hidden, class_token_of, None)


def dinov2(registers: int = 0, head: bool = False) -> Theirs:
    name = "Dinov2WithRegisters" if registers else "Dinov2"
    more = {"num_register_tokens": registers} if registers else {}
    config = getattr(transformers, name + "Config")(**DINO, **more, num_labels=5)
    model = getattr(transformers, name + ("ForImageClassification" if head else "Model"))(config)
    if head:
        return Theirs(
            model, save_pretrained, last_hidden, lambda m, images: m(pixel_values=images).logits, "classifier"
        )
    return Theirs(model, save_pretrained, last_hidden, class_token_of, None)


def vit_mae(pretraining: bool) -> Theirs:
    decoder = {
        "decoder_hidden_size": 8, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2,
        "decoder_intermediate_size": 8, "mask_ratio": 0.0,
    }  # fmt: skip
    config = transformers.ViTMAEConfig(**SQUARE, **decoder)
    model = (transformers.ViTMAEForPreTraining if pretraining else transformers.ViTMAEModel)(config)

    def tokens(model: Any, images: Any) -> Any:
        noise = torch.arange(4, dtype=images.dtype).expand(len(images), 4)  # patches are shuffled by their noise
        base = getattr(model, "vit", model)
        return base(pixel_values=images, noise=noise).last_hidden_state

    return Theirs(model, save_pretrained, tokens, lambda m, images: tokens(m, images)[:, 0], None)


def clip(kind: str, **settings: Any) -> Theirs:
    vision = {**SQUARE, "projection_dim": 6, **settings}
    if kind == "CLIPModel":
        vision.pop("attn_implementation")
        config = transformers.CLIPConfig(vision_config=vision, text_config=TEXT, projection_dim=6)
        config._attn_implementation = "sdpa"
        model = transformers.CLIPModel(config)
    else:
        model = getattr(transformers, kind)(transformers.CLIPVisionConfig(**vision))

    def tower(model: Any) -> Any:
        return getattr(model, "vision_model", model)

    def tokens(model: Any, images: Any) -> Any:
        return tower(model).post_layernorm(tower(model)(pixel_values=images).last_hidden_state)

    def output(model: Any, images: Any) -> Any:
        pooled = tower(model)(pixel_values=images).pooler_output
        return model.visual_projection(pooled) if hasattr(model, "visual_projection") else pooled

    projects = hasattr(model, "visual_projection")
    keeps_out = ("patch_embed.proj.bias", *(["head.bias"] if projects else []))
    return Theirs(model, save_pretrained, tokens, output, "visual_projection" if projects else None, keeps_out)


FAMILIES: dict[str, Callable[[], Theirs]] = {
    "timm ViT": lambda: of_timm("vit_tiny_patch16_224"),
    "timm ViT, no head": lambda: of_timm("vit_tiny_patch16_224", num_classes=0),
    "timm ViT, no qkv bias": lambda: of_timm("vit_tiny_patch16_224", qkv_bias=False),
    "timm ViT, mean of all tokens": lambda: of_timm(
        "vit_tiny_patch16_224", global_pool="avg", fc_norm=False, pool_include_prefix=True
    ),
    "timm ViT, tanh": lambda: of_timm("vit_tiny_patch16_224", act_layer="gelu_tanh"),
    "timm DeiT": lambda: of_timm("deit_tiny_patch16_224"),
    "timm DeiT-3": lambda: of_timm("deit3_small_patch16_224"),
    "timm DINO": lambda: of_timm("vit_small_patch16_224.dino", num_classes=0),
    "timm DINOv2": lambda: of_timm("vit_small_patch14_dinov2", num_classes=0),
    "timm DINOv2 with registers": lambda: of_timm("vit_small_patch14_reg4_dinov2", reg_tokens=2, num_classes=0),
    "timm MAE": lambda: of_timm("vit_base_patch16_224.mae", num_classes=0),
    "timm MAE, fine-tuned": lambda: of_timm("vit_base_patch16_224", global_pool="avg"),
    "timm CLIP, LAION": lambda: of_timm("vit_base_patch16_clip_224.laion2b"),
    "timm CLIP, OpenAI": lambda: of_timm("vit_base_patch16_clip_quickgelu_224.openai"),
    "timm SigLIP, averaged": lambda: of_timm("vit_base_patch16_siglip_gap_224", num_classes=0),
    "timm SigLIP 2, averaged": lambda: of_timm("vit_base_patch32_siglip_gap_256", num_classes=0),
    "timm reg1_gap": lambda: of_timm("vit_wee_patch16_reg1_gap_256"),
    "timm reg4_gap": lambda: of_timm("vit_medium_patch16_reg4_gap_256"),
    "timm gap": lambda: of_timm("vit_medium_patch16_gap_240"),
    "HF ViT": vit,
    "HF ViT, tanh": lambda: vit(hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6, qkv_bias=False),
    "HF ViT, no head": vit_model,
    "HF Dinov2": dinov2,
    "HF Dinov2, classifier": lambda: dinov2(head=True),
    "HF Dinov2WithRegisters": lambda: dinov2(registers=3),
    "HF Dinov2WithRegisters, classifier": lambda: dinov2(registers=3, head=True),
    "HF ViTMAE": lambda: vit_mae(False),
    "HF ViTMAE, pretraining": lambda: vit_mae(True),
    "HF CLIP": lambda: clip("CLIPModel"),
    "HF CLIP vision": lambda: clip("CLIPVisionModel"),
    "HF CLIP vision, projection": lambda: clip("CLIPVisionModelWithProjection", hidden_act="gelu"),
}
