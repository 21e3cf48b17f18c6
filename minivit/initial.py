"""The initial values of a model's parameters."""

import math
from typing import Any

import numpy as np

from .config import ViTConfig
from .shapes import parameter_shapes
from .params import Params
from .rng import INITIAL_WEIGHTS, generator


def initial_params(config: ViTConfig, seed: int = 0, dtype: Any = "float32", device: str = "cpu") -> Params:
    """Fresh parameters: weight matrices normal with standard deviation 0.7/sqrt(fan_in), class token, registers and
    positions 0.02, all truncated at two standard deviations; biases 0; LayerNorm 1 and 0; LayerScale as the config
    says. Drawn on the host in float64, so a float32 model, a float64 model and a GPU start from the same numbers."""
    params = Params.zeros(parameter_shapes(config), dtype)
    for index, (name, view) in enumerate(params.items()):
        if view.ndim > 1:
            std = 0.7 / math.sqrt(view.shape[0]) if view.ndim == 2 else 0.02
            draws = _truncated_normal(generator(seed, INITIAL_WEIGHTS, index), view.shape)
            params[name] = (std * draws).astype(dtype)
        elif name.endswith("gamma"):
            view[...] = config.layer_scale
        elif "norm" in name and name.endswith("weight"):
            view[...] = 1
    return params.to(device)


def _truncated_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal draws with those beyond ±2 drawn again."""
    draws = rng.standard_normal(shape)
    while (beyond := np.abs(draws) > 2).any():
        draws[beyond] = rng.standard_normal(int(beyond.sum()))
    return draws
