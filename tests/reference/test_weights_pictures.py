"""A picture on its way to a model: timm's evaluation transform and transformers' image processors give the pixels that
minivit gives, to one level of 256, after the settings went through a file, in either direction."""

import numpy as np
import pytest

from minivit import ViT
from minivit.preprocess import Preprocessing, normalise, read_picture
from minivit.weights import convert

from .libraries import of_timm, timm, transformers, vit

pytestmark = pytest.mark.reference
Image = pytest.importorskip("PIL.Image", reason="pictures need pillow")
SIDE = 32
PICTURES = [(300, 200), (201, 333), (97, 64), (500, 500)]  # width, height: odd margins, small and large
CROPS = {
    "crop_pct 0.9": {"crop_pct": 0.9},
    "crop_pct 0.875, bilinear": {"crop_pct": 0.875, "interpolation": "bilinear"},
    "crop_pct 1": {"crop_pct": 1.0},
    "squash": {"crop_pct": 1.0, "crop_mode": "squash"},
    "squash, crop_pct 0.9": {"crop_pct": 0.9, "crop_mode": "squash"},
    "border": {"crop_pct": 1.0, "crop_mode": "border"},
    "border, crop_pct 0.8": {"crop_pct": 0.8, "crop_mode": "border", "interpolation": "bilinear"},
}
EVEN = [(300, 200), (198, 330), (97, 64), (500, 500)]  # Pillow's processors round half a margin down, torch's to even
PROCESSORS = {
    "ViT": lambda: transformers.ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}),
    "ViT, bicubic": lambda: transformers.ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}, resample=3),
    "DINOv2": lambda: transformers.BitImageProcessorPil(
        size={"shortest_edge": 36}, crop_size={"height": SIDE, "width": SIDE}, resample=3
    ),
    "squashed and cropped": lambda: transformers.BitImageProcessorPil(
        size={"height": 36, "width": 36}, crop_size={"height": SIDE, "width": SIDE}, resample=2
    ),
    "CLIP": lambda: transformers.CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    ),
}


@pytest.fixture
def picture(request, tmp_path):
    width, height = request.param
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def agree(model, picture, theirs):
    """Levels of the pixels are compared: what the model reads, with its normalisation undone."""
    ours = normalise(read_picture(picture, 3, model.preprocessing)[np.newaxis], model.config, "float32")[0]
    std = np.reshape(model.config.pixel_std, (3, 1, 1))
    levels = np.abs(ours - theirs) * 255 * std
    assert levels.max() < 1.01 and levels.mean() < 0.05


def in_timm(model, picture):
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    return transform(Image.open(picture)).numpy()


@pytest.mark.parametrize("picture", PICTURES, indirect=True, ids=str)
@pytest.mark.parametrize("crop", CROPS)
def test_timm_s_transform(crop, picture, tmp_path):
    theirs = of_timm("vit_tiny_patch16_224", img_size=SIDE)
    theirs.model.pretrained_cfg.update(input_size=(3, SIDE, SIDE), **CROPS[crop])
    theirs.save(theirs.model, tmp_path / "in")
    model = ViT.load(tmp_path / "in")
    agree(model, picture, in_timm(theirs.model, picture))
    convert(model.params, model.config, model.preprocessing, tmp_path / "out", "timm")
    agree(model, picture, in_timm(timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True), picture))


@pytest.mark.parametrize("picture", EVEN, indirect=True, ids=str)
@pytest.mark.parametrize("processor", PROCESSORS)
def test_transformers_processors(processor, picture, tmp_path):
    theirs, made = vit(image_size=SIDE), PROCESSORS[processor]()
    theirs.save(theirs.model, tmp_path / "in")
    made.save_pretrained(tmp_path / "in")
    model = ViT.load(tmp_path / "in")
    agree(model, picture, made(Image.open(picture), return_tensors="np")["pixel_values"][0])
    convert(model.params, model.config, model.preprocessing, tmp_path / "out", "huggingface")
    again = transformers.AutoImageProcessor.from_pretrained(tmp_path / "out", backend="pil")
    agree(model, picture, again(Image.open(picture), return_tensors="np")["pixel_values"][0])


@pytest.mark.parametrize("picture", EVEN, indirect=True, ids=str)
def test_a_preprocessing_of_minivit_s_is_that_of_the_libraries(picture, tmp_path):
    theirs = vit(image_size=SIDE)
    theirs.save(theirs.model, tmp_path / "in")
    model = ViT.load(tmp_path / "in", pixels="imagenet")
    model.preprocessing = Preprocessing("crop", "light", (SIDE, SIDE), 40, "bilinear")
    for to in ("timm", "huggingface"):
        convert(model.params, model.config, model.preprocessing, tmp_path / to, to)
    agree(model, picture, in_timm(timm.create_model(f"local-dir:{tmp_path / 'timm'}", pretrained=True), picture))
    made = transformers.AutoImageProcessor.from_pretrained(tmp_path / "huggingface", backend="pil")
    agree(model, picture, made(Image.open(picture), return_tensors="np")["pixel_values"][0])
