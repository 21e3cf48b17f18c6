"""The layers of a model, counted from its input. Transfer learning counts them: the first ones are frozen, or learn at
lower rates."""

import math
from collections.abc import Iterable, Mapping

from .config import ViTConfig
from .counted import counted
from .muon import Matrices
from .params import Params
from .settings import check


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


def frozen_layers(freeze: int | str | None, config: ViTConfig) -> int:
    """How many layers stay as they are: the first one and `freeze` blocks; all but the head for "all"; none for None.
    Raises ConfigError for more blocks than the model has."""
    if freeze is None:
        return 0
    if isinstance(freeze, str):
        return config.depth + 2
    check(
        freeze <= config.depth,
        f"freeze is {freeze}, but the model has {counted(config.depth, 'block')}: freeze fewer, or all",
    )
    return freeze + 1


def layer_rates(names: Iterable[str], depth: int, decay: float) -> dict[str, float]:
    """The learning rate of each parameter relative to the head's: decay^(depth + 1 - layer), where the last LayerNorm
    and the head count as one layer, depth + 1.

    Clark et al. 2020 (arXiv:2003.10555) for text; Bao et al. 2021 (arXiv:2106.08254) for Vision Transformers.
    """
    return {name: decay ** max(0, depth + 1 - layer_of(name, depth)) for name in names}


def block_matrices(shapes: Mapping[str, tuple[int, ...]], rates: Mapping[str, float]) -> list[Matrices]:
    """The weight matrices of the blocks in the flat vector, queries, keys and values as three; rates: the relative
    learning rate of each parameter by name."""
    found, start = [], 0
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        if name.startswith("blocks.") and len(shape) == 2:
            count = 3 if name.endswith("qkv.weight") else 1
            found.append(Matrices(slice(start, stop), shape[0], count, shape[1] // count, rates[name]))
        start = stop
    return found
