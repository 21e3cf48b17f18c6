"""ViTConfig and TrainConfig: what they derive, and what they refuse by name."""

import dataclasses
import json
import math

import pytest

from minivit import ViTConfig
from minivit.shapes import parameter_shapes
from minivit.train.config import TrainConfig


def test_the_default_model():
    config = ViTConfig()
    assert (config.image_size, config.patch_size, config.channels, config.classes) == (28, 7, 1, 10)
    assert (config.dim, config.depth, config.heads, config.mlp_dim) == (64, 4, 4, 128)
    assert (config.pool, config.positions, config.gelu, config.norm_eps) == ("cls", "learned", "erf", 1e-6)
    assert config.qkv_bias and config.head_hidden is None
    assert config.dropout == config.attention_dropout == config.drop_path == 0
    assert (config.pixel_mean, config.pixel_std) == ((0.0,), (1.0,))
    assert sum(map(math.prod, parameter_shapes(config).values())) == 139_018


def test_the_model_of_206_thousand_parameters():
    config = ViTConfig(patch_size=4, depth=6)
    assert sum(map(math.prod, parameter_shapes(config).values())) == 205_962


def test_sizes_that_follow_from_others():
    config = ViTConfig(image_size=(12, 20), patch_size=4, channels=3)
    assert config.image_shape == (3, 12, 20)
    assert config.grid == (3, 5) and config.patches == 15 and config.tokens == 16
    assert dataclasses.replace(config, pool="mean").tokens == 15


def test_one_side_and_two_equal_sides_are_the_same_config():
    assert ViTConfig(image_size=(28, 28)) == ViTConfig(image_size=28) == ViTConfig(image_size=[28, 28])
    assert ViTConfig(image_size=[14, 28]).image_size == (14, 28)


def test_a_config_goes_through_json_and_back():
    config = ViTConfig(image_size=(14, 28), channels=3, head_hidden=5, pixel_mean=(0.1, 0.2, 0.3))
    text = json.dumps(config.to_dict())
    assert ViTConfig.from_dict(json.loads(text)) == config
    assert hash(ViTConfig.from_dict(json.loads(text))) == hash(config)
    assert TrainConfig(**json.loads(json.dumps(TrainConfig(epochs=3).to_dict()))) == TrainConfig(epochs=3)


def test_a_config_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ViTConfig().dim = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().epochs = 3


WRONG = {
    "patch_size 5 does not divide image_size 28: choose a patch size": {"patch_size": 5},
    r"patch_size 8 does not divide image_size \(16, 28\)": {"patch_size": 8, "image_size": (16, 28)},
    "image_size must be a whole number or 2 values, each a whole number": {"image_size": (28, 28, 28)},
    "image_size must be at least 1": {"image_size": 0},
    "patch_size must be at least 1, not 0": {"patch_size": 0},
    "channels must be at least 1": {"channels": 0},
    "classes must be at least 1": {"classes": -1},
    "depth must be at least 1": {"depth": 0},
    "mlp_dim must be at least 1": {"mlp_dim": 0},
    "head_hidden must be at least 1": {"head_hidden": 0},
    "heads 5 must divide dim 64": {"heads": 5},
    "pool must be one of cls, mean, patches, cls.patches, not 'max'": {"pool": "max"},
    "positions must be one of learned, sincos1d, sincos2d, none, not 'sin'": {"positions": "sin"},
    "gelu must be one of erf, tanh, quick, not 'relu'": {"gelu": "relu"},
    "positions 'sincos1d' needs an even dim, not 9": {"positions": "sincos1d", "dim": 9, "heads": 3},
    "positions 'sincos2d' needs a dim that 4 divides, not 6": {"positions": "sincos2d", "dim": 6, "heads": 3},
    "norm_eps must be positive, not 0": {"norm_eps": 0},
    "norm_eps must be finite and at most .*, not nan": {"norm_eps": math.nan},
    r"dropout is a probability and must lie in \[0, 1\), not 1": {"dropout": 1},
    r"attention_dropout is a probability .* not -0.1": {"attention_dropout": -0.1},
    "drop_path must be finite .* not nan": {"drop_path": math.nan},
    "pixel_mean needs one value for each of 3 channels": {"channels": 3, "pixel_mean": (0.5,)},
    "pixel_std needs one value for each of 1 channel": {"pixel_std": (0.5, 0.5)},
    "pixel_std must be positive": {"pixel_std": (0.0,)},
}
NOT_COUNTS = {"dim": 64.0, "heads": "4", "depth": True, "classes": "ten", "image_size": 28.0, "head_hidden": 2.5}


