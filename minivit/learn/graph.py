"""The tensors of a model between the image and its output, in the order in which the forward pass computes them, and
the lines of the passes after which each of them, and its gradient, can be read."""

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import embedding, model
from ..config import ViTConfig
from ..ops import attention, block, layernorm, mlp, patches
from . import operations as op
from .lines import Line
from .operations import Operation


class Site(NamedTuple):
    """Where a tensor is read while a pass runs: after this line, from this variable."""

    line: Line
    variable: str


class Node(NamedTuple):
    """A tensor that is computed: by which operation, from what, and where its value and its gradient are read."""

    name: str
    operation: Operation
    inputs: tuple[str, ...]
    value: Site
    gradient: Site | None  # None: in front of fixed positions, and of the output


def _in(function: Callable[..., Any], variable: str, begins: str) -> Site:
    return Site(Line(function, begins), variable)


VALUES = {
    "patches": _in(patches.patch_embed_forward, "patches", "patches = "),
    "embedded": _in(embedding.embed_forward, "x", "x, patches = "),
    "with_class_token": _in(embedding.embed_forward, "x", "x, _ = class_token_forward"),
    "with_positions": _in(embedding.embed_forward, "x", "x, _ = add_positions_forward"),
    "with_registers": _in(embedding.embed_forward, "x", "x, registers = "),
    "pre_normed": _in(embedding.embed_forward, "x", "x, norm = "),
    "xhat": _in(layernorm.layernorm_forward, "xhat", "xhat *= rstd"),
    "normed1": _in(block.block_forward, "normed", "normed, norm1_cache = "),
    "qkv": _in(attention.attention_forward, "qkv", "qkv, qkv_cache = "),
    "q": _in(attention.attention_forward, "q", "q, k, v = "),
    "k": _in(attention.attention_forward, "k", "q, k, v = "),
    "v": _in(attention.attention_forward, "v", "q, k, v = "),
    "scores": _in(attention.dot_product_forward, "scores", "scores *= "),
    "attn": _in(attention.dot_product_forward, "attn", "attn, softmax = "),
    "attended": _in(attention.attention_forward, "y", "y, dot = "),
    "joined": _in(attention.attention_forward, "joined", "joined = "),
    "attn_out": _in(block.block_forward, "branch", "branch, attn_cache = "),
    "attn_scaled": _in(block.block_forward, "branch", "branch, scale1 = "),
    "h": _in(block.block_forward, "h", "h += x"),
    "normed2": _in(block.block_forward, "normed", "normed, norm2_cache = "),
    "hidden": _in(mlp.mlp_forward, "hidden", "hidden, fc1 = "),
    "active": _in(mlp.mlp_forward, "active", "active, gelu_cache = "),
    "mlp_out": _in(block.block_forward, "branch", "branch, mlp_cache = "),
    "mlp_scaled": _in(block.block_forward, "branch", "branch, scale2 = "),
    "out": _in(block.block_forward, "y", "y += h"),
    "normed": _in(model.vit_forward, "x", "x, norm = "),
    "pooled": _in(model.vit_forward, "x", "x, pool = "),
    "logits": _in(model.vit_forward, "x", "x, head = head_forward(params, x"),
}
GRADIENTS = {  # of what is named, or of what goes into that
    "patches": _in(patches.patch_embed_backward, "dpatches", "dpatches, dW, db = "),
    "into with_class_token": _in(embedding.embed_backward, "dx", "dx, *dtoken = "),
    "into with_positions": _in(embedding.embed_backward, "dx", "dx, *dpos = "),
    "into with_registers": _in(embedding.embed_backward, "dx", "dx, *dregisters = "),
    "into pre_normed": _in(embedding.embed_backward, "dx", "dx, *dnorm = "),
    "into a block": _in(block.block_backward, "dx", "first += dh"),
    "xhat": _in(layernorm.layernorm_backward, "u", "u = "),
    "normed1": _in(block.block_backward, "dnormed", "dnormed, *dattn = "),
    "qkv": _in(attention.attention_backward, "dqkv", "dot_product_backward(dheads"),
    "q": _in(attention.dot_product_backward, "dq", "xp.matmul(dscores, k"),
    "k": _in(attention.dot_product_backward, "dk", "xp.matmul(dscores.swap"),
    "v": _in(attention.dot_product_backward, "dv", "xp.matmul(dropped.swap"),
    "scores": _in(attention.dot_product_backward, "dscores", "dscores = "),
    "attn": _in(attention.dot_product_backward, "ddropped", "ddropped = "),
    "attended": _in(attention.attention_backward, "dheads", "dheads = "),
    "joined": _in(attention.attention_backward, "djoined", "djoined, dWproj"),
    "attn_out": _in(block.block_backward, "dbranch", "dbranch, dscale1 = "),
    "attn_scaled": _in(block.block_backward, "dbranch", "dbranch = dropout_backward(dh"),
    "h": _in(block.block_backward, "dh", "dh += dy"),
    "normed2": _in(block.block_backward, "dnormed", "dnormed, *dmlp = "),
    "hidden": _in(mlp.mlp_backward, "dhidden", "dhidden = "),
    "active": _in(mlp.mlp_backward, "dactive", "dactive, dW2"),
    "mlp_out": _in(block.block_backward, "dbranch", "dbranch, dscale2 = "),
    "mlp_scaled": _in(block.block_backward, "dbranch", "dbranch = dropout_backward(dy"),
    "into normed": _in(model.vit_backward, "dx", "dx, *dnorm = "),
    "into pooled": _in(model.vit_backward, "dx", "dx = pool_backward"),
    "into logits": _in(model.vit_backward, "dx", "dx = head_backward"),
}
SITES = tuple(dict.fromkeys([*VALUES.values(), *GRADIENTS.values()]))


