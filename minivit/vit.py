"""ViT: parameters and config in one object, for those who do not want to carry both around."""

from pathlib import Path
from typing import Any

import numpy

from .backend import Array, device_of, to_device, to_host
from .checkpoint import load_model, save_model
from .config import ViTConfig
from .inputs import check_images
from .masks import draw_masks
from .model import ViTCache, initial_params, vit_backward, vit_forward
from .ops.softmax import softmax_forward
from .parallel import Workers, predict_logits
from .params import Params


class ViT:
    """A Vision Transformer.

    config: its hyperparameters; seed: of the initial weights; dtype: "float32" to train, "float64" to check
    gradients; device: "cpu" or "gpu" (CuPy). Raises DeviceError if a GPU is asked for and cannot be used.
    """

    _workers: Workers | None = None  # the threads of the last prediction

    def __init__(
        self, config: ViTConfig = ViTConfig(), seed: int = 0, dtype: Any = "float32", device: str = "cpu"
    ) -> None:
        self.config = config
        self.params = initial_params(config, seed, dtype, device)

    @property
    def dtype(self) -> Any:
        """The dtype of the parameters."""
        return self.params.flat.dtype

    @property
    def device(self) -> str:
        """Where the parameters live: "cpu" or "gpu"."""
        return device_of(self.params.flat)

    def forward(
        self,
        images: Array,
        rng: numpy.random.Generator | None = None,
        return_attention: bool = False,
        in_full: bool = False,
    ) -> tuple[Array, ViTCache] | tuple[Array, ViTCache, Array]:
        """Logits (B, K) and the cache for `backward`; with return_attention also the weights (L, B, H, T, T).

        images: floats (B, C, Sh, Sw), taken as they are, brought to the model's dtype and device. A generator `rng`
        turns the dropouts on. in_full is for those who look into the cache: without it, the last block's part holds
        the class token alone where nothing else is read. Raises TypeError for integers (`predict` scales uint8),
        ValueError for another shape or an empty batch.
        """
        if images.dtype.kind in "iub":
            raise TypeError(
                f"forward takes normalised floats as they are, not {images.dtype}: "
                "use predict, which scales uint8 images, or minivit.inputs.normalise"
            )
        images = to_device(images, self.device).astype(self.dtype, copy=False)
        masks = None if rng is None else draw_masks(self.config, len(images), rng, self.dtype, self.device)
        return vit_forward(self.params, images, self.config, masks, return_attention, in_full=in_full)

    def backward(self, dlogits: Array, cache: ViTCache, grads: Params | None = None) -> tuple[Params, Array]:
        """The gradient of every parameter and of the images (B, C, Sh, Sw), from dlogits (B, K). A given `grads` is
        filled, every entry exactly once, and returned."""
        return vit_backward(dlogits, cache, grads)

    def predict(self, images: Any, threads: int = 1) -> numpy.ndarray:
        """Class probabilities (B, K), on the host, for any number of images in bounded memory.

        threads: how many compute.
        images: host (B, C, Sh, Sw); uint8 are scaled to [0, 1] and normalised by the config, floats are taken as
        they are. Raises ValueError or TypeError, in one line, for another shape or dtype, an empty batch, NaN.
        """
        images = check_images(images, self.config)
        if self._workers is None or self._workers.threads != threads:
            self._workers = Workers(threads)  # kept, since making them costs as much as predicting an image
        logits = predict_logits(self.params, images, self.config, self._workers)
        return to_host(softmax_forward(logits)[0])

    def with_flat(self, flat: Array) -> "ViT":
        """A model of the same config whose parameters are `flat`, a vector like `params.flat`, used and not copied."""
        model = ViT.__new__(ViT)
        model.config, model.params = self.config, Params(self.params.shapes, flat)
        return model

    def save(self, path: str | Path) -> None:
        """Write the model to a safetensors file, atomically, its config inside. The same model gives the same bytes."""
        save_model(path, self.params, self.config)

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> "ViT":
        """Read a model that `save` wrote. Raises CheckpointError, in one line, for any other file."""
        params, config = load_model(path)
        model = cls.__new__(cls)
        model.config, model.params = config, params.to(device)
        return model