@pytest.mark.parametrize("message", WRONG)
def test_values_that_make_no_model_are_named(message):
    with pytest.raises(ValueError, match=message):
        ViTConfig(**WRONG[message])


@pytest.mark.parametrize("name", NOT_COUNTS)
def test_sizes_are_whole_numbers(name):
    with pytest.raises(TypeError, match=f"{name} must be a whole number( or .*)?, not {NOT_COUNTS[name]!r}"):
        ViTConfig(**{name: NOT_COUNTS[name]})


def test_settings_of_another_version_are_named():
    with pytest.raises(
        ValueError, match="no ViTConfig setting called flux, warp: .* written by a later one, so update minivit"
    ):
        ViTConfig.from_dict({"dim": 64, "warp": 9, "flux": 1})


WRONG_TRAINING = {
    "batch_size must be at least 1, not 0": {"batch_size": 0},
    "epochs must be at least 1": {"epochs": 0},
    "threads must be at least 1": {"threads": 0},
    "learning_rate must be positive.* not 0": {"learning_rate": 0},
    "learning_rate must be finite.* not nan": {"learning_rate": math.nan},
    "learning_rate must be finite.* not inf": {"learning_rate": math.inf},
    "clip_norm must be positive.* not -1": {"clip_norm": -1},
    "weight_decay must be at least 0, not -0.1": {"weight_decay": -0.1},
    "augment must be finite.* not nan": {"augment": math.nan},
    "seed must be at least 0, not -1": {"seed": -1},
    "validation must be at least 0, not -5": {"validation": -5},
    r"warmup_fraction must lie in \[0, 1\), not 1": {"warmup_fraction": 1},
    r"label_smoothing must lie in \[0, 1\), not 1.5": {"label_smoothing": 1.5},
    r"beta2 must lie in \[0, 1\), not 1": {"beta2": 1},
}


@pytest.mark.parametrize("message", WRONG_TRAINING)
def test_values_that_cannot_train_are_named(message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**WRONG_TRAINING[message])


def test_a_batch_size_is_a_whole_number():
    with pytest.raises(TypeError, match="batch_size must be a whole number, not 64.0"):
        TrainConfig(batch_size=64.0)


def test_epochs_follow_from_the_number_of_images():
    assert TrainConfig().epochs_for(3_600) == 92
    assert TrainConfig().epochs_for(55_000) == 6
    assert TrainConfig().epochs_for(10_000_000) == 1
    assert TrainConfig(epochs=7).epochs_for(3_600) == 7
    assert TrainConfig(images_seen=36_100).epochs_for(3_600) == 10


def test_classes_are_called_by_their_names_or_numbers():
    assert ViTConfig(classes=3).class_name(2) == "2"
    named = ViTConfig(classes=2, class_names=["cat", "dog"])
    assert named.class_names == ("cat", "dog") and named.class_name(1) == "dog"
    assert ViTConfig.from_dict(named.to_dict()) == named and hash(named) == hash(ViTConfig.from_dict(named.to_dict()))


@pytest.mark.parametrize("names", [("cat",), ("cat", "cat"), ("cat", "dog", "owl")])
def test_every_class_has_a_name_of_its_own(names):
    with pytest.raises(ValueError, match="class_names needs a different name for each of 2 classes"):
        ViTConfig(classes=2, class_names=names)


def test_names_are_text():
    with pytest.raises(ValueError, match="class_names must be a sequence, each text or None, not"):
        ViTConfig(classes=2, class_names=(1, 2))


def test_a_training_config_comes_back_from_a_dictionary():
    config = TrainConfig(epochs=3, tta=2, ema=0.9)
    assert TrainConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ValueError, match="no TrainConfig setting called speed: .* update minivit"):
        TrainConfig.from_dict({**config.to_dict(), "speed": 1})


def test_settings_of_the_machine_are_marked():
    marked = {field.name for field in dataclasses.fields(TrainConfig) if field.metadata["machine"]}
    assert marked == {"threads", "keep_memory", "save_every"}
