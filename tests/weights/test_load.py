"""Other libraries' files, synthetic, with the published names: what lands where, what is asked, what is reported."""

import json
import logging

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from minivit import ViT
from minivit.errors import CheckpointError, ConfigError
from minivit.weights import Answers, describe, load_weights, table

from . import synthetic
from .synthetic import PROCESSOR, D, K, filled, hf_config, timm_config, write

PLAIN = {"gelu": "erf", "norm_eps": 1e-6, "heads": 3, "pixels": "none"}
LAYOUTS = {
    "timm": (synthetic.timm_shapes(), PLAIN, "timm's VisionTransformer"),
    "timm, no head": (synthetic.timm_shapes(head=False), PLAIN, "timm's VisionTransformer"),
    "DeiT-3": (synthetic.timm_shapes(rows=4, scale=True), PLAIN, "timm's VisionTransformer"),
    "CLIP in timm": (synthetic.timm_shapes(pre_norm=True), PLAIN, "timm's VisionTransformer"),
    "registers": (
        synthetic.timm_shapes(rows=4, registers=2, class_token=False, scale=True, norm="fc_norm"),
        PLAIN,
        "timm's VisionTransformer",
    ),
    "Meta's DINOv2": (synthetic.meta_dinov2_shapes(), {"heads": 3}, "Meta's DINOv2"),
    "Meta's DINOv2, registers": (synthetic.meta_dinov2_shapes(2), {"heads": 3}, "Meta's DINOv2"),
    "Meta's MAE": (synthetic.meta_mae_shapes(), {"heads": 3}, "Meta's MAE"),
    "OpenAI's CLIP": (synthetic.openai_shapes(), {"gelu": "quick", "heads": 3}, "CLIP's image tower"),
    "open_clip, timm's tower": (
        synthetic.open_clip_tower_shapes(),
        {"gelu": "erf", "norm_eps": 1e-6, "heads": 3},
        "timm's VisionTransformer in open_clip",
    ),
    "HF ViT": (synthetic.hf_vit_shapes(), PLAIN, "Hugging Face's ViT"),
    "HF ViT, no head": (synthetic.hf_vit_shapes("", head=False), PLAIN, "Hugging Face's ViT"),
    "HF Dinov2": (synthetic.hf_dinov2_shapes(), PLAIN, "Hugging Face's Dinov2"),
    "HF Dinov2, registers": (
        synthetic.hf_dinov2_shapes("dinov2_with_registers.", 2),
        PLAIN,
        "Hugging Face's Dinov2WithRegisters",
    ),
    "HF CLIP": (synthetic.hf_clip_shapes(), PLAIN, "Hugging Face's CLIP"),
    "Google": (synthetic.google_shapes(), {}, "Google's .npz"),
    "big_vision": (synthetic.google_shapes(big_vision=True, prefix="params/"), {}, "Google's .npz"),
    "big_vision, averaged": (synthetic.google_shapes(class_token=False, big_vision=True), {}, "Google's .npz"),
}


