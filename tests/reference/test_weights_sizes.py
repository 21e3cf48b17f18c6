"""Another image size, not square: each library resizes the positions that it wrote, and minivit does the same. Both
libraries resize in float32, also in a model of float64, so 2e-5 is what can be asked."""

import numpy as np
import pytest

from minivit import ViT
from minivit.ops.resize import DIALECTS
from tests.weights import synthetic

from .agreement import assert_agrees, relative_error, torch
from .libraries import FAMILIES, of_timm, perturbed, timm, vit

pytestmark = pytest.mark.reference
SIZE = (12, 20)
TIMM = ("timm ViT", "timm DeiT-3", "timm DINOv2 with registers", "timm reg4_gap", "timm CLIP, OpenAI")
HUGGINGFACE = ("HF ViT", "HF Dinov2, classifier", "HF Dinov2WithRegisters, classifier", "HF CLIP vision, projection")


def pictures():
    return np.random.default_rng(2).standard_normal((3, 3, *SIZE))


def in_timm(family, folder):
    theirs = FAMILIES[family]()
    theirs.save(perturbed(theirs.model), folder)
    model = timm.create_model(f"local-dir:{folder}", pretrained=True, img_size=SIZE).eval().double()
    return model(torch.tensor(pictures()))


def in_huggingface(family, folder):
    theirs = vit(image_size=8) if family == "HF ViT" else FAMILIES[family]()  # it interpolates square tables only
    model = perturbed(theirs.model)
    theirs.save(model, folder)
    more = {} if "Dinov2" in family else {"interpolate_pos_encoding": True}
    found = model(pixel_values=torch.tensor(pictures()), **more)
    return found.image_embeds if "CLIP" in family else found.logits


def in_google(family, folder):
    tensors = synthetic.filled(synthetic.google_shapes(), dtype=np.float32)
    np.savez(folder / "model.npz", **tensors)
    theirs = of_timm("vit_tiny_patch16_224", img_size=SIZE, mlp_ratio=5 / 3, act_layer="gelu_tanh")
    theirs.model.float().eval().load_pretrained(str(folder / "model.npz"))
    return theirs.model.double()(torch.tensor(pictures()))


LIBRARIES = {
    **{family: (in_timm, "bicubic-antialias") for family in TIMM},
    **{family: (in_huggingface, "bicubic") for family in HUGGINGFACE},
    "HF Dinov2WithRegisters, classifier": (in_huggingface, "bicubic-antialias"),
    "Google": (in_google, "bilinear"),
}


@pytest.mark.parametrize("family", LIBRARIES)
def test_positions_are_resized_as_the_library_does_and_in_no_other_way(family, tmp_path):
    run, dialect = LIBRARIES[family]
    with torch.no_grad():
        theirs = run(family, tmp_path).numpy()
    answers = {} if family == "Google" else {"pixels": "none"}
    ours = ViT.load(tmp_path, dtype="float64", image_size=SIZE, **answers)
    assert ours.config.resize == dialect and ours.config.image_size == SIZE
    assert_agrees("output", ours.forward(pictures())[0], theirs, 2e-5)
    for other in set(DIALECTS) - {dialect}:
        wrong = ViT.load(tmp_path, dtype="float64", image_size=SIZE, resize=other, **answers)
        assert relative_error(wrong.forward(pictures())[0], theirs) > 1e-4, other
