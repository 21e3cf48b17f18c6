"""A model as an ONNX file, which other programs run: pixels in, logits and probabilities out.

The operators are those of opset 17, which most runtimes know. Weights are (in, out), as MatMul takes them.
"""

import dataclasses
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import write_atomically
from ..backend import to_host
from ..config import ViTConfig
from ..embedding import embed_forward
from ..errors import ConfigError, MissingPackageError
from ..ops.normal_cdf import QUICK_LINEAR, TANH_CUBIC, TANH_LINEAR
from ..params import Params
from ..preprocess.arrays import pixel_scale_and_shift
from ..settings import check_choice

OPSET, IR_VERSION = 17, 8  # of 2022: LayerNormalization is an operator since then
PIXELS = ("uint8", "float32")
LARGEST = 2**31 - 2**20  # bytes of parameters: protobuf ends at 2 GiB, and the graph itself needs a little


def export_onnx(model: Any, path: str | Path, pixels: str = "uint8") -> None:
    """Write a ViT to an ONNX file, atomically, in float32. The same model gives the same bytes.

    The graph's input `images` (batch, C, Sh, Sw) holds pixels of 0..255, of the dtype `pixels`: "uint8" or "float32";
    they are scaled and normalised inside. Its outputs are `logits` and `probabilities` (batch, K); those of a model
    without a head of classes are `features` (batch, D), as `ViT.embed` returns them. Only the batch is free. The
    metadata are

    class_names      JSON: a name for each class; only where there is a head
    image_size       JSON: [Sh, Sw]
    preprocessing    JSON: how a picture becomes pixels, the fields of `Preprocessing`; null if that is unknown
    weights_sha256   that of the bytes of `model.params.flat`

    Raises MissingPackageError without the package onnx, ConfigError for other pixels and for more than 2 GiB.
    """
    check_choice("pixels", pixels, PIXELS)
    config, params = model.config, model.params.to("cpu")
    if 4 * params.flat.size > LARGEST:
        raise ConfigError(
            f"the parameters take {4 * params.flat.size / 2**30:.1f} GiB in float32, and an ONNX file holds 2 GiB: "
            "export a smaller model"
        )
    graph = _Graph(params if params.flat.dtype == np.float32 else params.astype("float32"))
    x = _embedding(graph, config, pixels)
    for i in range(config.depth):
        x = _block(graph, x, f"blocks.{i}", config)
    x = _pooled(graph, x, config)
    if config.classes is not None:
        x = _linear(graph, x, "head") if config.head_hidden is None else _mlp(graph, x, "head", config.gelu)
    if not config.predicts:
        outputs = {graph.node("Identity", x, name="features"): config.classes or config.features}
    else:
        logits = graph.node("Identity", x, name="logits")
        probabilities = graph.node("Softmax", logits, name="probabilities", axis=-1)
        outputs = {logits: config.classes, probabilities: config.classes}
    made = graph.model((pixels, config.image_shape), outputs, _metadata(model))
    write_atomically(path, made.SerializeToString())


def _metadata(model: Any) -> dict[str, str]:
    config, made = model.config, model.preprocessing
    values: dict[str, Any] = {"image_size": config.image_shape[1:], "preprocessing": made and made.to_dict()}
    if config.predicts:
        values["class_names"] = [config.class_name(k) for k in range(config.classes)]
    digest = hashlib.sha256(to_host(model.params.flat)).hexdigest()
    return {**{name: json.dumps(value) for name, value in values.items()}, "weights_sha256": digest}


class _Graph:
    """A graph that grows: its nodes, in the order in which they are computed, and its constants. Each method returns
    the name of the value that it added."""

    def __init__(self, params: Params) -> None:
        try:
            import onnx
            import onnx.numpy_helper
        except ImportError:
            raise MissingPackageError(
                'writing ONNX needs the package onnx, which is not installed: pip install "minivit[onnx]"'
            ) from None
        self.onnx: Any = onnx
        self.params = params
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}

    def node(self, operator: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """What an operator makes of its inputs, called `name`, or by the operator and a number."""
        name = f"{operator}_{len(self.nodes)}" if name is None else name
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def thirds(self, x: str) -> list[str]:
        """The last axis in three equal parts."""
        name = f"Split_{len(self.nodes)}"
        parts = [f"{name}_{part}" for part in "qkv"]
        self.nodes.append(self.onnx.helper.make_node("Split", [x], parts, name, axis=-1))
        return parts

    def reshape(self, x: str, *shape: int) -> str:
        """x in another shape, where 0 stands for the batch."""
        return self.node("Reshape", x, self.constant(shape, "int64"))

    def param(self, name: str) -> str:
        """A parameter of the model."""
        self.constants[name] = self.params[name]
        return name

    def constant(self, value: Any, dtype: str = "float32") -> str:
        """A number or an array. Equal ones are written once."""
        array = np.asarray(value, dtype)
        for name, other in self.constants.items():
            if name not in self.params and other.dtype == dtype and np.array_equal(other, array):
                return name
        name = f"constant_{len(self.constants)}"
        self.constants[name] = array
        return name

    def model(self, images: tuple[str, tuple[int, ...]], outputs: dict[str, int], metadata: dict[str, str]) -> Any:
        """All of it as an ONNX model. images: their dtype and shape; outputs: their names and widths."""
        helper, numpy_helper = self.onnx.helper, self.onnx.numpy_helper
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(images[0]))
        taken = helper.make_tensor_value_info("images", kind, ["batch", *images[1]])
        float32 = self.onnx.TensorProto.FLOAT
        given = [helper.make_tensor_value_info(name, float32, ["batch", width]) for name, width in outputs.items()]
        tensors = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        made = helper.make_model(
            helper.make_graph(self.nodes, "ViT", [taken], given, tensors),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="minivit",
            doc_string="images: pixels of 0..255, of pictures resized as the metadata's preprocessing says",
        )
        helper.set_model_props(made, metadata)
        return made


