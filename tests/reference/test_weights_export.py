"""Out of minivit: the libraries open what `convert` writes, and compute the same; there and back, no bit changes."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from minivit import ViT, ViTConfig
from minivit.errors import ConfigError
from minivit.initial import initial_params
from minivit.train import TrainConfig, Trainer
from minivit.weights import Answers, convert, describe

from .agreement import assert_agrees, torch
from .libraries import FAMILIES, perturbed, timm, transformers

pytestmark = pytest.mark.reference
TINY = {"patch_size": 4, "channels": 3, "classes": 5, "dim": 12, "depth": 2, "heads": 3, "mlp_dim": 24}
NOT_IN_HUGGINGFACE = {
    "timm ViT, mean of all tokens", "timm MAE, fine-tuned", "timm SigLIP, averaged", "timm SigLIP 2, averaged",
    "timm reg1_gap", "timm reg4_gap", "timm gap",
    "timm CLIP, LAION", "timm CLIP, OpenAI",  # timm's own heads are of classes
    "timm DINOv2", "timm DINOv2 with registers", "timm DeiT-3",  # here not square
}  # fmt: skip
NOT_IN_TIMM = {"HF Dinov2, classifier", "HF Dinov2WithRegisters, classifier"}


def written(family, folder, dtype="float32"):
    """A family's model, written by its library, and loaded."""
    theirs = FAMILIES[family]()
    theirs.save(perturbed(theirs.model, dtype), folder)
    return ViT.load(folder, dtype=dtype, pixels="none")


def trained(model):
    """Three steps further, every parameter moved."""
    config, rng = model.config, np.random.default_rng(0)
    images = rng.standard_normal((4, *config.image_shape)).astype(np.float32)
    if config.classes is None or config.embedding:
        step = 0.05 * rng.standard_normal(model.params.flat.shape)
        if config.embedding:  # a projection has no bias
            step[-config.classes :] = 0
        return model.with_flat((model.params.flat + step).astype(model.dtype))
    trainer = Trainer(model, TrainConfig(batch_size=4, learning_rate=1e-2, weight_decay=0.0), 3)
    for _ in range(3):
        trainer.update(images, rng.integers(0, config.classes, 4))
    return trainer.model


def outputs(model, seed=7):
    images = np.random.default_rng(seed).standard_normal((3, *model.config.image_shape)).astype(np.float32)
    return torch.tensor(images), model.forward(images)[0]


def in_timm(folder, images):
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    with torch.no_grad():
        return model(images).numpy()


def in_huggingface(folder, images, config):
    with torch.no_grad():
        if config.embedding:
            return transformers.CLIPVisionModelWithProjection.from_pretrained(folder)(images).image_embeds.numpy()
        if config.classes is None and config.pre_norm:
            return transformers.CLIPVisionModel.from_pretrained(folder)(images).pooler_output.numpy()
        if config.classes is None:
            return transformers.AutoModel.from_pretrained(folder)(images).last_hidden_state[:, 0].numpy()
        return transformers.AutoModelForImageClassification.from_pretrained(folder)(images).logits.numpy()


def besides_pictures(notes, model):
    """The notes of an export, without the one on pictures, which is there where nothing tells how they are made."""
    pictures = [note for note in notes if note.startswith("nothing tells how pictures are made for this model")]
    assert len(pictures) == (model.preprocessing is None)
    return [note for note in notes if note not in pictures]


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in NOT_IN_TIMM])
def test_timm_opens_what_is_converted_after_training(family, tmp_path):
    model = trained(written(family, tmp_path / "theirs"))
    notes = convert(model.params, model.config, model.preprocessing, tmp_path / "out", "timm")
    images, ours = outputs(model)
    assert_agrees("output", in_timm(tmp_path / "out", images), ours, 2e-5)
    told = besides_pictures(notes, model)
    assert bool(told) == (model.config.norm_eps == 1e-12)
    assert all("epsilon" in note and "1e-12" in note for note in told)
    again = ViT.load(tmp_path / "out")
    assert_agrees("output of what is loaded again", again.forward(images.numpy())[0], ours, 2e-5)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in NOT_IN_HUGGINGFACE])
def test_transformers_opens_what_is_converted_after_training(family, tmp_path):
    model = trained(written(family, tmp_path / "theirs"))
    notes = convert(model.params, model.config, model.preprocessing, tmp_path / "out", "huggingface")
    assert besides_pictures(notes, model) == []
    images, ours = outputs(model)
    assert_agrees("output", in_huggingface(tmp_path / "out", images, model.config), ours, 2e-5)
    again = ViT.load(tmp_path / "out")
    assert_agrees("output of what is loaded again", again.forward(images.numpy())[0], ours, 2e-5)