def file_of(tensors, tmp_path):
    """A file with these tensors: an .npz for Google's names, else safetensors."""
    if any("embedding/kernel" in name for name in tensors):
        np.savez(tmp_path / "model.npz", **tensors)
        return tmp_path / "model.npz"
    save_file(tensors, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.fixture(params=LAYOUTS)
def layout(request, tmp_path):
    """A file, its tensors, the answers that it needs and the name of its family."""
    shapes, answers, family = LAYOUTS[request.param]
    tensors = filled(shapes)
    return file_of(tensors, tmp_path), tensors, answers, family


def refusal(path, error=CheckpointError, **answers):
    """The one line with which a file is refused."""
    with pytest.raises(error) as found:
        load_weights(path, "float64", Answers(**answers))
    assert "\n" not in str(found.value)
    return str(found.value)


def test_every_layout_is_recognised_and_makes_a_model(layout):
    path, tensors, answers, family = layout
    description = describe(path, Answers(**answers))
    assert description.found.family.name.startswith(family)
    assert not description.questions and not description.plan.unknown
    model = ViT.load(path, dtype="float64", **answers)
    images = np.random.default_rng(0).standard_normal((2, *model.config.image_shape))
    assert np.isfinite(model.embed(images)).all()
    assert model.config.image_size == 8 and model.config.dim == D and model.config.heads == 3


def test_the_table_read_backwards_gives_every_bit_of_the_file(layout):
    path, tensors, answers, _ = layout
    description = describe(path, Answers(**answers))
    model = ViT.load(path, dtype="float64", **answers)
    for row, name, skip in description.plan.matches:
        value = table.third(model.params[row.ours], row.part)
        value = value[:, skip:] if skip else value
        assert table.outward(value, row.form, model.config).tobytes() == tensors[name].tobytes(), name
    read = {match.name for match in description.plan.matches}
    assert read | set(description.plan.unused) == tensors.keys()


def test_matrices_are_transposed_and_thirds_side_by_side(tmp_path):
    tensors = filled(synthetic.hf_vit_shapes())
    params = ViT.load(file_of(tensors, tmp_path), dtype="float64", **PLAIN).params
    layer = "vit.encoder.layer.1.attention"
    for j, name in enumerate(("query", "key", "value")):
        third = params["blocks.1.attn.qkv.weight"][:, j * D : (j + 1) * D]
        np.testing.assert_array_equal(third, tensors[f"{layer}.attention.{name}.weight"].T)
        np.testing.assert_array_equal(
            params["blocks.1.attn.qkv.bias"][j * D : (j + 1) * D], tensors[f"{layer}.attention.{name}.bias"]
        )
    np.testing.assert_array_equal(params["blocks.1.attn.proj.weight"], tensors[f"{layer}.output.dense.weight"].T)
    kernel = tensors["vit.embeddings.patch_embeddings.projection.weight"]
    np.testing.assert_array_equal(params["patch_embed.proj.weight"], kernel.reshape(D, -1).T)
    np.testing.assert_array_equal(params["head.weight"], tensors["classifier.weight"].T)


def test_google_s_kernels_are_stored_as_ours(tmp_path):
    tensors = filled(synthetic.google_shapes())
    params = ViT.load(file_of(tensors, tmp_path), dtype="float64").params
    block = "Transformer/encoderblock_0"
    kernel = tensors["embedding/kernel"].transpose(2, 0, 1, 3).reshape(-1, D)
    np.testing.assert_array_equal(params["patch_embed.proj.weight"], kernel)
    keys = tensors[f"{block}/MultiHeadDotProductAttention_1/key/kernel"].reshape(D, D)
    np.testing.assert_array_equal(params["blocks.0.attn.qkv.weight"][:, D : 2 * D], keys)
    np.testing.assert_array_equal(params["blocks.0.mlp.fc1.weight"], tensors[f"{block}/MlpBlock_3/Dense_0/kernel"])


def test_clip_s_projection_is_not_transposed_and_gives_an_embedding(tmp_path):
    tensors = filled(synthetic.openai_shapes())
    model = ViT.load(file_of(tensors, tmp_path), dtype="float64", gelu="quick", heads=3)
    np.testing.assert_array_equal(model.params["head.weight"], tensors["visual.proj"])
    assert not model.params["head.bias"].any() and not model.params["patch_embed.proj.bias"].any()
    images = np.zeros((2, 3, 8, 8))
    assert model.embed(images).shape == (2, 6)
    np.testing.assert_allclose(model.embed(images), model.forward(images)[0], rtol=1e-12)
    with pytest.raises(ConfigError, match="gives an embedding, so it predicts no classes; minivit embed, or"):
        model.predict(images)


def test_a_table_without_a_row_for_the_class_token_gets_a_zero_row(tmp_path):
    tensors = filled(synthetic.timm_shapes(rows=4, scale=True))
    params = ViT.load(file_of(tensors, tmp_path), dtype="float64", **PLAIN).params
    assert not params["pos_embed"][:, 0].any()
    np.testing.assert_array_equal(params["pos_embed"][:, 1:], tensors["pos_embed"])


def test_a_head_behind_a_layer_that_minivit_has_not_is_left_out(tmp_path):
    path = file_of(filled(synthetic.google_shapes(pre_logits=True)), tmp_path)
    assert ViT.load(path).config.classes is None
    unused = describe(path).plan.unused
    assert sorted(unused) == ["head/bias", "head/kernel", "pre_logits/bias", "pre_logits/kernel"]


def test_blocks_that_are_stacked_are_taken_apart(tmp_path):
    tensors = filled(synthetic.google_shapes(big_vision=True, prefix="params/"))
    one = ViT.load(file_of(tensors, tmp_path), dtype="float64")
    np.savez(tmp_path / "stacked.npz", **synthetic.stacked(tensors))
    assert ViT.load(tmp_path / "stacked.npz", dtype="float64") == one


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module.model."])
def test_wrappers_in_front_of_names(prefix, tmp_path):
    tensors = filled(synthetic.hf_vit_shapes())
    one = ViT.load(file_of(tensors, tmp_path), dtype="float64", **PLAIN)
    other = ViT.load(
        file_of({prefix + name: value for name, value in tensors.items()}, tmp_path), dtype="float64", **PLAIN
    )
    assert one == other


def test_names_in_transformers_memory(tmp_path):
    """What transformers 5 calls its parameters, in a file that its user wrote."""
    tensors = filled(synthetic.hf_vit_shapes())
    changes = [
        ("encoder.layer.", "layers."), ("attention.attention.query", "attention.q_proj"),
        ("attention.attention.key", "attention.k_proj"), ("attention.attention.value", "attention.v_proj"),
        ("attention.output.dense", "attention.o_proj"), ("intermediate.dense", "mlp.fc1"), ("output.dense", "mlp.fc2"),
    ]  # fmt: skip
    renamed = {}
    for name, value in tensors.items():
        for old, new in changes:
            name = name.replace(old, new)
        renamed[name] = value
    assert "vit.layers.1.attention.o_proj.bias" in renamed and "vit.layers.0.mlp.fc2.weight" in renamed
    one = ViT.load(file_of(tensors, tmp_path), dtype="float64", **PLAIN)
    assert ViT.load(file_of(renamed, tmp_path), dtype="float64", **PLAIN) == one


# Numbers


def bfloat16(tensors, path):
    """A file of bfloat16, whose NumPy side safetensors does not write."""
    header, data = {}, b""
    for name, value in tensors.items():
        half = (value.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
        header[name] = {"dtype": "BF16", "shape": value.shape, "data_offsets": [len(data), len(data) + len(half)]}
        data += half
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def test_half_precision_is_read_as_it_is(tmp_path):
    tensors = filled(synthetic.timm_shapes())
    halves = {name: value.astype(np.float16) for name, value in tensors.items()}
    model = ViT.load(file_of(halves, tmp_path), **PLAIN)
    assert model.dtype == "float32"
    np.testing.assert_array_equal(model.params["norm.weight"], halves["norm.weight"].astype(np.float32))
    bfloat16(tensors, tmp_path / "b.safetensors")
    model = ViT.load(tmp_path / "b.safetensors", **PLAIN)
    truncated = (tensors["norm.weight"].astype("<f4").view("<u4") & 0xFFFF0000).view("<f4")
    np.testing.assert_array_equal(model.params["norm.weight"], truncated)


def test_double_precision_is_kept_if_asked(tmp_path):
    tensors = filled(synthetic.timm_shapes())
    path = file_of(tensors, tmp_path)
    assert ViT.load(path, **PLAIN).dtype == "float32"
    np.testing.assert_array_equal(ViT.load(path, "float64", **PLAIN).params["norm.bias"], tensors["norm.bias"])
    with pytest.raises(ConfigError, match="computes in float32 or float64, not float16"):
        ViT.load(path, "float16", **PLAIN)


def test_shards(tmp_path):
    tensors = filled(synthetic.timm_shapes())
    one = ViT.load(file_of(tensors, tmp_path), **PLAIN)
    (tmp_path / "model.safetensors").unlink()
    names = list(tensors)
    parts = {"model-00001-of-00002.safetensors": names[:9], "model-00002-of-00002.safetensors": names[9:]}
    for part, held in parts.items():
        save_file({name: tensors[name] for name in held}, tmp_path / part)
    index = {"metadata": {}, "weight_map": {name: part for part, held in parts.items() for name in held}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert ViT.load(tmp_path, **PLAIN) == one
    assert ViT.load(tmp_path / "model.safetensors.index.json", **PLAIN) == one


# What is asked


def test_what_changes_the_result_and_nobody_tells_is_asked(tmp_path):
    path = file_of(filled(synthetic.timm_shapes()), tmp_path)
    message = refusal(path, ConfigError)
    assert all(flag in message for flag in ("--norm-eps", "--gelu", "--heads", "--pixels"))
    assert "--heads" not in refusal(path, ConfigError, heads=3)
    clip = file_of(filled(synthetic.openai_shapes()), tmp_path)
    message = refusal(clip, ConfigError, heads=3)
    assert "--gelu (erf, tanh or quick)" in message and "--norm-eps" not in message and "--pixels" not in message
    with pytest.raises(ConfigError, match="pixels must be one of imagenet, clip, half, none"):
        ViT.load(path, pixels="some")


def test_what_the_user_says_counts_before_the_files(tmp_path):
    folder = write(tmp_path / "hf", filled(synthetic.hf_vit_shapes()), hf_config(), PROCESSOR)
    told = ViT.load(folder).config
    assert (told.gelu, told.norm_eps, told.heads, told.pixel_mean) == ("erf", 1e-12, 3, (0.5,) * 3)
    said = ViT.load(folder, gelu="tanh", norm_eps=1e-6, heads=4, pixels="imagenet").config
    assert (said.gelu, said.norm_eps, said.heads, said.pixel_mean) == ("tanh", 1e-6, 4, (0.485, 0.456, 0.406))


def test_minivit_s_own_files_need_no_answers(tmp_path):
    model = ViT.load(file_of(filled(synthetic.timm_shapes()), tmp_path), dtype="float64", **PLAIN)
    model.save(tmp_path / "own.safetensors")
    assert ViT.load(tmp_path / "own.safetensors") == model
    assert ViT.load(tmp_path / "own.safetensors", "float32").dtype == "float32"
    assert "minivit wrote it" in refusal(tmp_path / "own.safetensors", ConfigError, gelu="erf")


def test_a_model_that_is_normalised_behind_its_pooling_is_saved_and_loaded(tmp_path):
    shapes = synthetic.timm_shapes(rows=4, class_token=False, norm="fc_norm")
    model = ViT.load(file_of(filled(shapes), tmp_path), **PLAIN)
    assert (model.config.norm, model.config.pool) == ("pool", "mean")
    model.save(tmp_path / "own.safetensors")
    assert ViT.load(tmp_path / "own.safetensors") == model


# What is reported


def test_every_missing_tensor_is_reported(tmp_path):
    tensors = filled(synthetic.hf_vit_shapes())
    del tensors["vit.encoder.layer.1.layernorm_after.bias"], tensors["vit.layernorm.weight"]
    message = refusal(file_of(tensors, tmp_path), **PLAIN)
    assert "vit.encoder.layer.1.layernorm_after.bias, vit.layernorm.weight" in message and "missing" in message


def test_a_tensor_without_a_use_is_reported_and_refused(tmp_path):
    tensors = filled(synthetic.timm_shapes() | {"blocks.1.attn.gate.weight": (D, D)})
    assert "no use for these tensors" in (message := refusal(file_of(tensors, tmp_path), **PLAIN))
    assert "blocks.1.attn.gate.weight" in message
    assert describe(tmp_path, Answers(**PLAIN)).plan.unknown == ["blocks.1.attn.gate.weight"]


def test_what_may_be_left_over_is_listed_by_name(tmp_path, caplog):
    path = file_of(filled(synthetic.hf_clip_shapes()), tmp_path)
    unused = describe(path, Answers(**PLAIN)).plan.unused
    assert "text_model.encoder.layers.1.mlp.fc2.bias" in unused and "logit_scale" in unused
    with caplog.at_level(logging.INFO, "minivit.weights"):
        ViT.load(path, **PLAIN)
    assert "not used: " in caplog.text and "text_projection.weight" in caplog.text


def test_a_licence_that_forbids_uses_is_shown(tmp_path, caplog):
    ViT.load(file_of(filled(synthetic.meta_mae_shapes()), tmp_path), heads=3)
    assert "CC-BY-NC 4.0" in caplog.text
    caplog.clear()
    for licence, shown in (("apache-2.0", False), ("cc-by-nc-4.0", True), ("apple-ascl", True), ("mit", False)):
        config = timm_config(pretrained_cfg={"license": licence})
        ViT.load(write(tmp_path / licence, filled(synthetic.timm_shapes()), config))
        assert (licence in caplog.text) == shown


@pytest.mark.parametrize(
    "name, shape, found",
    [
        ("blocks.1.mlp.fc1.weight", (19, D), r"blocks.1.mlp.fc1.weight has shape \(19, 12\), expected \(20, 12\)"),
        ("blocks.0.norm1.bias", (D + 1,), r"blocks.0.norm1.bias has shape \(13,\), expected \(12,\)"),
        ("patch_embed.proj.weight", (D, 48), r"patch_embed.proj.weight has shape \(12, 48\), expected 4 axes"),
        ("patch_embed.proj.weight", (D, 3, 4, 2), "patches of 4 x 2 pixels"),
        ("pos_embed", (1, 7, D), "its 7 positions are no square grid"),
        ("blocks.0.mlp.fc1.weight", (40, D), "SwiGLU"),
        ("head.weight", (K, D + 1), r"head.weight has shape \(5, 13\), expected \(5, 12\)"),
        ("cls_token", (1, 2, D), r"cls_token has shape \(1, 2, 12\), expected \(1, 1, 12\)"),
        ("blocks.0.attn.proj.weight", (0, D), "blocks.0.attn.proj.weight has shape"),
        ("patch_embed.proj.weight", (D, 0, 4, 4), "none empty"),
    ],
)
def test_a_wrong_shape_is_refused_by_name(name, shape, found, tmp_path):
    shapes = synthetic.timm_shapes() | {name: shape}
    path = file_of(filled(shapes), tmp_path)
    with pytest.raises(CheckpointError, match=found):
        load_weights(path, "float64", Answers(**PLAIN))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39])
def test_values_that_are_not_finite_are_refused(bad, tmp_path):
    tensors = filled(synthetic.timm_shapes())
    tensors["blocks.1.norm2.weight"][3] = bad
    path = file_of(tensors, tmp_path)
    with pytest.raises(CheckpointError, match="blocks.1.norm2.weight holds values that are not finite in float32"):
        ViT.load(path, **PLAIN)


def test_whole_numbers_and_quantised_weights_are_refused(tmp_path):
    tensors = filled(synthetic.timm_shapes())
    tensors["blocks.0.mlp.fc1.weight"] = np.ones((20, D), np.int8)
    assert "blocks.0.mlp.fc1.weight is of I8" in refusal(file_of(tensors, tmp_path), **PLAIN)


def test_registers_with_positions_are_refused(tmp_path):
    path = file_of(filled(synthetic.timm_shapes(rows=7, registers=2)), tmp_path)
    assert "its registers have positions" in refusal(path, **PLAIN)


def test_a_grid_that_is_not_square_is_known_from_the_config(tmp_path):
    tensors = filled(synthetic.timm_shapes(rows=7))
    path = file_of(tensors, tmp_path)
    assert ViT.load(path, image_size=(8, 12), **PLAIN).config.grid == (2, 3)
    config = timm_config(pretrained_cfg={"input_size": [3, 12, 8]})
    assert ViT.load(write(tmp_path / "timm", tensors, config)).config.grid == (3, 2)


@pytest.mark.parametrize("image_size, resize", [((8, 16), None), (16, "corner"), (12, "bilinear")])
def test_another_image_size_resizes_the_patches_positions(image_size, resize, tmp_path):
    path = file_of(filled(synthetic.timm_shapes()), tmp_path)
    native, other = ViT.load(path, **PLAIN), ViT.load(path, image_size=image_size, resize=resize, **PLAIN)
    assert other == native.resized(image_size, resize)
    assert other.config.image_size == image_size and other.config.resize == (resize or "bicubic-antialias")
    np.testing.assert_array_equal(other.params["pos_embed"][:, 0], native.params["pos_embed"][:, 0])
    other.save(tmp_path / "own.safetensors")
    assert ViT.load(tmp_path / "own.safetensors", image_size=8).config.grid == (2, 2)


def test_another_image_size_without_a_row_for_the_class_token(tmp_path):
    path = file_of(filled(synthetic.timm_shapes(rows=4, registers=2)), tmp_path)
    other = ViT.load(path, image_size=12, **PLAIN)
    assert other.params["pos_embed"].shape == (1, 10, D) and not other.params["pos_embed"][:, 0].any()


def test_a_size_or_a_dialect_that_cannot_be(tmp_path):
    path = file_of(filled(synthetic.timm_shapes()), tmp_path)
    with pytest.raises(ConfigError, match="images of 10 pixels are not made of patches of 4: take 8 or 12"):
        ViT.load(path, image_size=10, **PLAIN)
    with pytest.raises(ConfigError, match="resize says how positions are resized to another image_size"):
        ViT.load(path, resize="corner", **PLAIN)
    with pytest.raises(ConfigError, match="resize must be one of"):
        ViT.load(path, image_size=16, resize="magic", **PLAIN)


def test_each_library_resizes_in_its_own_way(layout):
    path, _, answers, family = layout
    expected = {
        "timm's VisionTransformer": "bicubic-antialias",
        "timm's VisionTransformer in open_clip": "bicubic-antialias",
        "Meta's DINOv2": "bicubic+0.1",
        "CLIP's image tower": "bicubic-antialias", "Google's .npz": "bilinear",
        "Hugging Face's Dinov2WithRegisters": "bicubic-antialias",
    }.get(family, "bicubic")  # fmt: skip
    assert ViT.load(path, **answers).config.resize == expected


def test_tensors_are_read_once_each(tmp_path, monkeypatch):
    from minivit.weights import files

    path, read = file_of(filled(synthetic.hf_clip_shapes()), tmp_path), []
    plain = files._Safetensors.read
    monkeypatch.setattr(files._Safetensors, "read", lambda self, name: read.append(name) or plain(self, name))
    describe(path, Answers(**PLAIN))
    assert read == []  # the header is enough
    ViT.load(path, **PLAIN)
    assert len(read) == len(set(read)) and set(read) <= load_file(path).keys()
    assert not [name for name in read if "text" in name]
