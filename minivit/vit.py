"""ViT: config and parameters of a Vision Transformer in one object."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from .backend import Array, device_of, errstate, to_device
from .checkpoint import DTYPES, save_model
from .config import ViTConfig
from .errors import ConfigError, ConfigTypeError, DataTypeError
from .initial import initial_params
from .masks import Masks, draw_masks
from .model import ViTCache, encoder_forward, vit_backward, vit_forward
from .ops.layernorm import layernorm_forward
from .ops.softmax import softmax_forward
from .parallel import WorkerPool, predict_logits
from .params import Params
from .preprocess import Preprocessing, check_images
from .settings import check_count
from .shapes import parameter_shapes
from .weights import Answers, load_weights
from .weights.positions import resize_model


class ViT:
    """A Vision Transformer.

    config: its hyperparameters; seed: of the initial weights; dtype: "float32" to train, "float64" to check
    gradients; device: "cpu" or "gpu" (CuPy). params: its parameters, not copied; None: initial values are drawn.
    preprocessing: how picture files are converted to the model's input; None if that is unknown.
    Two models are equal if their configs, preprocessings and parameters are.
    Raises DeviceError if a GPU is asked for and cannot be used, ConfigError for any other dtype and for parameters
    that do not match the config.
    """

    def __init__(
        self,
        config: ViTConfig = ViTConfig(),
        seed: int = 0,
        dtype: Any = "float32",
        device: str = "cpu",
        params: Params | None = None,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        if params is None:
            if not isinstance(dtype, (str, type, np.dtype)) or str(getattr(dtype, "__name__", dtype)) not in DTYPES:
                raise ConfigError(f"a model computes in {' or '.join(DTYPES)}, not {dtype}")
            params = initial_params(config, check_count("seed", seed, least=0), dtype, device)
        elif params.shapes != (shapes := parameter_shapes(config)):
            differ = sorted({*params.shapes.items()} ^ {*shapes.items()})
            raise ConfigError(f"the parameters do not match this config: {differ[0][0]} is missing or differs")
        elif list(params.shapes) != list(shapes):  # which would decide what is next to what in `flat`
            raise ConfigError("the parameters are in another order than this config's: make them with Params.zeros")
        if str(params.flat.dtype) not in DTYPES:
            raise ConfigError(f"a model computes in {' or '.join(DTYPES)}, not {params.flat.dtype}")
        self.config, self.preprocessing, self.params = config, preprocessing, params

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ViT):
            return NotImplemented
        same = self.config == other.config and self.preprocessing == other.preprocessing
        return same and self.params == other.params

    __hash__ = None  # type: ignore[assignment]  # its parameters change

    def __repr__(self) -> str:
        return f"ViT({self.config}, {self.params.flat.size} parameters, {self.dtype}, {self.device})"

    @property
    def dtype(self) -> Any:
        """The dtype of the parameters."""
        return self.params.flat.dtype

    @property
    def device(self) -> str:
        """Where the parameters live: "cpu" or "gpu"."""
        return device_of(self.params.flat)

    def forward(
        self, images: Array, rng: np.random.Generator | None = None, all_tokens: bool = False
    ) -> tuple[Array, ViTCache]:
        """Logits (B, K) and the cache for `backward`.

        images: floats (B, C, Sh, Sw), normalised already, converted to the model's dtype and device. A generator `rng`
        turns the dropouts on. all_tokens: compute the last block's output for all tokens, although the head reads the
        class token only; the cache then holds the attention weights of all tokens in every block
        (`cache.blocks[i].attn.dot.softmax.y`).
        Raises DataTypeError for integers (`predict` scales uint8), DataError for a wrong shape or an empty batch.
        """
        images, masks = self._inputs(images, rng)
        return vit_forward(self.params, images, self.config, masks, all_tokens=all_tokens)

    def _inputs(self, images: Array, rng: np.random.Generator | None) -> tuple[Array, Masks | None]:
        if images.dtype.kind != "f":
            raise DataTypeError(
                f"forward takes normalised floats as they are, not {images.dtype}: "
                "use predict, which scales uint8 images, or minivit.preprocess.normalise"
            )
        if rng is not None and not isinstance(rng, np.random.Generator):
            raise ConfigTypeError(f"rng must be a generator, numpy.random.default_rng(0) for example, not {rng!r}")
        images = to_device(images, self.device).astype(self.dtype, copy=False)
        masks = None if rng is None else draw_masks(self.config, len(images), rng, self.dtype, self.device)
        return images, masks

    def backward(
        self, dlogits: Array, cache: ViTCache, grads: Params | None = None, pixels: bool = True
    ) -> tuple[Params, Array]:
        """The gradient of every parameter and of the images (B, C, Sh, Sw), from dlogits (B, K). A given `grads` is
        filled, every entry exactly once, and returned. With pixels=False, the gradient of the images is not computed
        and is None."""
        return vit_backward(dlogits, cache, grads, pixels)

    def predict(self, images: Any, threads: int = 1) -> np.ndarray:
        """Class probabilities (B, K), on the host, for any number of images in bounded memory. Several threads may call
        it at once.

        threads: the number of worker threads.
        images: host (B, C, Sh, Sw); uint8 are scaled to [0, 1] and normalised by the config, floats are taken as
        they are. Raises DataError or DataTypeError, in one line, for a wrong shape or dtype, an empty batch, or NaN.
        """
        self.config.check_predicts()
        images = check_images(images, self.config)
        with WorkerPool(threads) as pool:
            logits = predict_logits(self.params, images, self.config, pool)
        with errstate(under="ignore"):  # a probability too small for float32 is zero
            return softmax_forward(logits)[0]

    def forward_features(self, images: Array, rng: np.random.Generator | None = None) -> Array:
        """The tokens (B, T, D) after the last LayerNorm, all of them: class token, registers, patches. With norm="pool"
        that LayerNorm comes after the pooling, and the tokens are those behind the last block. Arguments as in
        `forward`."""
        images, masks = self._inputs(images, rng)
        x, _, _ = encoder_forward(self.params, images, self.config, masks, keep_cache=False)
        if self.config.norm == "tokens":
            x, _ = layernorm_forward(x, self.params["norm.weight"], self.params["norm.bias"], self.config.norm_eps)
        return x

    def embed(self, images: Any, threads: int = 1) -> np.ndarray:
        """What the head reads, (B, D) ((B, 2D) with pool="cls+patches"), on the host, for any number of images in
        bounded memory; of a model whose head gives an embedding, CLIP's for example, that embedding. Arguments and
        errors as in `predict`."""
        config = self.config
        if not config.embedding:
            config = dataclasses.replace(config, classes=None, class_names=None, head_hidden=None)
        with WorkerPool(threads) as pool:
            return predict_logits(self.params, check_images(images, self.config), config, pool)

    def with_flat(self, flat: Array) -> "ViT":
        """The same model with the parameters `flat`, a vector like `params.flat`, which is not copied."""
        params = Params(self.params.shapes, flat)
        return ViT(self.config, params=params, preprocessing=self.preprocessing)

    def resized(self, image_size: int | tuple[int, int], dialect: str | None = None) -> "ViT":
        """The same model for images of another size: a side or (Sh, Sw), in pixels. Learned positions are interpolated
        once, by `dialect` or, for None, by the config's `resize`; the new config records it. Pictures are prepared for
        the new size. Raises ConfigError for a size that the patches do not divide, and for an unknown dialect."""
        params, config = resize_model(self.params, self.config, image_size, dialect)
        made = self.preprocessing and self.preprocessing.resized(config.image_shape[1:])
        return ViT(config, params=params, preprocessing=made)

    def save(self, path: str | Path) -> None:
        """Write the model to a safetensors file, atomically, with its config and preprocessing. The same model gives
        the same bytes."""
        save_model(path, self.params, self.config, self.preprocessing)

    @classmethod
    def load(
        cls,
        path: str | Path,
        dtype: str | None = None,
        device: str = "cpu",
        image_size: int | tuple[int, int] | None = None,
        resize: str | None = None,
        *,
        gelu: str | None = None,
        norm_eps: float | None = None,
        heads: int | None = None,
        pixels: str | None = None,
    ) -> "ViT":
        """Read a model that `save` wrote, or one of another library: a safetensors file or a folder as timm, Hugging
        Face's transformers, open_clip and Meta's DINOv2 and MAE lay them out, or a .npz file of Google's.

        dtype: "float32" or "float64"; None: as it was saved, float32 for other libraries' files.
        image_size: a side, or height and width, to which learned positions are resized; resize: how, one of
        `minivit.ops.resize.DIALECTS`, None: as the library does that wrote the file.
        gelu, norm_eps, heads: ViTConfig's fields, pixels: the normalisation, "imagenet", "clip", "half" or "none": only
        for files that do not tell these.
        Raises CheckpointError, in one line, for files that cannot be read, are damaged, or hold a structure that
        minivit does not have; ConfigError for what has to be said beside the file.
        """
        if dtype is not None and dtype not in DTYPES:
            raise ConfigError(f"a model computes in {' or '.join(DTYPES)}, not {dtype}")
        answers = Answers(image_size, resize, gelu, norm_eps, heads, pixels)
        params, config, preprocessing = load_weights(path, dtype, answers)
        return cls(config, params=params.to(device), preprocessing=preprocessing)
