"""The layers of a model, counted from its input. Transfer learning counts them: the first ones are frozen, or learn at
lower rates."""

import math

from .config import ViTConfig
from .params import Params


def layer_of(name: str, depth: int) -> int:
    """The layer that a parameter belongs to: 0 is what stands in front of the blocks (patch embedding, class token,
    registers, positions, `norm_pre`), i + 1 block i, depth + 1 the last LayerNorm, depth + 2 the head."""
    first, *rest = name.split(".")
    if first == "blocks":
        return int(rest[0]) + 1
    return {"norm": depth + 1, "fc_norm": depth + 1, "head": depth + 2}.get(first, 0)


def trained(params: Params, config: ViTConfig, frozen: int) -> Params:
    """The parameters behind the first `frozen` layers, as views of the same vector: its end, because parameters are in
    the order of the architecture."""
    if not frozen:
        return params
    shapes = {name: shape for name, shape in params.shapes.items() if layer_of(name, config.depth) >= frozen}
    size = sum(map(math.prod, shapes.values()))
    return Params(shapes, params.flat[params.flat.size - size :])
