"""Another image size: which parameters change, by which rule, and what the new model says of itself."""

import dataclasses

import numpy as np
import pytest

from minivit import ViT, ViTConfig
from minivit.gradcheck import check_model
from minivit.ops import DIALECTS, interpolation_matrix
from minivit.preprocess import Preprocessing
from minivit.weights.positions import resize_model, resize_positions

CONFIG = ViTConfig(
    image_size=(6, 9), patch_size=3, channels=2, classes=5, dim=12, depth=1, heads=3, mlp_dim=7, registers=2,
    resize="bicubic",
)  # fmt: skip
SWITCHES = [
    {},
    {"class_token": True, "pool": "mean"},
    {"pool": "patches", "class_token": False},
    {"pool": "patches", "registers": 0},
    {"pool": "cls+patches", "registers": 1},
]


def perturbed(config, dtype="float64"):
    model = ViT(config, seed=1, dtype=dtype, preprocessing=Preprocessing("crop", size=config.image_shape[1:]))
    model.params.flat += 0.1 * np.random.default_rng(3).standard_normal(model.params.flat.size).astype(dtype)
    return model


@pytest.mark.parametrize("settings", SWITCHES, ids=str)
def test_patches_are_interpolated_and_nothing_else_changes(settings):
    model = perturbed(dataclasses.replace(CONFIG, **settings))
    before = model.params.copy()
    other = model.resized((12, 6))
    token = int(model.config.has_class_token)
    assert other.config == dataclasses.replace(model.config, image_size=(12, 6))
    assert other.params["pos_embed"].shape == (1, token + 8, 12)
    assert np.array_equal(other.params["pos_embed"][:, :token], before["pos_embed"][:, :token])
    grid = before["pos_embed"][0, token:].reshape(2, 3, 12)
    down, across = interpolation_matrix(np, 2, 4, "bicubic"), interpolation_matrix(np, 3, 2, "bicubic")
    expected = np.einsum("ir,jc,rcd->ijd", down, across, grid).reshape(8, 12)
    np.testing.assert_allclose(other.params["pos_embed"][0, token:], expected, rtol=0, atol=1e-14)
    for name in before.keys() - {"pos_embed"}:
        assert np.array_equal(other.params[name], before[name]), name
    assert model.params == before
    other.params.flat[...] = 0
    assert model.params == before


@pytest.mark.parametrize("dialect", [*DIALECTS, None])
def test_the_dialect_is_used_and_recorded(dialect):
    model = perturbed(CONFIG)
    other = model.resized((12, 12), dialect)
    assert other.config.resize == (dialect or "bicubic")
    expected = resize_positions(model.params["pos_embed"][:, 1:], (2, 3), (4, 4), dialect or "bicubic")
    assert np.array_equal(other.params["pos_embed"][:, 1:], expected)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_same_size_changes_no_position(dialect):
    model = perturbed(CONFIG)
    other = model.resized((6, 9), dialect)
    assert other.params == model.params and other.config == dataclasses.replace(CONFIG, resize=dialect)
    assert not np.shares_memory(other.params.flat, model.params.flat)


@pytest.mark.parametrize("positions", ["sincos1d", "sincos2d", "none"])
def test_fixed_positions_are_those_of_a_new_model(positions):
    model = perturbed(dataclasses.replace(CONFIG, positions=positions))
    other = model.resized((12, 6))
    assert other.params == model.params
    images = np.random.default_rng(4).standard_normal((2, 2, 12, 6))
    fresh = ViT(dataclasses.replace(CONFIG, positions=positions, image_size=(12, 6)), params=model.params)
    assert np.array_equal(other.forward(images)[0], fresh.forward(images)[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_stays_and_the_work_is_done_in_float64(dtype):
    model = perturbed(CONFIG, dtype)
    table = model.resized((12, 12)).params["pos_embed"]
    exact = resize_positions(model.params["pos_embed"][:, 1:].astype("float64"), (2, 3), (4, 4), "bicubic")
    assert table.dtype == dtype and np.array_equal(table[:, 1:], exact.astype(dtype))


def test_the_new_model_works_and_is_saved_with_its_dialect(tmp_path):
    model = perturbed(CONFIG).resized(12, "bicubic+0.1")
    images, labels = np.random.default_rng(4).standard_normal((3, 2, 12, 12)), np.array([0, 1, 4])
    check_model(model, images, labels).raise_if_failed()
    model.save(tmp_path / "model.safetensors")
    loaded = ViT.load(tmp_path / "model.safetensors")
    assert loaded == model and loaded.config.resize == "bicubic+0.1"
    pixels = np.zeros((1, 2, 12, 12), np.uint8)
    assert np.array_equal(loaded.predict(pixels), model.predict(pixels))


def test_pictures_are_prepared_for_the_new_size():
    crop = Preprocessing("crop", size=(224, 224), short_edge=256, interpolation="bicubic")
    assert crop.resized((448, 448)) == dataclasses.replace(crop, size=(448, 448), short_edge=512)
    assert crop.resized((112, 448)) == dataclasses.replace(crop, size=(112, 448), short_edge=512)
    assert crop.resized((112, 56)) == dataclasses.replace(crop, size=(112, 56), short_edge=128)
    assert Preprocessing(size=(28, 28)).resized((14, 7)) == Preprocessing(size=(14, 7))
    assert perturbed(CONFIG).resized((12, 6)).preprocessing == Preprocessing("crop", size=(12, 6))
    assert ViT(CONFIG).resized((12, 6)).preprocessing is None


def test_what_is_refused():
    model = ViT(CONFIG)
    with pytest.raises(ValueError, match="images of 10 pixels are not made of patches of 3: take 9 or 12"):
        model.resized((12, 10))
    with pytest.raises(TypeError, match="image_size must be a whole number or 2 values"):
        model.resized(12.0)
    message = "resize must be one of bicubic-antialias, bicubic, bicubic[+]0.1, bilinear, corner, not 'nearest'"
    with pytest.raises(ValueError, match=message):
        model.resized((12, 6), "nearest")
    with pytest.raises(ValueError, match=message):
        ViTConfig(resize="nearest")
    with pytest.raises(ValueError, match=message):
        resize_positions(np.zeros((1, 6, 4)), (2, 3), (2, 3), "nearest")
    for shape in [(1, 7, 4), (6, 4)]:
        with pytest.raises(ValueError, match=r"positions of shape .* are not those of 2 x 3 patches"):
            resize_positions(np.zeros(shape), (2, 3), (4, 4), "corner")


def test_models_of_before_have_the_default_dialect():
    values = CONFIG.to_dict()
    del values["resize"]
    assert ViTConfig.from_dict(values).resize == "bicubic-antialias"


@pytest.mark.standin
def test_positions_are_interpolated_on_the_gpu(fakecupy):
    model = ViT(CONFIG, device="gpu")
    other, config = resize_model(model.params, CONFIG, (12, 6))
    assert isinstance(other.flat, fakecupy.ndarray) and config.grid == (4, 2)
    np.testing.assert_array_equal(other.to("cpu").flat, ViT(CONFIG).resized((12, 6)).params.flat)