def graph(config: ViTConfig) -> list[Node]:
    """The nodes from the image to the model's output: logits, or what a head would read. Parameters have their names in
    the model; `blocks.2.attn.scores` is of the third block."""
    nodes = _Nodes(config)
    nodes.embedding()
    for i in range(config.depth):
        nodes.block(i)
    nodes.head()
    return nodes.nodes


class _Nodes:
    """Adds one node after the other; each is read from the last one, unless its inputs are given."""

    def __init__(self, config: ViTConfig) -> None:
        self.config = config
        self.nodes: list[Node] = []
        self.last = "image"

    def add(
        self,
        name: str,
        operation: Operation,
        parameters: tuple[str, ...] = (),
        inputs: tuple[str, ...] = (),
    ) -> str:
        key = name.rpartition(".")[2]
        made = (*(inputs or (self.last,)), *parameters)
        self.nodes.append(Node(name, operation, made, VALUES[key], GRADIENTS.get(key)))
        self.last = name
        return name

    def read_at(self, site: str) -> None:
        """The gradient of the last node is read where the operation after it has computed it."""
        self.nodes[-1] = self.nodes[-1]._replace(gradient=GRADIENTS[site])

    def linear(self, name: str, parameters: str, has_bias: bool = True) -> None:
        names = (f"{parameters}.weight", f"{parameters}.bias")[: 1 + has_bias]
        self.add(name, op.linear_layer(has_bias), names)

    def layernorm(self, name: str, parameters: str) -> None:
        self.add(f"{parameters}.xhat", op.NORMALISE)
        self.add(name, op.SCALE_AND_SHIFT, (f"{parameters}.weight", f"{parameters}.bias"))

    def embedding(self) -> None:
        config = self.config
        self.add("patches", op.patchify(config.patch_size))
        self.linear("embedded", "patch_embed.proj")
        if config.has_class_token:
            self.read_at("into with_class_token")
            self.add("with_class_token", op.CLASS_TOKEN, ("cls_token",))
        if config.positions != "none":
            learned = config.positions == "learned"
            if learned:
                self.read_at("into with_positions")
            self.add(
                "with_positions",
                op.LEARNED_POSITIONS if learned else op.FIXED_POSITIONS,
                ("pos_embed",) if learned else (),
            )
        if config.registers:
            self.read_at("into with_registers")
            self.add("with_registers", op.REGISTERS, ("reg_token",))
        if config.pre_norm:
            self.read_at("into pre_normed")
            self.layernorm("pre_normed", "norm_pre")

    def block(self, i: int) -> None:
        config, x, at = self.config, self.last, f"blocks.{i}."
        self.read_at("into a block")
        self.layernorm(at + "normed1", at + "norm1")
        self.linear(at + "attn.qkv", at + "attn.qkv", config.qkv_bias)
        qkv = self.last
        q, k, v = (self.add(f"{at}attn.{name}", op.split_heads(part), inputs=(qkv,)) for part, name in enumerate("qkv"))
        self.add(at + "attn.scores", op.SCORES, inputs=(q, k))
        attn = self.add(at + "attn.attn", op.SOFTMAX)
        self.add(at + "attn.attended", op.ATTENDED, inputs=(attn, v))
        self.add(at + "attn.joined", op.JOIN_HEADS)
        self.linear(at + "attn_out", at + "attn.proj")
        self.scale(at + "attn_scaled", at + "ls1.gamma")
        h = self.add(at + "h", op.ADD_ATTENTION, inputs=(x, self.last))
        self.layernorm(at + "normed2", at + "norm2")
        self.linear(at + "mlp.hidden", at + "mlp.fc1")
        self.add(at + "mlp.active", op.gelu_of(config.gelu))
        self.linear(at + "mlp_out", at + "mlp.fc2")
        self.scale(at + "mlp_scaled", at + "ls2.gamma")
        self.add(at + "out", op.ADD_MLP, inputs=(h, self.last))

    def scale(self, name: str, gamma: str) -> None:
        if self.config.layer_scale is not None:
            self.add(name, op.LAYER_SCALE, (gamma,))

    def head(self) -> None:
        config = self.config

        def norm() -> None:
            self.read_at("into normed")
            self.layernorm("normed", "norm" if config.norm == "tokens" else "fc_norm")

        def pool() -> None:
            self.read_at("into pooled")
            self.add("pooled", op.pooling(config.pool))

        for part in (norm, pool) if config.norm == "tokens" else (pool, norm):
            part()
        if config.head_hidden is not None:
            self.read_at("into logits")
            self.linear("head.hidden", "head.fc1")
            self.add("head.active", op.gelu_of(config.gelu))
            self.linear("logits", "head.fc2")
        elif config.classes is not None:
            self.read_at("into logits")
            self.linear("logits", "head")
