"""The exported graph, executed by onnxruntime and by onnx's own evaluator, gives what minivit gives."""

import dataclasses
import hashlib
import json
from typing import Any

import numpy as np
import pytest

from minivit import ViT, ViTConfig
from minivit.errors import ConfigError
from minivit.gradcheck import SWITCHES
from minivit.preprocess import Preprocessing, normalise
from minivit.weights.onnx import export_onnx

onnx = pytest.importorskip("onnx", reason='checks ONNX files: pip install ".[reference]"')
onnxruntime = pytest.importorskip("onnxruntime", reason='runs ONNX files: pip install ".[reference]"')
from onnx.reference import ReferenceEvaluator  # noqa: E402 - after the lines above, which skip where onnx is missing

pytestmark = pytest.mark.reference
BOUND = 1e-5  # absolute, of logits and features of size 1 and of probabilities
CONFIG = SWITCHES["model, learned, cls"].config
CONFIGS = {
    **{name: switch.config for name, switch in SWITCHES.items()},
    **{
        f"no head, {pool}, norm of {norm}": dataclasses.replace(CONFIG, classes=None, pool=pool, norm=norm, registers=1)
        for pool in ("cls", "mean", "patches", "cls+patches")
        for norm in ("tokens", "pool")
    },
    "DINOv2's switches": dataclasses.replace(CONFIG, registers=4, layer_scale=1e-5, pool="cls+patches"),
    "CLIP's switches": dataclasses.replace(CONFIG, pre_norm=True, gelu="quick", norm_eps=1e-5),
    "an embedding": dataclasses.replace(CONFIG, embedding=True),
}


def model(config: ViTConfig = CONFIG, dtype: str = "float32", **more: Any) -> ViT:
    """A model with no special numbers in it, and pixels that need normalising."""
    statistics = {
        "pixel_mean": np.linspace(0.3, 0.6, config.channels), "pixel_std": np.linspace(0.2, 0.4, config.channels)
    }  # fmt: skip
    made = ViT(dataclasses.replace(config, **statistics), 3, dtype, **more)
    made.params.flat += (0.1 * np.random.default_rng(6).standard_normal(made.params.flat.size)).astype(dtype)
    return made


def pixels(config: ViTConfig, count: int = 3) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (count, *config.image_shape), dtype=np.uint8)


def expected(one: ViT, images: np.ndarray) -> list[np.ndarray]:
    """What minivit makes of these pixels: logits and probabilities, or features."""
    if not one.config.predicts:
        return [one.embed(images)]
    return [one.forward(normalise(images, one.config, one.dtype))[0], one.predict(images)]


def session(path: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def assert_same(found: list[np.ndarray], wanted: list[np.ndarray]) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=0, atol=BOUND * max(1, abs(other).max()))


@pytest.mark.parametrize("name", CONFIGS)
def test_every_switch_gives_the_same_outputs(name, tmp_path):
    one, path = model(CONFIGS[name]), tmp_path / "model.onnx"
    export_onnx(one, path)
    onnx.checker.check_model(path, full_check=True)
    images, run = pixels(one.config), session(path)
    for count in (1, 3):
        assert_same(run.run(None, {"images": images[:count]}), expected(one, images[:count]))
    assert_same(ReferenceEvaluator(str(path)).run(None, {"images": images}), expected(one, images))


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pixels_may_be_bytes_or_floats_and_the_model_float64(dtype, kind, tmp_path):
    one = model(dtype=dtype)
    export_onnx(one, tmp_path / "model.onnx", pixels=kind)
    images = pixels(one.config)
    assert_same(session(tmp_path / "model.onnx").run(None, {"images": images.astype(kind)}), expected(one, images))


def test_a_resized_model_is_exported_at_its_size(tmp_path):
    one = model().resized((12, 6))
    export_onnx(one, tmp_path / "model.onnx")
    images = pixels(one.config)
    assert_same(session(tmp_path / "model.onnx").run(None, {"images": images}), expected(one, images))


def test_only_the_batch_is_free(tmp_path):
    export_onnx(model(), tmp_path / "model.onnx")
    graph = onnx.shape_inference.infer_shapes(onnx.load(tmp_path / "model.onnx"), strict_mode=True).graph
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in [*graph.input, *graph.output, *graph.value_info]
    }
    assert shapes["images"] == ["batch", 2, 6, 9]
    assert shapes["logits"] == shapes["probabilities"] == ["batch", 8]
    assert all(shape[0] == "batch" and all(isinstance(side, int) for side in shape[1:]) for shape in shapes.values())


def test_the_file_says_what_it_is(tmp_path):
    config = dataclasses.replace(CONFIG, class_names=tuple("abcdefgh"))
    made = Preprocessing("crop", size=(6, 9), short_edge=12, interpolation="bilinear")
    one = model(config, preprocessing=made)
    export_onnx(one, tmp_path / "model.onnx")
    loaded = onnx.load(tmp_path / "model.onnx")
    assert (loaded.ir_version, [(o.domain, o.version) for o in loaded.opset_import]) == (8, [("", 17)])
    metadata = {entry.key: entry.value for entry in loaded.metadata_props}
    assert metadata["weights_sha256"] == hashlib.sha256(one.params.flat.tobytes()).hexdigest()
    assert json.loads(metadata["class_names"]) == list("abcdefgh")
    assert json.loads(metadata["image_size"]) == [6, 9]
    assert Preprocessing.from_dict(json.loads(metadata["preprocessing"])) == made
    assert session(tmp_path / "model.onnx").get_modelmeta().custom_metadata_map == metadata
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in loaded.graph.initializer}
    for name in one.params.keys() & weights:
        assert np.array_equal(weights[name], one.params[name]), name
    assert one.params.keys() - weights == {"cls_token", "pos_embed", "patch_embed.proj.bias"}  # one constant


def test_metadata_of_a_model_that_knows_little(tmp_path):
    export_onnx(model(), tmp_path / "numbered.onnx")
    export_onnx(model(dataclasses.replace(CONFIG, classes=None)), tmp_path / "headless.onnx")
    one, other = (
        {entry.key: entry.value for entry in onnx.load(tmp_path / name).metadata_props}
        for name in ("numbered.onnx", "headless.onnx")
    )
    assert json.loads(one["class_names"]) == list("01234567") and json.loads(one["preprocessing"]) is None
    assert "class_names" not in other


def test_the_same_model_gives_the_same_bytes(tmp_path):
    for name in ("one", "other"):
        export_onnx(model(), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_model_on_the_gpu_gives_the_same_file(tmp_path, fakecupy):
    for device in ("cpu", "gpu"):
        one = ViT(CONFIG, device=device)
        export_onnx(one, tmp_path / device)
    assert one.device == "gpu"
    assert (tmp_path / "cpu").read_bytes() == (tmp_path / "gpu").read_bytes()


def test_what_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="pixels must be one of uint8, float32, not 'float64'"):
        export_onnx(model(), tmp_path / "model.onnx", pixels="float64")
    monkeypatch.setattr("minivit.weights.onnx.LARGEST", 1000)
    with pytest.raises(ConfigError, match=r"the parameters take 0[.]0 GiB in float32, and an ONNX file holds 2 GiB"):
        export_onnx(model(), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
