"""check_model: the gradient of the loss, from the logits down to every parameter and to the pixels."""

from typing import Any

import numpy as np

from ..masks import draw_masks
from ..model import vit_backward, vit_forward
from ..ops.loss import cross_entropy_backward, cross_entropy_forward
from ..params import Params
from ..rng import DROPOUT, generator
from ..vit import ViT
from .checker import CAUSES, check_pair
from .report import Report


def check_model(
    model: ViT,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    label_smoothing: float = 0.0,
    method: str = "differences",
    bound: float | None = None,
    seed: int = 0,
    name: str = "model",
    causes: int = CAUSES,
) -> Report:
    """Check the gradient of the cross-entropy of a batch with respect to every parameter and to the images.

    Shapes   images (B, C, Sh, Sw) float64; labels (B,) integers or (B, K) probabilities
    The model must be a float64 one: ViT(config, seed, dtype="float64") starts from the float32 model's values.
    Dropouts that its config asks for are on, with masks drawn once from `seed`. The key third of every qkv bias is
    declared zero: softmax ignores a shift that is common to all keys.
    method, bound, seed, causes: as in `check_pair`, whose errors these are.
    """
    config, shapes = model.config, model.params.shapes
    masks = draw_masks(config, len(images), generator(seed, DROPOUT), "float64")

    def forward(images: np.ndarray, **tensors: np.ndarray) -> tuple[Any, Any]:
        params = Params(shapes, np.concatenate([tensor.ravel() for tensor in tensors.values()]))
        logits, cache = vit_forward(params, images, config, masks)
        loss, loss_cache = cross_entropy_forward(logits, labels, label_smoothing)
        return loss, (cache, loss_cache)

    def backward(dloss: np.ndarray, caches: Any) -> list[np.ndarray]:
        cache, loss_cache = caches
        grads, dimages = vit_backward(cross_entropy_backward(dloss, loss_cache), cache)
        return [dimages, *grads.values()]

    D = config.dim
    zeros = [(name, slice(D, 2 * D)) for name in shapes if name.endswith("qkv.bias")]
    inputs = {"images": images, **model.params}
    return check_pair(
        forward, backward, inputs, method=method, zeros=zeros, bound=bound, seed=seed, name=name, reuse=True,
        causes=causes,
    )  # fmt: skip
