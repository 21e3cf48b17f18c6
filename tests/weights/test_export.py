"""What is written for other libraries, read again here; the libraries themselves read it in tests/reference."""

import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from minivit import ViT, ViTConfig
from minivit.errors import ConfigError
from minivit.preprocess import Preprocessing
from minivit.weights import convert

from . import synthetic
from .synthetic import PROCESSOR, filled, hf_config, timm_config, write
from .test_load import PLAIN, file_of

CONFIG = ViTConfig(
    image_size=8, patch_size=4, channels=3, classes=5, dim=12, depth=2, heads=3, mlp_dim=24, norm_eps=1e-6
)


def model_of(**settings):
    model = ViT(dataclasses.replace(CONFIG, **settings))
    model.params.flat += 0.2 * np.random.default_rng(1).standard_normal(model.params.flat.shape).astype(np.float32)
    return model


def written(model, folder, to, licence=None):
    return convert(model.params, model.config, model.preprocessing, folder, to, licence)


def same_outputs(one, other, rtol=1e-5):
    images = np.random.default_rng(0).standard_normal((2, *one.config.image_shape)).astype(np.float32)
    np.testing.assert_allclose(other.forward(images)[0], one.forward(images)[0], rtol=rtol, atol=1e-5)


def fed(folder):
    return json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize("to", ["timm", "huggingface", "minivit"])
def test_there_and_back(to, tmp_path):
    names = ("a", "b", "c", "d", "e")
    model = model_of(class_names=names, pixel_mean=(0.1, 0.2, 0.3), pixel_std=(0.4, 0.5, 0.6))
    model.preprocessing = Preprocessing("crop", "light", (8, 8), 9, "bilinear")
    assert written(model, tmp_path / "out", to) == ()
    again = ViT.load(tmp_path / "out")
    assert again.params == model.params and again.preprocessing == model.preprocessing
    for name in ("class_names", "pixel_mean", "pixel_std", "norm_eps", "gelu", "heads", "pool", "image_size"):
        assert getattr(again.config, name) == getattr(model.config, name), name


@pytest.mark.parametrize(
    "settings",
    [
        {"registers": 2}, {"registers": 2, "pool": "mean", "class_token": False}, {"layer_scale": 0.5},
        {"pre_norm": True},
        {"pool": "patches", "class_token": True, "norm": "pool"}, {"pool": "mean"}, {"positions": "sincos2d"},
        {"positions": "none"}, {"gelu": "quick"}, {"image_size": (8, 12)}, {"mlp_dim": 37}, {"qkv_bias": False},
        {"pre_norm": True, "positions": "none"}, {"classes": None}, {"norm_eps": 1e-5},
    ],
    ids=str,
)  # fmt: skip
def test_timm_s_layout_keeps_what_is_computed(settings, tmp_path):
    model = model_of(**settings)
    written(model, tmp_path / "out", "timm")
    same_outputs(model, ViT.load(tmp_path / "out"))


@pytest.mark.parametrize(
    "settings",
    [
        {"registers": 2}, {"layer_scale": 0.5}, {"pool": "cls+patches", "layer_scale": 0.5},
        {"pool": "patches", "class_token": True}, {"positions": "sincos1d"}, {"positions": "none"}, {"gelu": "tanh"},
        {"image_size": (8, 12)}, {"classes": None}, {"classes": None, "registers": 1}, {"norm_eps": 1e-12},
        {"classes": None, "pre_norm": True},
    ],
    ids=str,
)  # fmt: skip
def test_transformers_layout_keeps_what_is_computed(settings, tmp_path):
    model = model_of(**settings)
    written(model, tmp_path / "out", "huggingface")
    same_outputs(model, ViT.load(tmp_path / "out"))


@pytest.mark.parametrize(
    "to, settings, reason",
    [
        ("timm", {"pool": "cls+patches"}, "pool 'cls+patches'"),
        ("timm", {"head_hidden": 7}, "an MLP for a head"),
        ("huggingface", {"head_hidden": 7}, "an MLP for a head"),
        ("huggingface", {"pool": "mean"}, "no class token"),
        ("huggingface", {"pool": "mean", "class_token": True}, "pool 'mean'"),
        ("huggingface", {"norm": "pool"}, "norm 'pool'"),
        ("huggingface", {"pre_norm": True}, "a head of classes"),
        ("huggingface", {"layer_scale": 0.1, "mlp_dim": 25}, "no multiple of dim"),
        ("huggingface", {"layer_scale": 0.1, "image_size": (8, 12)}, "not square"),
        ("huggingface", {"pre_norm": True, "registers": 1, "classes": None}, "registers"),
        ("huggingface", {"pool": "patches", "class_token": True, "classes": None}, "no head"),
    ],
)
def test_what_a_library_has_not_is_refused_by_name(to, settings, reason, tmp_path):
    model = model_of(**settings)
    with pytest.raises(ConfigError) as error:
        written(model, tmp_path / "out", to)
    assert "has no architecture with" in str(error.value) and reason in str(error.value)
    assert not (tmp_path / "out").exists()


def test_another_target_and_a_full_folder(tmp_path):
    model = model_of()
    with pytest.raises(ConfigError, match="--to must be one of timm, huggingface, minivit, not 'keras'"):
        written(model, tmp_path / "out", "keras")
    (tmp_path / "out").mkdir()
    written(model, tmp_path / "out", "timm")  # an empty folder is free
    with pytest.raises(FileExistsError, match="is there already, and not empty: choose another folder"):
        written(model, tmp_path / "out", "timm")