@pytest.mark.parametrize("family", sorted(NOT_IN_HUGGINGFACE))
def test_what_transformers_has_not_is_refused(family, tmp_path):
    model = written(family, tmp_path / "theirs")
    with pytest.raises(ConfigError, match="transformers has no architecture with"):
        convert(model.params, model.config, model.preprocessing, tmp_path / "out", "huggingface")


@pytest.mark.parametrize("family", sorted(NOT_IN_TIMM))
def test_what_timm_has_not_is_refused(family, tmp_path):
    model = written(family, tmp_path / "theirs")
    with pytest.raises(ConfigError, match="timm has no architecture with pool 'cls"):
        convert(model.params, model.config, model.preprocessing, tmp_path / "out", "timm")


@pytest.mark.parametrize("family", FAMILIES)
def test_there_and_back_no_bit_changes(family, tmp_path):
    """Into minivit and back into the library that wrote the file: every tensor that was read."""
    model = written(family, tmp_path / "theirs")
    if family in NOT_IN_HUGGINGFACE or family.startswith("timm"):
        library = "timm"
    else:
        library = "huggingface"
    convert(model.params, model.config, model.preprocessing, tmp_path / "out", library)
    before, after = load_file(tmp_path / "theirs/model.safetensors"), load_file(tmp_path / "out/model.safetensors")
    if family == "HF CLIP vision":  # transformers 5 writes no prefix here
        after = {name.removeprefix("vision_model."): value for name, value in after.items()}
    if family == "HF ViTMAE, pretraining":
        after = {f"vit.{name}": value for name, value in after.items()}
    assert after.keys() <= before.keys() and len(after) >= len(model.params) - 2
    for name, value in after.items():
        assert value.tobytes() == before[name].tobytes(), name
    assert before.keys() - after.keys() == set(describe(tmp_path / "theirs", Answers(pixels="none")).plan.unused)
    again = ViT.load(tmp_path / "out", dtype="float32", pixels="none")
    assert again.params == model.params


SHAPES = {
    "grey images, not square": {"channels": 1, "image_size": (8, 12)},
    "fixed positions": {"positions": "sincos2d"},
    "no positions": {"positions": "none"},
    "an odd MLP": {"mlp_dim": 37, "norm_eps": 1e-5},
    "the mean": {"pool": "mean"},
    "the mean, a class token beside it": {"pool": "mean", "class_token": True},
    "a norm after the class token": {"norm": "pool"},
    "no bias of queries, keys and values": {"qkv_bias": False},
    "registers in the mean": {"pool": "mean", "registers": 2},
    "registers, LayerScale": {"registers": 2, "layer_scale": 0.5},
    "patches": {"pool": "patches", "class_token": True},
    "QuickGELU": {"gelu": "quick", "norm_eps": 1e-5},
    "a norm before the blocks": {"pre_norm": True, "gelu": "tanh"},
    "class names": {"class_names": ("a", "b", "c", "d", "e")},
}


NOT_THERE = {
    "the mean", "the mean, a class token beside it", "a norm after the class token", "registers in the mean",
    "a norm before the blocks",
}  # fmt: skip


@pytest.mark.parametrize("library", ["timm", "huggingface"])
@pytest.mark.parametrize("shape", SHAPES)
def test_models_that_began_in_minivit(shape, library, tmp_path):
    config = ViTConfig(**{"image_size": 8, **TINY, **SHAPES[shape]})
    params = initial_params(config, seed=1)
    params.flat += 0.2 * np.random.default_rng(3).standard_normal(params.flat.shape).astype(np.float32)
    model = ViT(config, params=params)
    if library == "huggingface" and shape in NOT_THERE:
        with pytest.raises(ConfigError, match="transformers has no architecture with"):
            convert(params, config, None, tmp_path / "out", library)
        return
    convert(params, config, None, tmp_path / "out", library)
    images, ours = outputs(model)
    read = in_timm(tmp_path / "out", images) if library == "timm" else in_huggingface(tmp_path / "out", images, config)
    assert_agrees("output", read, ours, 2e-5)
    again = ViT.load(tmp_path / "out")
    assert again.config.class_names == config.class_names
    assert_agrees("output of what is loaded again", again.forward(images.numpy())[0], ours, 2e-5)
