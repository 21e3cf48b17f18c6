"""Names that no library writes today, refereed by timm's readers of them: Google's .npz, OpenAI's CLIP, Meta's DINOv2,
MAE and DeiT-3. The files are synthetic, with the published names."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from minivit import ViT
from tests.weights import synthetic

from .agreement import torch
from .libraries import of_timm, timm
from .test_weights_agree import compare

pytestmark = pytest.mark.reference

SIZES = {"img_size": 8, "mlp_ratio": 5 / 3}
BARE = {**SIZES, "num_classes": 0}
CLIP = {**SIZES, "num_classes": 6}


def filtered(model, tensors):
    """Load tensors as timm loads a file of its own families."""
    tensors = {name: torch.tensor(value) for name, value in tensors.items()}
    read = timm.models.vision_transformer.checkpoint_filter_fn
    model.load_state_dict(read(tensors, model, adapt_layer_scale="blocks.0.gamma_1" in tensors))


def npz(model, tensors, path):
    np.savez(path, **tensors)
    model.float().load_pretrained(str(path))


def deit3(shapes):
    return {name.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): s for name, s in shapes.items()}


LAYOUTS = {
    "OpenAI's CLIP": (
        synthetic.openai_shapes(),
        lambda: of_timm("vit_base_patch16_clip_quickgelu_224", **CLIP),
        {"gelu": "quick", "heads": 3},
    ),
    "open_clip's CLIP, image tower": (
        synthetic.openai_shapes(text=False),
        lambda: of_timm("vit_base_patch16_clip_224", **CLIP),
        {"gelu": "erf", "heads": 3},
    ),
    "open_clip's CLIP, a tower of timm's": (
        synthetic.open_clip_tower_shapes(),
        lambda: of_timm("vit_base_patch16_224", **CLIP),
        {"gelu": "erf", "norm_eps": 1e-6, "heads": 3},
    ),
    "Meta's DINOv2": (
        synthetic.meta_dinov2_shapes(),
        lambda: of_timm("vit_small_patch14_dinov2", **BARE),
        {"heads": 3},
    ),
    "Meta's DINOv2 with registers": (
        synthetic.meta_dinov2_shapes(registers=2),
        lambda: of_timm("vit_small_patch14_reg4_dinov2", reg_tokens=2, **BARE),
        {"heads": 3},
    ),
    "Meta's DeiT-3": (
        deit3(synthetic.timm_shapes(rows=4, scale=True)),
        lambda: of_timm("deit3_small_patch16_224", **SIZES),
        {"heads": 3, "norm_eps": 1e-6, "gelu": "erf", "pixels": "none"},
    ),
}
GOOGLE = {
    "vision_transformer": {},
    "vision_transformer, in its optimiser": {"prefix": "opt/target/"},
    "vision_transformer, pre_logits": {"pre_logits": True},
    "big_vision": {"big_vision": True, "prefix": "params/"},
    "big_vision, averaged": {"big_vision": True, "prefix": "params/", "class_token": False},
    "big_vision, image tower": {"big_vision": True, "prefix": "params/img/", "head": False},
    "big_vision, no prefix": {"big_vision": True},
    "big_vision, blocks stacked": {"big_vision": True, "prefix": "params/", "stack": True},
}


def gradients_in(folder):
    """The gradients as a model of ours: in timm's own layout, which other tests compare."""

    def gradients(theirs):
        theirs.save(theirs.model, folder / "gradients")
        return ViT.load(folder / "gradients", dtype="float64", pixels="none")

    return gradients


@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_are_read_as_timm_reads_them(layout, tmp_path):
    shapes, make, answers = LAYOUTS[layout]
    tensors = synthetic.filled(shapes)
    theirs = make()
    theirs.model.double().eval()
    filtered(theirs.model, tensors)
    save_file(tensors, tmp_path / "model.safetensors")
    ours = ViT.load(tmp_path, dtype="float64", **answers)
    kept_out = ("head.bias",) if "CLIP" in layout else ()
    if "patch_embed.proj.bias" not in theirs.model.state_dict():
        kept_out += ("patch_embed.proj.bias",)
    folded = ("pos_embed",) if "registers" in layout else ()  # timm adds the class token's position to the token
    compare(theirs._replace(keeps_out=kept_out + folded), ours, gradients_in(tmp_path), 1e-10)


@pytest.mark.parametrize("layout", GOOGLE)
def test_google_npz_is_read_as_timm_reads_it(layout, tmp_path):
    settings = dict(GOOGLE[layout])
    stack = settings.pop("stack", False)
    tensors = synthetic.filled(synthetic.google_shapes(**settings), dtype=np.float32)
    averaged = {"global_pool": "avg", "class_token": False, "fc_norm": False} if "averaged" in layout else {}
    headless = "pre_logits" in layout or not settings.get("head", True)
    theirs = of_timm(
        "vit_tiny_patch16_224", **SIZES, act_layer="gelu_tanh", **averaged, num_classes=0 if headless else 5
    )
    npz(theirs.model.eval(), synthetic.stacked(tensors) if stack else tensors, tmp_path / "model.npz")
    theirs.model.double()
    ours = ViT.load(tmp_path / "model.npz", dtype="float64")
    assert ours.config.gelu == "tanh" and ours.config.heads == 3
    compare(theirs, ours, gradients_in(tmp_path), 1e-10)


def test_google_npz_is_run_with_the_exact_gelu_if_asked(tmp_path):
    tensors = synthetic.filled(synthetic.google_shapes(), dtype=np.float32)
    theirs = of_timm("vit_tiny_patch16_224", **SIZES)
    npz(theirs.model.eval(), tensors, tmp_path / "model.npz")
    theirs.model.double()
    ours = ViT.load(tmp_path / "model.npz", dtype="float64", gelu="erf")
    compare(theirs, ours, gradients_in(tmp_path), 1e-10)