@pytest.mark.parametrize(
    "to, made, words",
    [
        ("timm", None, "nothing tells how pictures are made for this model: timm will resize every picture to 8 x 8"),
        ("huggingface", None, "transformers will resize every picture to 8 x 8 pixels (height x width), bicubic"),
        (
            "timm",
            Preprocessing("digit", "dark", (8, 8)),
            "the rule digit, which finds a digit in a picture and centres",
        ),
        ("huggingface", Preprocessing("border", size=(8, 8)), "the rule border is not known there: transformers will"),
        ("timm", Preprocessing("border", size=(8, 8)), "the border light will be of the mean colour, (128, 128, 128)"),
        ("timm", Preprocessing("border", size=(8, 8), border=(128, 128, 128)), None),
        ("timm", Preprocessing("squash", size=(8, 8), short_edge=9), None),
        ("huggingface", Preprocessing("crop", size=(8, 8), short_edge=9), None),
    ],
    ids=str,
)
def test_what_a_library_does_to_pictures_is_said_where_it_is_something_else(to, made, words, tmp_path):
    model = model_of(pixel_mean=(0.5, 0.5, 0.5))
    model.preprocessing = made
    notes = written(model, tmp_path / "out", to)
    assert not notes if words is None else words in notes[-1]


def test_an_epsilon_that_timm_has_not_is_measured(tmp_path):
    note, pictures = written(model_of(norm_eps=1e-12), tmp_path / "out", "timm")
    assert "is 1e-12 in this model and 1e-06 there: on two random images" in note
    assert written(model_of(norm_eps=1e-5), tmp_path / "clip", "timm") == (pictures,)
    assert fed(tmp_path / "clip")["architecture"] == "vit_base_patch16_clip_224"


def test_a_class_token_without_a_position_is_written_so_where_the_family_does(tmp_path):
    """DeiT-3 has LayerScale and no position; MAE has neither, and a position of zeros."""
    tensors = filled(synthetic.timm_shapes(rows=4, scale=True), dtype=np.float32)
    model = ViT.load(file_of(tensors, tmp_path), **PLAIN)
    written(model, tmp_path / "deit3", "timm")
    assert fed(tmp_path / "deit3")["model_args"]["no_embed_class"] is True
    assert load_file(tmp_path / "deit3/model.safetensors")["pos_embed"].tobytes() == tensors["pos_embed"].tobytes()
    tensors = filled(synthetic.timm_shapes(), dtype=np.float32)
    tensors["pos_embed"][:, 0] = 0
    written(ViT.load(file_of(tensors, tmp_path), **PLAIN), tmp_path / "mae", "timm")
    assert load_file(tmp_path / "mae/model.safetensors")["pos_embed"].tobytes() == tensors["pos_embed"].tobytes()


def test_what_training_adds_is_folded_into_what_the_layout_has(tmp_path):
    """A bias of the patches in CLIP's layouts; a position of the class token beside registers."""
    shapes = synthetic.hf_clip_shapes(text=False)
    model = ViT.load(file_of(filled(shapes), tmp_path), **PLAIN)
    model.params["patch_embed.proj.bias"] = np.arange(12)
    written(model, tmp_path / "clip", "huggingface")
    same_outputs(model, ViT.load(tmp_path / "clip"))
    model.params["head.bias"][2] = 1
    with pytest.raises(ConfigError, match="a bias in the head"):
        written(model, tmp_path / "no", "huggingface")
    written(model, tmp_path / "timm", "timm")
    again = ViT.load(tmp_path / "timm")
    same_outputs(model, again)
    assert not again.params["patch_embed.proj.bias"].any()


def test_tensors_that_are_not_folded_keep_every_bit(tmp_path):
    tensors = filled(synthetic.hf_clip_shapes(), dtype=np.float32)
    folder = write(tmp_path / "clip", tensors, {"model_type": "clip", "vision_config": hf_config("clip_vision_model")})
    model = ViT.load(folder, pixels="clip")
    written(model, tmp_path / "out", "huggingface")
    after = load_file(tmp_path / "out/model.safetensors")
    assert all(value.tobytes() == tensors[name].tobytes() for name, value in after.items())
    assert {name for name in tensors if name.startswith("vis")} == after.keys()


def test_a_licence_is_handed_on(tmp_path):
    written(model_of(), tmp_path / "out", "timm", "cc-by-nc-4.0")
    assert fed(tmp_path / "out")["pretrained_cfg"]["license"] == "cc-by-nc-4.0"


@pytest.mark.parametrize("edge", [8, 9, 10, 11, 13, 17, 24])
def test_timm_s_share_of_the_picture_comes_back(edge, tmp_path):
    model = model_of()
    model.preprocessing = Preprocessing("crop", "light", (8, 8), edge, "bicubic")
    written(model, tmp_path / "out", "timm")
    assert ViT.load(tmp_path / "out").preprocessing == model.preprocessing


def test_a_timm_model_goes_to_transformers_and_back(tmp_path):
    tensors = filled(synthetic.timm_shapes(), dtype=np.float32)
    model = ViT.load(write(tmp_path / "timm", tensors, timm_config()))
    written(model, tmp_path / "hf", "huggingface")
    between = ViT.load(tmp_path / "hf")
    assert between.params == model.params
    written(between, tmp_path / "back", "timm")
    after = load_file(tmp_path / "back/model.safetensors")
    assert after.keys() == tensors.keys() and all(after[name].tobytes() == tensors[name].tobytes() for name in after)


def test_a_processor_of_transformers_comes_back(tmp_path):
    model = ViT.load(write(tmp_path / "hf", filled(synthetic.hf_vit_shapes()), hf_config(), PROCESSOR))
    written(model, tmp_path / "out", "huggingface")
    made = json.loads((tmp_path / "out/preprocessor_config.json").read_text())
    assert {name: made[name] for name in PROCESSOR} == PROCESSOR
