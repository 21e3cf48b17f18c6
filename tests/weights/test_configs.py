"""The config files beside other libraries' weights, as settings and preprocessing of ours."""

import numpy as np
import pytest

from minivit import ViT
from minivit.errors import ConfigError
from minivit.weights.huggingface_config import read_open_clip
from minivit.weights.told import names_of, size_of

from . import synthetic
from .synthetic import PROCESSOR, D, filled, hf_config, timm_config, write
from .test_load import file_of


def loaded(tmp_path, shapes, config, processor=None, **others):
    answers = {} if processor or "architecture" in (config or {}) or others else {"pixels": "none"}
    return ViT.load(write(tmp_path / "model", filled(shapes), config, processor, **others), **answers)


# timm


def test_timm_s_architecture_and_arguments(tmp_path):
    model = loaded(tmp_path, synthetic.timm_shapes(), timm_config())
    config, made = model.config, model.preprocessing
    assert (config.norm_eps, config.gelu, config.heads, config.pool) == (1e-6, "erf", 3, "cls")
    assert config.pixel_mean == (0.485, 0.456, 0.406) and config.pixel_std == (0.229, 0.224, 0.225)
    assert (made.rule, made.size, made.short_edge, made.interpolation) == ("crop", (8, 8), 8, "bicubic")


@pytest.mark.parametrize(
    "architecture, arguments, expected",
    [
        ("vit_base_patch16_clip_224", {}, {"norm_eps": 1e-5, "gelu": "erf"}),
        ("vit_base_patch16_clip_quickgelu_224", {}, {"norm_eps": 1e-5, "gelu": "quick"}),
        ("vit_so400m_patch16_siglip_gap_256", {}, {"gelu": "tanh"}),
        ("vit_tiny_patch16_224", {"act_layer": "gelu_tanh"}, {"gelu": "tanh"}),
        ("vit_base_patch16_clip_224", {"norm_layer": "layernorm"}, {"norm_eps": 1e-6}),
        ("vit_tiny_patch16_224", {"num_heads": 2}, {"heads": 2}),
    ],
)
def test_what_timm_s_names_stand_for(architecture, arguments, expected, tmp_path):
    config = loaded(tmp_path, synthetic.timm_shapes(), timm_config(architecture, model_args=arguments)).config
    assert {name: getattr(config, name) for name in expected} == expected


def test_heads_of_timm_s_own_width_only(tmp_path):
    """64 features a head, unless the file changes the width and not the heads."""
    config = timm_config("vit_so400m_patch14_siglip_gap_224")
    del config["model_args"]["num_heads"]
    with pytest.raises(ConfigError, match="--heads"):
        loaded(tmp_path, synthetic.timm_shapes(), config)
    config = timm_config("test_vit")
    del config["model_args"]["num_heads"], config["model_args"]["embed_dim"]
    with pytest.raises(ConfigError, match="--heads"):  # 12 is not a multiple of 32
        loaded(tmp_path, synthetic.timm_shapes(), config)


def test_an_architecture_that_timm_has_not_is_asked_about(tmp_path):
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path, synthetic.timm_shapes(), timm_config("my_vit"))
    assert "--gelu" in str(error.value) and "--norm-eps" in str(error.value) and "--heads" not in str(error.value)


@pytest.mark.parametrize(
    "tag, width, gelu",
    [("openai", 512, "quick"), ("openai", 0, "quick"), ("laion2b_s34b_b79k", 512, "erf"), ("openai_ft_in1k", 5, "erf")],
)
def test_weights_that_want_quickgelu_by_their_tag(tag, width, gelu, tmp_path):
    config = timm_config("vit_base_patch32_clip_224", num_classes=width, pretrained_cfg={"tag": tag})
    shapes = synthetic.timm_shapes(pre_norm=True)
    assert loaded(tmp_path, shapes, config).config.gelu == gelu


def test_weights_that_were_trained_further_are_asked_about(tmp_path):
    config = timm_config("vit_base_patch32_clip_224", num_classes=5, pretrained_cfg={"tag": "openai"})
    with pytest.raises(ConfigError, match="--gelu"):
        loaded(tmp_path, synthetic.timm_shapes(pre_norm=True), config)


