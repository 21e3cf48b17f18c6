"""Settings are converted to their declared types where they are set, or refused by name."""

import dataclasses
import json
import math

import numpy as np
import pytest

from minivit import ViTConfig
from minivit.errors import ConfigError, ConfigTypeError
from minivit.preprocess import Preprocessing
from minivit.settings import check_count
from minivit.train import TrainConfig

NUMPY_NUMBERS = [
    (ViTConfig, "classes", np.int64(11), 11),
    (ViTConfig, "dropout", np.float32(0.5), 0.5),
    (ViTConfig, "norm_eps", np.float64(1e-5), 1e-5),
    (ViTConfig, "dropout", 0, 0.0),
    (ViTConfig, "qkv_bias", np.bool_(False), False),
    (ViTConfig, "image_size", np.array([14, 28]), (14, 28)),
    (ViTConfig, "pixel_mean", np.array([0.25], "float32"), (0.25,)),
    (ViTConfig, "pool", np.str_("mean"), "mean"),
    (TrainConfig, "seed", np.int64(3), 3),
    (TrainConfig, "learning_rate", np.float32(0.125), 0.125),
    (TrainConfig, "tta", np.uint8(4), 4),
    (TrainConfig, "clip_norm", None, None),
    (Preprocessing, "size", [np.int32(14), 28], (14, 28)),
    (Preprocessing, "short_edge", np.int64(32), 32),
]


@pytest.mark.parametrize("cls, name, value, stored", NUMPY_NUMBERS)
def test_numpy_numbers_are_numbers(cls, name, value, stored):
    config = cls(**{name: value})
    kept = getattr(config, name)
    assert kept == stored and type(kept) is type(stored)
    assert json.loads(json.dumps(config.to_dict())) == config.to_dict()
    assert cls.from_dict(config.to_dict()) == config == cls(**{name: stored})
    assert hash(config) == hash(cls(**{name: stored}))


WRONG = {
    "a text for a number": (TrainConfig, "learning_rate", "0.1", "learning_rate must be a number, not '0.1'"),
    "a number for a text": (ViTConfig, "pool", 7, "pool must be text, not 7"),
    "a fraction for a count": (TrainConfig, "tta", 2.5, "tta must be a whole number or None, not 2.5"),
    "a fraction of images": (TrainConfig, "validation", 0.1, "validation must be a whole number or None, not 0.1"),
    "no seed": (TrainConfig, "seed", None, "seed must be a whole number, not None"),
    "half a seed": (TrainConfig, "seed", 1.5, "seed must be a whole number, not 1.5"),
    "no decay": (TrainConfig, "weight_decay", None, "weight_decay must be a number, not None"),
    "a bool for a count": (ViTConfig, "depth", True, "depth must be a whole number, not True"),
    "a bool for a number": (ViTConfig, "dropout", False, "dropout must be a number, not False"),
    "a count for a bool": (ViTConfig, "qkv_bias", 1, "qkv_bias must be True or False, not 1"),
    "one mean": (ViTConfig, "pixel_mean", 0.13, "pixel_mean must be a sequence, each a number or None, not 0.13"),
    "one word": (ViTConfig, "class_names", "cat", "class_names must be a sequence, each text or None, not 'cat'"),
    "a complex number": (TrainConfig, "ema", 1j, "ema must be a number or None, not 1j"),
}
NOT_FINITE = [
    (ViTConfig, "pixel_mean", (math.nan,)),
    (ViTConfig, "pixel_std", (math.inf,)),
    (ViTConfig, "norm_eps", np.float64("nan")),
    (TrainConfig, "weight_decay", math.inf),
    (TrainConfig, "learning_rate", np.float32("inf")),
    (TrainConfig, "clip_norm", 1e300),
]


@pytest.mark.parametrize("kind", WRONG)
def test_a_value_of_another_type_is_refused_by_name(kind):
    cls, name, value, message = WRONG[kind]
    with pytest.raises(ConfigTypeError) as caught:
        cls(**{name: value})
    assert str(caught.value) == message
    with pytest.raises(ConfigTypeError):
        cls.from_dict({name: value})


@pytest.mark.parametrize("cls, name, value", NOT_FINITE)
def test_numbers_are_finite(cls, name, value):
    with pytest.raises(ConfigError, match=f"^{name} must be finite and at most 1e"):
        cls(**{name: value})


@pytest.mark.parametrize("cls", [ViTConfig, TrainConfig, Preprocessing])
def test_every_field_is_checked_by_its_type(cls):
    for field in dataclasses.fields(cls):
        with pytest.raises(ConfigTypeError, match=f"^{field.name} must be "):
            cls(**{field.name: object()})


@pytest.mark.parametrize("cls", [ViTConfig, TrainConfig, Preprocessing])
def test_a_file_of_a_later_version_says_so(cls):
    message = f"no {cls.__name__} setting called flux, warp: .* later one, so update minivit"
    with pytest.raises(ConfigError, match=message):
        cls.from_dict({**cls().to_dict(), "warp": 9, "flux": 1})
    with pytest.raises(ConfigError, match=f"the settings of a {cls.__name__} are a dictionary, not "):
        cls.from_dict([1, 2])


def test_a_count():
    assert check_count("threads", np.int8(3)) == 3 and check_count("copies", 0, least=0) == 0
    with pytest.raises(ConfigError, match="^threads must be at least 1, not 0$"):
        check_count("threads", 0)
    with pytest.raises(ConfigTypeError, match=r"^threads must be a whole number, not 2.0$"):
        check_count("threads", 2.0)
