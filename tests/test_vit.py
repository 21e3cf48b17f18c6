"""The ViT object: the public face, from images to probabilities and back to the file."""

import numpy as np
import pytest

from minivit import ViT, ViTConfig, cross_entropy_backward, cross_entropy_forward
from minivit.initial import initial_params
from minivit.model import vit_forward
from minivit.preprocess.arrays import normalise

CONFIG = ViTConfig(
    image_size=(4, 6), patch_size=2, channels=2, classes=3, dim=8, depth=2, heads=2, mlp_dim=5,
    dropout=0.2, attention_dropout=0.1, drop_path=0.3, pixel_mean=(0.2, 0.4), pixel_std=(0.3, 0.5),
)  # fmt: skip
RNG = np.random.default_rng(5)
PIXELS = RNG.integers(0, 256, (7, 2, 4, 6), dtype=np.uint8)
IMAGES = RNG.standard_normal((7, 2, 4, 6)).astype("float32")


def test_a_model_starts_from_its_seed():
    model = ViT(CONFIG, seed=3)
    assert (model.dtype, model.device, model.config) == (np.float32, "cpu", CONFIG)
    np.testing.assert_array_equal(model.params.flat, initial_params(CONFIG, 3).flat)
    assert ViT().config == ViTConfig()
    double = ViT(CONFIG, seed=3, dtype="float64")
    np.testing.assert_array_equal(double.params.flat.astype("float32"), model.params.flat)


def test_one_step_as_the_readme_writes_it():
    model = ViT(CONFIG, dtype="float64")
    logits, cache = model.forward(IMAGES)
    loss, loss_cache = cross_entropy_forward(logits, np.array([0, 1, 2, 0, 1, 2, 0]), label_smoothing=0.1)
    grads, dimages = model.backward(cross_entropy_backward(1.0, loss_cache), cache)
    assert logits.shape == (7, 3) and dimages.shape == IMAGES.shape and list(grads) == list(model.params)
    model.params.flat[...] -= 0.01 * grads.flat
    lower, _ = cross_entropy_forward(model.forward(IMAGES)[0], np.array([0, 1, 2, 0, 1, 2, 0]), label_smoothing=0.1)
    assert lower < loss
    place = model.params.empty_like()
    assert model.backward(cross_entropy_backward(1.0, loss_cache), cache, grads=place)[0] is place


def test_forward_takes_floats_as_they_are():
    model = ViT(CONFIG)
    logits, _ = model.forward(IMAGES.astype("float64"))
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits, vit_forward(model.params, IMAGES, CONFIG)[0])
    np.testing.assert_array_equal(logits, model.forward(IMAGES)[0])
    whole, cache = model.forward(IMAGES, all_tokens=True)
    np.testing.assert_allclose(whole, logits, rtol=0, atol=1e-6)
    assert [block.attn.dot.softmax.y.shape for block in cache.blocks] == [(len(IMAGES), 2, 7, 7)] * 2


def test_a_generator_turns_the_dropouts_on():
    model = ViT(CONFIG)
    plain, cache = model.forward(IMAGES)
    one, dropped = model.forward(IMAGES, rng=np.random.default_rng(1))
    again, _ = model.forward(IMAGES, rng=np.random.default_rng(1))
    other, _ = model.forward(IMAGES, rng=np.random.default_rng(2))
    assert cache.masks is None and dropped.masks is not None
    np.testing.assert_array_equal(one, again)
    assert (one != plain).any() and (one != other).any()


def test_forward_three_times_and_backward_once():
    """The cache belongs to its call, whatever the model did since."""
    model = ViT(CONFIG, dtype="float64")
    dlogits = np.random.default_rng(4).standard_normal((7, 3))
    _, cache = model.forward(IMAGES, rng=np.random.default_rng(1))
    expected, expected_dimages = model.backward(dlogits, cache)
    _, cache = model.forward(IMAGES, rng=np.random.default_rng(1))
    model.forward(IMAGES[:2])
    model.forward(-IMAGES, rng=np.random.default_rng(2))
    grads, dimages = model.backward(dlogits, cache)
    np.testing.assert_array_equal(grads.flat, expected.flat)
    np.testing.assert_array_equal(dimages, expected_dimages)


@pytest.mark.parametrize("threads", [1, 2])
def test_predict_gives_probabilities(threads):
    model = ViT(CONFIG)
    probabilities = model.predict(PIXELS, threads)
    logits, _ = model.forward(normalise(PIXELS, CONFIG, "float32"))
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-6)
    np.testing.assert_array_equal(probabilities, model.predict(PIXELS))
    np.testing.assert_allclose(model.predict(normalise(PIXELS, CONFIG, "float32")), probabilities, rtol=1e-5)


def test_predict_takes_any_number_of_images():
    model = ViT(CONFIG)
    many = np.concatenate([PIXELS] * 100)
    np.testing.assert_allclose(model.predict(many), np.concatenate([model.predict(PIXELS)] * 100), rtol=1e-5)
    assert model.predict(PIXELS[:1]).shape == (1, 3)
    assert model.predict(PIXELS.tolist() and list(PIXELS)).shape == (7, 3)


WRONG = {
    r"expected \(batch, 2, 4, 6\), that is \(images, channels, height, width\)": (PIXELS[0], ValueError),
    r"images of shape \(7, 2, 6, 4\) do not fit": (PIXELS.swapaxes(2, 3), ValueError),
    "an empty batch was passed": (PIXELS[:0], ValueError),
    "images must be uint8 .* not int64": (PIXELS.astype("int64"), TypeError),
    r"image 3 holds nan at \(channel, row, column\) \(1, 2, 5\)": (None, ValueError),
}


@pytest.mark.parametrize("message", WRONG)
def test_predict_refuses_what_it_cannot_use(message):
    images, error = WRONG[message]
    if images is None:
        images = IMAGES.copy()
        images[3, 1, 2, 5] = np.nan
    with pytest.raises(error, match=message):
        ViT(CONFIG).predict(images)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool"])
def test_forward_refuses_integers(dtype):
    with pytest.raises(TypeError, match=f"forward takes normalised floats as they are, not {dtype}: use predict"):
        ViT(CONFIG).forward(PIXELS.astype(dtype))


def test_forward_refuses_other_shapes_and_no_images():
    with pytest.raises(ValueError, match=r"expected \(batch, 2, 4, 6\)"):
        ViT(CONFIG).forward(IMAGES[:, :1])
    with pytest.raises(ValueError, match="empty batch"):
        ViT(CONFIG).forward(IMAGES[:0])


def test_a_saved_model_answers_the_same(tmp_path):
    model = ViT(CONFIG, seed=3)
    model.save(tmp_path / "model.safetensors")
    loaded = ViT.load(tmp_path / "model.safetensors")
    assert loaded.config == CONFIG and loaded.dtype == np.float32 and loaded.device == "cpu"
    np.testing.assert_array_equal(loaded.predict(PIXELS), model.predict(PIXELS))


def test_other_parameters_for_the_same_config():
    model = ViT(CONFIG)
    flat = model.params.flat * 2
    other = model.with_flat(flat)
    assert other.config is CONFIG and other.params.flat is flat
    np.testing.assert_array_equal(other.params["norm.weight"], 2)
    np.testing.assert_array_equal(model.params["norm.weight"], 1)


def test_another_device_is_refused_by_name():
    with pytest.raises(ValueError, match="unknown device 'tpu': choose one of cpu, gpu"):
        ViT(CONFIG, device="tpu")