@pytest.mark.parametrize(
    "published, expected",
    [
        ({"input_size": [3, 224, 224], "crop_pct": 0.9}, ("crop", 248 * 8 // 224 + 1, "bicubic")),
        ({"crop_pct": 1.0}, ("crop", 8, "bicubic")),
        ({"crop_pct": 0.5, "interpolation": "bilinear"}, ("crop", 16, "bilinear")),
        ({"crop_mode": "squash", "crop_pct": 1.0}, ("squash", None, "bicubic")),
        ({"crop_mode": "squash", "crop_pct": 0.8}, ("squash", 10, "bicubic")),
        ({"crop_mode": "border", "crop_pct": 1.0}, ("border", None, "bicubic")),
        ({"crop_mode": "border", "crop_pct": 0.5, "interpolation": "lanczos"}, ("border", 16, "lanczos")),
        ({"interpolation": "random"}, ("crop", 8, "bicubic")),
    ],
)
def test_timm_s_preprocessing(published, expected, tmp_path):
    made = loaded(tmp_path, synthetic.timm_shapes(), timm_config(pretrained_cfg=published)).preprocessing
    assert (made.rule, made.short_edge, made.interpolation) == expected


def test_timm_s_border_is_of_the_mean_colour(tmp_path):
    published = {"crop_mode": "border", "mean": [0.485, 0.456, 0.406], "std": [0.2] * 3}
    made = loaded(tmp_path, synthetic.timm_shapes(), timm_config(pretrained_cfg=published)).preprocessing
    assert made.border == (124, 116, 104)


def test_timm_s_pools(tmp_path):
    shapes = synthetic.timm_shapes(norm="fc_norm")
    assert loaded(tmp_path, shapes, timm_config(global_pool="avg")).config.pool == "patches"
    inclusive = timm_config(model_args={"global_pool": "avg", "pool_include_prefix": True})
    assert loaded(tmp_path, shapes, inclusive).config.pool == "mean"
    assert loaded(tmp_path, synthetic.timm_shapes(), timm_config(global_pool="avg")).config.pool == "patches"
    without = synthetic.timm_shapes(rows=4, class_token=False)
    assert loaded(tmp_path, without, timm_config(global_pool="avg")).config.pool == "mean"


def test_timm_s_class_names(tmp_path):
    names = ["n1", "n2", "n3", "n4", "n5"]
    shown = {"n1": "cat", "n2": "dog"}
    config = timm_config(label_names=names, label_descriptions=shown)
    assert loaded(tmp_path, synthetic.timm_shapes(), config).config.class_names == ("cat", "dog", "n3", "n4", "n5")
    assert loaded(tmp_path, synthetic.timm_shapes(), timm_config(label_names=names[:4])).config.class_names is None


def test_an_old_config_of_timm_s_has_one_level(tmp_path):
    flat = {"architecture": "vit_tiny_patch16_224", "mean": [0.1] * 3, "std": [0.2] * 3, "input_size": [3, 8, 8]}
    folder = write(tmp_path / "model", filled(synthetic.timm_shapes()), flat)
    assert ViT.load(folder, heads=3).config.pixel_mean == (0.1,) * 3


# transformers


def test_transformers_config_and_processor(tmp_path):
    labels = {"1": "b", "0": "a", "4": "e", "3": "d", "2": "c", "10": "x"}
    del labels["10"]
    config = hf_config(id2label=labels, layer_norm_eps=1e-9)
    model = loaded(tmp_path, synthetic.hf_vit_shapes(), config, PROCESSOR)
    assert model.config.class_names == ("a", "b", "c", "d", "e") and model.config.norm_eps == 1e-9
    made = model.preprocessing
    assert (made.rule, made.size, made.short_edge, made.interpolation) == ("squash", (8, 8), None, "bilinear")
    assert model.config.pixel_mean == (0.5,) * 3 and model.config.resize == "bicubic"


def test_what_a_transformers_config_leaves_out_is_its_class_s_default(tmp_path):
    clip = {"model_type": "clip", "vision_config": {"num_attention_heads": 3}}
    config = loaded(tmp_path, synthetic.hf_clip_shapes(), clip).config
    assert (config.gelu, config.norm_eps) == ("quick", 1e-5)
    config = loaded(tmp_path, synthetic.hf_dinov2_shapes(), {"model_type": "dinov2", "num_attention_heads": 3}).config
    assert (config.gelu, config.norm_eps, config.pool) == ("erf", 1e-6, "cls+patches")
    config = loaded(tmp_path, synthetic.hf_vit_shapes(), {"model_type": "vit", "num_attention_heads": 3}).config
    assert config.norm_eps == 1e-12


CROP = {**PROCESSOR, "do_center_crop": True, "crop_size": {"height": 8, "width": 8}, "resample": 3}


@pytest.mark.parametrize(
    "processor, expected",
    [
        ({**CROP, "size": {"shortest_edge": 9}}, ("crop", 9, "bicubic")),
        ({**CROP, "size": 10, "crop_size": 8}, ("crop", 10, "bicubic")),
        ({**PROCESSOR, "size": 8}, ("squash", None, "bilinear")),
        ({**PROCESSOR, "size": {"shortest_edge": 8}, "resample": 0}, ("crop", 8, "nearest")),
        ({**CROP, "size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}, ("crop", 9, "bicubic")),
        ({**CROP, "size": {"height": 12, "width": 12}}, ("squash", 12, "bicubic")),
        ({**CROP, "resample": 5, "size": {"shortest_edge": 8}}, ("crop", 8, "bicubic")),
    ],
)
def test_transformers_processors(processor, expected, tmp_path):
    """Also of another image size: the same share of a picture is seen."""
    made = loaded(tmp_path, synthetic.hf_vit_shapes(), hf_config(), processor).preprocessing
    assert (made.rule, made.short_edge, made.interpolation, made.size) == (*expected, (8, 8))


@pytest.mark.parametrize(
    "values, mean, std",
    [
        ({"do_normalize": False}, 0.0, 1.0),
        ({"rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3, "image_std": [1.0] * 3}, 0.5, 0.5),
        ({"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [127.5] * 3}, 0.5, 0.5),
    ],
)
def test_other_scales_of_pixels(values, mean, std, tmp_path):
    config = loaded(tmp_path, synthetic.hf_vit_shapes(), hf_config(), {**PROCESSOR, **values}).config
    np.testing.assert_allclose(config.pixel_mean, mean, rtol=1e-6)
    np.testing.assert_allclose(config.pixel_std, std, rtol=1e-6)


def test_what_the_user_says_otherwise_than_the_files_is_a_warning(tmp_path, caplog):
    folder = write(tmp_path / "model", filled(synthetic.hf_vit_shapes()), hf_config(), PROCESSOR)
    model = ViT.load(folder, pixels="imagenet", gelu="tanh")
    assert model.config.gelu == "tanh" and model.config.pixel_mean == (0.485, 0.456, 0.406)
    lines = [record.getMessage().split(": ", 1)[1] for record in caplog.records]
    assert lines[0] == "gelu is erf in the files beside it: tanh, as asked for, is used"
    assert lines[1].startswith("pixel_mean is (0.5, 0.5, 0.5) in the files beside it: (0.485, 0.456, 0.406), as asked")
    caplog.clear()
    ViT.load(folder, pixels="half", gelu="erf")
    assert not caplog.records


# open_clip


@pytest.mark.parametrize(
    "made, rule, border",
    [
        ({}, "crop", None),
        ({"resize_mode": "shortest"}, "crop", None),
        ({"resize_mode": "squash"}, "squash", None),
        ({"resize_mode": "longest"}, "border", (0, 0, 0)),
        ({"resize_mode": "longest", "fill_color": 127}, "border", (127, 127, 127)),
        ({"resize_mode": "longest", "fill_color": [1, 2, 3]}, "border", (1, 2, 3)),
        ({"resize_mode": "longest", "fill_color": [1, 2, 999]}, "border", (0, 0, 0)),
    ],
)
def test_open_clip_s_resize_modes(made, rule, border):
    config = {"model_cfg": {"vision_cfg": {"image_size": 8}}, "preprocess_cfg": made}
    found = read_open_clip(config, "open_clip_config.json").preprocessing
    assert (found.rule, found.border, found.size) == (rule, border, (8, 8))


def test_open_clip_config(tmp_path):
    config = {
        "model_cfg": {"embed_dim": 6, "quick_gelu": True, "vision_cfg": {"image_size": 8, "width": D, "layers": 2}},
        "preprocess_cfg": {"mean": [0.3] * 3, "std": [0.4] * 3, "resize_mode": "squash"},
    }
    file_of(filled(synthetic.openai_shapes()), tmp_path).rename(tmp_path / "open_clip_model.safetensors")
    write(tmp_path / "other", {}, open_clip_config=config)
    (tmp_path / "other/open_clip_config.json").rename(tmp_path / "open_clip_config.json")
    with pytest.raises(ConfigError, match="--heads"):  # 12 is no multiple of 64
        ViT.load(tmp_path)
    model = ViT.load(tmp_path, heads=3)
    assert (model.config.gelu, model.config.norm_eps, model.config.pixel_mean) == ("quick", 1e-5, (0.3,) * 3)
    assert model.preprocessing.rule == "squash" and model.config.embedding


def test_meta_s_and_google_s_own_preprocessing(tmp_path):
    model = ViT.load(file_of(filled(synthetic.meta_dinov2_shapes()), tmp_path), heads=3)
    assert (model.preprocessing.rule, model.preprocessing.short_edge) == ("crop", round(8 * 256 / 224))
    assert model.config.pixel_std == (0.229, 0.224, 0.225) and model.config.resize == "bicubic+0.1"
    model = ViT.load(file_of(filled(synthetic.google_shapes()), tmp_path))
    assert (model.preprocessing.rule, model.preprocessing.interpolation) == ("squash", "bilinear")
    assert model.config.pixel_mean == (0.5,) * 3 and model.config.gelu == "tanh"


# Parts


def test_names_that_occur_twice_get_their_numbers():
    assert names_of(["crane", "cat", "crane"]) == ("crane (0)", "cat", "crane (2)")
    assert names_of({"0": "LABEL_0", "1": "LABEL_1"}) is None
    assert names_of({"10": "k", "9": "j"}) == ("j", "k")
    assert names_of({"a": "k"}) is None and names_of([]) is None and names_of("ab") is None


def test_sizes():
    assert size_of(224) == 224 and size_of([8, 12]) == (8, 12) and size_of((8, 8)) == 8
    assert size_of(True) is None and size_of([8]) is None and size_of(-1) is None and size_of(10**9) is None
