"""The initial values of a model's parameters."""

import math
from typing import Any

import numpy as np

from .config import ViTConfig
from .model import parameter_shapes
from .params import Params
from .rng import INITIAL_WEIGHTS, generator


def initial_params(config: ViTConfig, seed: int = 0, dtype: Any = "float32", device: str = "cpu") -> Params:
    """Draw the initial parameters.

    Weight matrices come from a normal distribution of standard deviation 0.7/sqrt(fan_in), truncated at two standard
    deviations: the values drawn have standard deviation 0.616/sqrt(fan_in). The class token and learned positions come
    from the same with 0.02 (0.0176 after truncation). Biases are 0, LayerNorm's scales 1 and shifts 0. The
    draws are made on the host in float64 and then rounded to `dtype`, so a float32 model, a float64 model and one on a
    GPU start from the same values.
    """
    params = Params.zeros(parameter_shapes(config), dtype)
    for index, (name, view) in enumerate(params.items()):
        if view.ndim > 1:
            std = 0.7 / math.sqrt(view.shape[0]) if view.ndim == 2 else 0.02
            draws = _truncated_normal(generator(seed, INITIAL_WEIGHTS, index), view.shape)
            params[name] = (std * draws).astype(dtype)
        elif name.endswith(("norm1.weight", "norm2.weight", "norm.weight")):
            view[...] = 1
    return params.to(device)


def _truncated_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal draws, those beyond ±2 drawn again; what remains has standard deviation 0.8796."""
    draws = rng.standard_normal(shape)
    while (beyond := np.abs(draws) > 2).any():
        draws[beyond] = rng.standard_normal(int(beyond.sum()))
    return draws
