"""A family's table: for each parameter of ours the tensor that holds it in somebody else's file, and how the one is
rearranged into the other. The rearrangement is an einops pattern; read backwards, it exports the parameter."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from einops import rearrange

from ..config import ViTConfig

VECTOR = "d -> d"
LINEAR = "o i -> i o"  # torch stores the weight of a linear layer as (out, in)
AS_OURS = "i o -> i o"
CONVOLUTION = "d c p q -> (c p q) d"  # the patch embedding as torch's convolution, (D, C, P, P)
TOKENS = "1 n d -> 1 n d"  # positions, class token, registers

AXES = re.compile(r"\([^)]*\)|\S+")


class Row(NamedTuple):
    """One of our parameters and the tensor that holds it.

    ours, theirs: names, with {i} for the number of a block; `theirs` follows the family's prefix or, with a leading
    slash, stands at the root of the file. form: an einops pattern, from their axes to ours. part: where queries, keys
    and values are tensors of their own, which third of our last axis this is, 0, 1 or 2; None: all of it.
    """

    ours: str
    theirs: str
    form: str
    part: int | None = None


class Family(NamedTuple):
    """How a library lays out a ViT in a file. Names in it may have {i} for the number of a block.

    name: what messages call it. rows: its table; the first row is the weight of the patch embedding, by which a file is
    recognised. marks: tensors that must be there as well, behind the prefix; absent: tensors that must not be.
    prefixes: what may stand in front of the names; wrappers: what may stand in front of that, repeatedly.
    settings: ViTConfig's fields that the library's code fixes. pixels: the normalisation that it fixes, in PIXELS.
    heads: {width: heads} that it fixes; head_width: the width of a head that it fixes.
    zeros: parameters of ours that the layout lacks, and that are zero. before_head: a layer between the pooling and the
    head that minivit does not have: where it is, the model is loaded without its head.
    unused: tensors that may be left over, by full name, behind the prefix or with a slash at the root.
    renamed: (pattern, replacement), other spellings of the names, made into the table's.
    frame: how its own code makes pictures: rule, short edge in image sides, interpolation.
    resize: how the library resizes positions. licence: one that forbids uses. embedding: its head gives an embedding.
    """

    name: str
    rows: tuple[Row, ...]
    marks: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ("",)
    wrappers: tuple[str, ...] = ("module.", "_orig_mod.", "model.", "backbone.")
    settings: Mapping[str, object] = {}
    pixels: str | None = None
    heads: Mapping[int, int] = {}
    head_width: int | None = None
    zeros: tuple[str, ...] = ()
    before_head: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    frame: tuple[str, float, str] | None = None
    resize: str = "bicubic-antialias"
    licence: str | None = None
    embedding: bool = False


def pair(ours: str, theirs: str, form: str = VECTOR) -> tuple[Row, Row]:
    """The rows of a weight and its bias, which both sides call so."""
    return Row(f"{ours}.weight", f"{theirs}.weight", form), Row(f"{ours}.bias", f"{theirs}.bias", VECTOR)


def blocks_of(rows: tuple[Row, ...], depth: int) -> list[Row]:
    """The rows of a model with this many blocks, with the number of a block in place of {i}."""
    written: list[Row] = []
    for row in rows:
        numbers = range(depth) if "{i}" in row.ours else range(1)
        written += [row._replace(ours=row.ours.format(i=i), theirs=row.theirs.format(i=i)) for i in numbers]
    return written


def axes(form: str, shape: tuple[int, ...]) -> dict[str, int] | None:
    """The sizes of the axes that a pattern starts from, of a tensor of this shape; None for another number of axes."""
    names = form.split(" -> ")[0].split()
    return dict(zip(names, shape)) if len(names) == len(shape) else None


def their_shape(form: str, shape: tuple[int, ...], config: ViTConfig) -> tuple[int, ...]:
    """The shape of their tensor, from that of our parameter or of its third."""
    left, right = form.split(" -> ")
    sizes = {"1": 1, **_known(config), **dict(zip(AXES.findall(right), shape))}
    return tuple(sizes[name] for name in left.split())


def third(value: np.ndarray, part: int | None) -> np.ndarray:
    """The part of our parameter that a row stands for, a view."""
    if part is None:
        return value
    width = value.shape[-1] // 3
    return value[..., part * width : (part + 1) * width]


def inward(tensor: np.ndarray, form: str, config: ViTConfig) -> np.ndarray:
    """Their tensor, rearranged into our parameter or its third."""
    return rearrange(tensor, form, **_split_axes(form, config))


def outward(value: np.ndarray, form: str, config: ViTConfig) -> np.ndarray:
    """Our parameter or its third, rearranged into their tensor: the pattern read backwards."""
    left, right = form.split(" -> ")
    return rearrange(value, f"{right} -> {left}", **_split_axes(form, config))


def _known(config: ViTConfig) -> dict[str, int]:
    P, H = config.patch_size, config.heads
    return {"c": config.channels, "p": P, "q": P, "h": H, "e": config.dim // H}


def _split_axes(form: str, config: ViTConfig) -> dict[str, int]:
    """The sizes of the axes that one of ours is made of, "(c p q)" for example."""
    grouped = " ".join(group[1:-1] for group in AXES.findall(form) if group.startswith("(")).split()
    return {name: size for name, size in _known(config).items() if name in grouped}