# The model, as embedding.py, model.py and ops/ compute it, on names in place of arrays.


def _embedding(graph: _Graph, config: ViTConfig, pixels: str) -> str:
    """From the graph's input to the tokens (batch, T, D) that the first block reads."""
    (C, Sh, Sw), (h, w), P = config.image_shape, config.grid, config.patch_size
    x = graph.node("Cast", "images", to=graph.onnx.TensorProto.FLOAT) if pixels == "uint8" else "images"
    scale, shift = pixel_scale_and_shift(config, "float32")
    x = graph.node("Sub", graph.node("Mul", x, graph.constant(scale)), graph.constant(shift))
    x = graph.node("Transpose", graph.reshape(x, 0, C, h, P, w, P), perm=(0, 2, 4, 1, 3, 5))
    x = graph.node("MatMul", graph.reshape(x, 0, h * w, C * P * P), graph.param("patch_embed.proj.weight"))
    if config.prefix:  # zeros where the class token and the registers will be
        x = graph.node("Pad", x, graph.constant((0, config.prefix, 0, 0, 0, 0), "int64"))
    # What remains to be added is constant (bias, positions, class token, registers): what zeros are embedded as.
    plain = dataclasses.replace(config, pre_norm=False)
    constant, _ = embed_forward(graph.params, np.zeros((1, C, Sh, Sw), "float32"), plain)
    x = graph.node("Add", x, graph.constant(constant))
    return _layernorm(graph, x, "norm_pre", config) if config.pre_norm else x


def _block(graph: _Graph, x: str, name: str, config: ViTConfig) -> str:
    branch = _attention(graph, _layernorm(graph, x, f"{name}.norm1", config), f"{name}.attn", config)
    x = graph.node("Add", x, _scaled(graph, branch, f"{name}.ls1.gamma"))
    branch = _mlp(graph, _layernorm(graph, x, f"{name}.norm2", config), f"{name}.mlp", config.gelu)
    return graph.node("Add", x, _scaled(graph, branch, f"{name}.ls2.gamma"))


def _attention(graph: _Graph, x: str, name: str, config: ViTConfig) -> str:
    T, D, H = config.tokens, config.dim, config.heads
    q, k, v = (graph.reshape(part, 0, T, H, D // H) for part in graph.thirds(_linear(graph, x, f"{name}.qkv")))
    q, v = (graph.node("Transpose", part, perm=(0, 2, 1, 3)) for part in (q, v))  # (batch, H, T, Dh)
    k = graph.node("Transpose", k, perm=(0, 2, 3, 1))  # (batch, H, Dh, T)
    scores = graph.node("Mul", graph.node("MatMul", q, k), graph.constant(1 / math.sqrt(D // H)))
    y = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), v)
    y = graph.reshape(graph.node("Transpose", y, perm=(0, 2, 1, 3)), 0, T, D)
    return _linear(graph, y, f"{name}.proj")


def _mlp(graph: _Graph, x: str, name: str, gelu: str) -> str:
    return _linear(graph, _gelu(graph, _linear(graph, x, f"{name}.fc1"), gelu), f"{name}.fc2")


def _gelu(graph: _Graph, x: str, form: str) -> str:
    if form == "quick":
        return graph.node("Mul", x, graph.node("Sigmoid", graph.node("Mul", x, graph.constant(QUICK_LINEAR))))
    if form == "erf":
        odd = graph.node("Erf", graph.node("Div", x, graph.constant(math.sqrt(2))))
    else:
        slope = graph.node("Mul", graph.node("Mul", x, x), graph.constant(TANH_CUBIC / 2))
        slope = graph.node("Add", slope, graph.constant(TANH_LINEAR / 2))
        odd = graph.node("Tanh", graph.node("Mul", x, slope))
    doubled = graph.node("Mul", x, graph.node("Add", odd, graph.constant(1)))
    return graph.node("Mul", doubled, graph.constant(0.5))


def _pooled(graph: _Graph, x: str, config: ViTConfig) -> str:
    """From tokens (batch, T, D) to what the head reads, (batch, D) or (batch, 2D)."""
    if config.norm == "tokens":
        x = _layernorm(graph, x, "norm", config)
    parts = []
    if config.reads_class_token:
        parts.append(graph.node("Gather", x, graph.constant(0, "int64"), axis=1))
    if config.pool != "cls":
        if config.pool != "mean" and config.prefix:
            ends = (graph.constant([place], "int64") for place in (config.prefix, config.tokens, 1))  # and the axis
            x = graph.node("Slice", x, *ends)
        parts.append(graph.node("ReduceMean", x, axes=[1], keepdims=0))
    x = parts[0] if len(parts) == 1 else graph.node("Concat", *parts, axis=-1)
    return x if config.norm == "tokens" else _layernorm(graph, x, "fc_norm", config)


def _layernorm(graph: _Graph, x: str, name: str, config: ViTConfig) -> str:
    gamma, beta = graph.param(f"{name}.weight"), graph.param(f"{name}.bias")
    return graph.node("LayerNormalization", x, gamma, beta, axis=-1, epsilon=config.norm_eps)


def _linear(graph: _Graph, x: str, name: str) -> str:
    y, bias = graph.node("MatMul", x, graph.param(f"{name}.weight")), f"{name}.bias"
    return graph.node("Add", y, graph.param(bias)) if bias in graph.params else y


def _scaled(graph: _Graph, x: str, name: str) -> str:
    return graph.node("Mul", x, graph.param(name)) if name in graph.params else x
