"""Other libraries' models on the command line: every command that takes RUN takes them, info says what is in them, and
convert writes them."""

import shutil

import numpy as np
import pytest

from minivit import ViT
from minivit.cli import main
from minivit.run import load_run, of_minivit, resume_run, start_run
from minivit.train import TrainConfig
from tests.tools import tiny
from tests.weights import synthetic
from tests.weights.synthetic import PROCESSOR, filled, hf_config, timm_config, write

LABELS = {str(k): name for k, name in enumerate(("cat", "dog", "hen", "pig", "cow"))}


@pytest.fixture
def folder(tmp_path):
    """A model as transformers lays it out."""
    return write(tmp_path / "hf", filled(synthetic.hf_vit_shapes()), hf_config(id2label=LABELS), PROCESSOR)


@pytest.fixture
def picture(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="pictures need pillow")
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    image.fromarray(pixels).save(tmp_path / "picture.png")
    return str(tmp_path / "picture.png")


def test_info_shows_family_structure_and_what_is_mapped(folder, capsys):
    assert main(["info", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "Hugging Face's ViT\n" in out and "40 tensors (40 of F64)" in out
    assert "blocks.1.attn.qkv.weight (values)" in out and "vit.encoder.layer.1.attention.attention.value.weight" in out
    assert "norm_eps          1e-12\n" in out and "class_names       ['cat', 'dog'" in out
    assert (
        "preprocessing     rule squash, light ground, bilinear interpolation" in out
        and "licence           not told" in out
    )
    assert "not used" not in out and "to load it" not in out


def test_info_says_what_is_left_over_and_what_is_asked(tmp_path, capsys):
    write(tmp_path / "clip", filled(synthetic.openai_shapes() | {"visual.extra": (2,)}))
    assert main(["info", str(tmp_path / "clip")]) == 0
    out = capsys.readouterr().out
    assert "not used: 30 tensors\n" in out and "  transformer.resblocks.{i}.ln_1.weight (2)\n" in out
    assert "not understood: 1 tensor\n  visual.extra\n" in out
    assert "gelu              not told\n" in out
    assert "to load it, give --gelu (erf, tanh or quick), --heads" in out


def test_info_reads_the_header_only(folder, capsys, monkeypatch):
    monkeypatch.setattr(np, "fromfile", None)
    assert main(["info", str(folder)]) == 0


def test_what_is_asked_is_one_line_and_a_flag_answers_it(tmp_path, picture, capsys):
    path = write(tmp_path / "timm", filled(synthetic.timm_shapes()))
    assert main(["predict", str(path), picture]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "give --norm-eps" in error
    flags = ["--norm-eps", "1e-6", "--gelu", "erf", "--heads", "3", "--pixels", "imagenet"]
    assert main(["predict", str(path), picture, *flags]) == 0
    assert "picture.png: " in capsys.readouterr().out


def test_predict_and_attend(folder, picture, capsys):
    assert main(["predict", str(folder), picture]) == 0
    assert any(name in capsys.readouterr().out for name in LABELS.values())
    assert main(["attend", str(folder), picture]) == 0
    assert "The class token's own share" in capsys.readouterr().out


@pytest.mark.parametrize(
    "shapes, config",
    [
        (synthetic.hf_vit_shapes("", head=False), hf_config()),
        (synthetic.hf_clip_shapes(), {"model_type": "clip", "vision_config": hf_config("clip_vision_model")}),
    ],
    ids=["no head", "an embedding"],
)
def test_a_model_without_classes_attends_and_predicts_nothing(shapes, config, tmp_path, picture, capsys):
    path = str(write(tmp_path / "model", filled(shapes), config, PROCESSOR))
    assert main(["predict", path, picture]) == 2
    assert "so it predicts no classes" in (error := capsys.readouterr().err) and error.count("\n") == 1
    assert main(["attend", path, picture, "--out", str(tmp_path / "a.png")]) == 0
    out = capsys.readouterr().out
    assert "in the vector that a head would read" in out and "every block and the rollout are drawn in" in out
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_gradients_of_another_library_s_model(folder, capsys):
    assert main(["gradcheck", "--model", str(folder), "--method", "complex"]) == 0
    assert "1 check passed" in capsys.readouterr().out


def test_eval_of_data_that_do_not_fit_is_one_line(folder, tmp_path, capsys):
    assert main(["eval", str(folder)]) == 2
    assert capsys.readouterr().err.endswith(
        "nothing tells what data this model was trained on: name some with --data\n"
    )
    assert main(["eval", str(folder), "--data", tiny.write_data(tmp_path / "four", shape=(4, 8, 8))]) == 2
    assert "expected (batch, 3, 8, 8)" in capsys.readouterr().err


@pytest.mark.parametrize("to", ["timm", "huggingface", "minivit"])
def test_convert(to, folder, tmp_path, capsys):
    assert main(["convert", str(folder), str(tmp_path / "out"), "--to", to]) == 0
    assert f"written to {tmp_path / 'out'}: " in capsys.readouterr().out
    one, other = ViT.load(folder), ViT.load(tmp_path / "out")
    assert one.params == other.params and other.config.class_names == tuple(LABELS.values())
    assert main(["convert", str(folder), str(tmp_path / "out"), "--to", to]) == 2
    assert "is there already, and not empty" in capsys.readouterr().err


def test_convert_lists_what_is_not_written(tmp_path, capsys):
    config = {"model_type": "clip", "vision_config": hf_config("clip_vision_model")}
    path = write(tmp_path / "clip", filled(synthetic.hf_clip_shapes()), config, PROCESSOR)
    assert main(["convert", str(path), str(tmp_path / "out"), "--to", "huggingface"]) == 0
    out = capsys.readouterr().out
    assert "not used and not written: " in out and "text_model.encoder.layers.{i}.mlp.fc1.bias (2)" in out


def test_convert_of_a_run(tmp_path, capsys):
    model = ViT(tiny.config(classes=5))
    model.save(tmp_path / "model.safetensors")
    assert main(["convert", str(tmp_path / "model.safetensors"), str(tmp_path / "out"), "--to", "timm"]) == 0
    assert ViT.load(tmp_path / "out").params == model.params


def test_an_image_size_is_a_side_or_two(folder, capsys):
    with pytest.raises(SystemExit):
        main(["info", str(folder), "--image-size", "1x2x3"])
    assert "must be a side or height x width, 224 or 224x320, not '1x2x3'" in capsys.readouterr().err
    assert main(["info", str(folder), "--image-size", "8X16"]) == 0


# As the beginning of a training


def grey(tmp_path, config=None):
    """A model of timm's for the tiny data: grey images of 8 x 8 in three classes."""
    shapes = synthetic.timm_shapes() | {
        "patch_embed.proj.weight": (12, 1, 4, 4),
        "head.weight": (3, 12),
        "head.bias": (3,),
    }
    return write(tmp_path / "grey", filled(shapes), config)


def test_training_starts_from_another_library_s_weights(tmp_path):
    published = {"mean": [0.3], "std": [0.2], "input_size": [1, 8, 8]}
    path = grey(tmp_path, timm_config(pretrained_cfg=published))
    config = TrainConfig(epochs=1, batch_size=60, threads=1, learning_rate=1e-30, validation=0)
    run = start_run(tiny.write_data(tmp_path / "data"), str(tmp_path / "run"), {}, config, init=str(path))
    expected = ViT.load(path)
    np.testing.assert_allclose(run.model.params.flat, expected.params.flat, rtol=0, atol=1e-6)
    assert run.model.config == expected.config and run.model.config.pixel_mean == (0.3,)
    assert of_minivit(tmp_path / "run") and not of_minivit(path)
    assert load_run(path).settings == {} and load_run(path).result is None


def test_a_run_from_a_file_that_tells_nothing_is_resumed(tmp_path):
    path, data = grey(tmp_path), tiny.write_data(tmp_path / "data")
    flags = ["--gelu", "tanh", "--norm-eps", "1e-5", "--heads", "2", "--pixels", "half", "--epochs", "1"]
    command = ["train", "--data", data, "--init", str(path), "--batch-size", "30", "--threads", "1", *flags]
    assert main([*command, "--out", str(tmp_path / "whole")]) == 0
    (tmp_path / "run").mkdir()
    shutil.copy(tmp_path / "whole/config.json", tmp_path / "run")  # as if it was killed before its first step
    whole, run = load_run(tmp_path / "whole").model, resume_run(str(tmp_path / "run")).model
    assert run == whole and (run.config.gelu, run.config.norm_eps, run.config.heads) == ("tanh", 1e-5, 2)
    assert run.config.pixel_mean == (0.5,)


def test_training_without_the_answers_names_them(tmp_path, capsys):
    path, data = grey(tmp_path), tiny.write_data(tmp_path / "data")
    assert main(["train", "--data", data, "--init", str(path), "--out", str(tmp_path / "run")]) == 2
    assert "give --norm-eps" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
