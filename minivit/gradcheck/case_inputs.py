"""Inputs for the cases of the table: sizes, and a function that draws the tensors of each operation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import ops

Draw = Callable[..., np.ndarray]  # draw(2, 3): a (2, 3) array of standard normal numbers, float64


class Sizes(NamedTuple):
    """The sizes of a case: in no case are two alike, and none is 1, so that no axis can pass for another."""

    B: int = 2  # images
    T: int = 5  # tokens
    D: int = 12  # width
    H: int = 3  # heads, 4 wide
    F: int = 7  # hidden width
    K: int = 6  # classes
    C: int = 4  # channels
    P: int = 3  # patch side
    Sh: int = 15  # image height
    Sw: int = 6  # image width


NORMAL = Sizes()
TINY = Sizes(B=4, T=5, D=6, H=2, F=7, K=8, C=3, P=2, Sh=8, Sw=10)


def masked(draw: Draw, *shape: int) -> np.ndarray:
    """A dropout mask: 0 for about a third of the entries, 1.5 for the others, and both if there are two."""
    mask = (draw(*shape) > -0.43) * 1.5
    if mask.size > 1:
        mask.flat[:2] = 0, 1.5
    return mask


def weight(draw: Draw, fan_in: int, fan_out: int) -> np.ndarray:
    """A weight matrix that keeps the size of what it multiplies."""
    return draw(fan_in, fan_out) / fan_in**0.5


def probabilities(draw: Draw, *shape: int) -> np.ndarray:
    """Rows that are positive and sum to 1."""
    p = np.exp(draw(*shape))
    return p / p.sum(-1, keepdims=True)


def linear_inputs(draw: Draw, s: Sizes, bias: bool = True) -> dict[str, Any]:
    return {"x": draw(s.B, s.T, s.D), "W": weight(draw, s.D, s.F), "b": draw(s.F) if bias else None}


def layernorm_inputs(draw: Draw, s: Sizes) -> dict[str, Any]:
    return {"x": 3 + 2 * draw(s.B, s.T, s.D), "gamma": 1 + 0.5 * draw(s.D), "beta": draw(s.D)}


def attention_inputs(
    draw: Draw, s: Sizes, bias: bool = True, mask: bool = False, queries: int | None = None
) -> dict[str, Any]:
    queries = queries and min(queries, s.T)
    return {
        "x": draw(s.B, s.T, s.D),
        "Wqkv": weight(draw, s.D, 3 * s.D),
        "bqkv": draw(3 * s.D) if bias else None,
        "Wproj": weight(draw, s.D, s.D),
        "bproj": draw(s.D),
        "heads": s.H,
        "mask": masked(draw, s.B, s.H, queries or s.T, s.T) if mask else None,
        "queries": queries,
    }


def dot_product_inputs(draw: Draw, s: Sizes, mask: bool = False) -> dict[str, Any]:
    q, k, v = (draw(s.B, s.H, s.T, s.D // s.H) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "mask": masked(draw, s.B, s.H, s.T, s.T) if mask else None}


def mlp_inputs(draw: Draw, s: Sizes, gelu: str = "erf") -> dict[str, Any]:
    W1, W2 = weight(draw, s.D, s.F), weight(draw, s.F, s.K)
    return {"x": draw(s.B, s.T, s.D), "W1": W1, "b1": draw(s.F), "W2": W2, "b2": draw(s.K), "gelu": gelu}


def patch_embed_inputs(draw: Draw, s: Sizes) -> dict[str, Any]:
    images = draw(s.B, s.C, s.Sh, s.Sw)
    return {"images": images, "W": weight(draw, s.C * s.P * s.P, s.D), "b": draw(s.D), "patch_size": s.P}


def block_inputs(
    draw: Draw, s: Sizes, masks: tuple[str, ...] = (), bias: bool = True, scales: bool = False, **settings: Any
) -> dict[str, Any]:
    queries = settings.get("queries")
    settings = {"gelu": "erf"} | settings | {"queries": queries and min(queries, s.T)}
    shapes = {"attn": (s.B, s.H, s.T, s.T), "features": (s.B, s.T, s.D), "images": (s.B, 1, 1)}
    drawn = [masked(draw, *shapes[mask]) for mask in masks]
    return {
        "x": draw(s.B, s.T, s.D),
        "gamma1": 1 + 0.5 * draw(s.D),
        "beta1": draw(s.D),
        **dict(list(attention_inputs(draw, s, bias).items())[1:5]),
        "gamma2": 1 + 0.5 * draw(s.D),
        "beta2": draw(s.D),
        "W1": weight(draw, s.D, s.F),
        "b1": draw(s.F),
        "W2": weight(draw, s.F, s.D),
        "b2": draw(s.D),
        "heads": s.H,
        "masks": ops.BlockMasks(*drawn),
        **settings,
        **({"gamma3": 1 + 0.5 * draw(s.D), "gamma4": 1 + 0.5 * draw(s.D)} if scales else {}),
    }


def block_of_tensors(**given: Any) -> tuple[Any, Any]:
    """`ops.block_forward`, its tensors one by one; gamma3 and gamma4 are LayerScale's."""

    def take(names: str) -> tuple[Any, ...]:
        return tuple(given.pop(name, None) for name in names.split())

    (x,), norm1, attn = take("x"), take("gamma1 beta1"), take("Wqkv bqkv Wproj bproj")
    norm2, mlp, scales = take("gamma2 beta2"), take("W1 b1 W2 b2"), take("gamma3 gamma4")
    return ops.block_forward(x, norm1, attn, norm2, mlp, scales=scales, **given)


def pool_inputs(draw: Draw, s: Sizes, pool: str) -> dict[str, Any]:
    return {"x": draw(s.B, s.T, s.D), "pool": pool, "prefix": min(2, s.T - 1)}


def cross_entropy_inputs(draw: Draw, s: Sizes, labels: str = "classes", label_smoothing: float = 0.0) -> dict[str, Any]:
    classes = (3 * np.arange(s.B) + 1) % s.K
    return {
        "logits": 2 * draw(s.B, s.K),
        "labels": classes if labels == "classes" else probabilities(draw, s.B, s.K),
        "label_smoothing": label_smoothing,
    }


def one_tensor(*axes: str, size: float = 1.0, **others: Any) -> Callable[[Draw, Sizes], dict[str, Any]]:
    """Inputs of one tensor x with these axes, and other arguments."""
    return lambda draw, s: {"x": size * draw(*(getattr(s, axis) for axis in axes)), **others}
