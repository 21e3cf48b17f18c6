"""Whose layout a file of weights has, and the structure of its model, read from the names and shapes of its tensors."""

import math
import re
from typing import Any, NamedTuple

from ..errors import CheckpointError
from . import google, huggingface, openclip, timm
from .files import TensorFile
from .refused import refused_tensors
from .table import Family, Row, axes, blocks_of

FAMILIES = (
    timm.MAE,
    timm.DINOV2,
    timm.TOWER,
    timm.TIMM,
    openclip.OPEN_CLIP,
    huggingface.VIT_MAE,
    huggingface.VIT,
    huggingface.DINOV2_WITH_REGISTERS,
    huggingface.DINOV2,
    huggingface.CLIP,
    google.GOOGLE,
)


class Found(NamedTuple):
    """A file whose layout is known.

    prefix: what stands in front of the family's names. names: {name, with the prefix: name in the file, where more may
    stand in front}. headless: the head is not read, because a layer in front of it is one that minivit does not have.
    """

    file: TensorFile
    family: Family
    prefix: str
    names: dict[str, str]
    headless: bool = False

    def name(self, theirs: str) -> str | None:
        """The tensor in the file that a name in the family's table stands for; None if it is not there."""
        return self.names.get(full_name(self.prefix, theirs))

    def row(self, ours: str) -> Row | None:
        """The row for one of our parameters, of block 0, if its tensor is in the file and is read."""
        for row in blocks_of(self.family.rows, 1):
            if row.ours == ours and self.name(row.theirs) and not (self.headless and ours.startswith("head.")):
                return row
        return None

    def sizes(self, ours: str) -> dict[str, int] | None:
        """The sizes of the axes of the tensor for one of our parameters; None if there is no such tensor. Raises
        CheckpointError if it has another number of axes."""
        row = self.row(ours)
        if row is None:
            return None
        name = self.names[full_name(self.prefix, row.theirs)]
        shape = self.file.tensors[name][1]
        found = axes(row.form, shape)
        if found is None or not all(found.values()):
            number = len(row.form.split(" -> ")[0].split())
            raise CheckpointError(f"{self.file.path}: {name} has shape {shape}, expected {number} axes, none empty")
        return found


def recognise(file: TensorFile) -> Found:
    """Whose layout a file has. Raises CheckpointError, in one line, for a structure that minivit does not have, and for
    tensors of no ViT that it knows."""
    refusal = refused_tensors(file.tensors)
    if refusal:
        raise CheckpointError(f"{file.path}: {refusal}")
    for family in FAMILIES:
        for name in file.tensors:
            found = _found(file, family, name)
            if found is not None:
                return found
    some = ", ".join(list(file.tensors)[:3]) or "none"
    raise CheckpointError(
        f"{file.path}: its tensors ({some}, ...) are not laid out as any ViT that minivit reads: "
        f"{', '.join(family.name for family in FAMILIES)}"
    )


def read_structure(found: Found, image_size: int | tuple[int, int] | None) -> dict[str, Any]:
    """The fields of ViTConfig that the shapes of the tensors tell. image_size: the native one, as a config beside the
    file says, in pixels; where it says nothing, the grid of patches is taken to be square. Raises CheckpointError, in
    one line, for what minivit does not have."""
    path = found.file.path
    patch = found.sizes("patch_embed.proj.weight")
    hidden, back = found.sizes("blocks.0.mlp.fc1.weight"), found.sizes("blocks.0.mlp.fc2.weight")
    assert patch is not None
    if patch["p"] != patch["q"]:
        raise CheckpointError(f"{path}: patches of {patch['p']} x {patch['q']} pixels, which minivit does not have")
    if hidden is None or back is None:
        raise CheckpointError(f"{path}: its first block has no MLP of two linear layers")
    if hidden["o"] == 2 * back["i"]:
        raise CheckpointError(f"{path}: a SwiGLU in its MLP (DINOv2 giant, EVA-02), which minivit does not have")
    registers, head, positions = map(found.sizes, ("reg_token", "head.weight", "pos_embed"))
    values = {
        "patch_size": patch["p"],
        "channels": patch["c"],
        "dim": patch["d"],
        "depth": _depth(found),
        "mlp_dim": hidden["o"],
        "classes": None if head is None else head["o"],
        "class_token": found.row("cls_token") is not None,
        "registers": 0 if registers is None else registers["n"],
        "positions": "none" if positions is None else "learned",
        "pre_norm": found.row("norm_pre.weight") is not None,
        "layer_scale": 1.0 if found.row("blocks.0.ls1.gamma") else None,
        "qkv_bias": found.row("blocks.0.attn.qkv.bias") is not None,
        "norm": "pool" if found.row("fc_norm.weight") else "tokens",
        "embedding": found.family.embedding and head is not None,
    }
    return {**values, **_grid(found, None if positions is None else positions["n"], values, image_size)}


def full_name(prefix: str, theirs: str) -> str:
    """A name in a family's table with what stands in front of it."""
    return theirs[1:] if theirs.startswith("/") else prefix + theirs


def _found(file: TensorFile, family: Family, name: str) -> Found | None:
    """The file in a family's layout, if `name` is its patch embedding there."""
    anchor = family.rows[0].theirs
    front = name.removesuffix(anchor)
    if front == name:
        return None
    wrapper = "|".join(map(re.escape, family.wrappers)) or "$"
    for prefix in family.prefixes:
        root = front.removesuffix(prefix)
        if front.endswith(prefix) and re.fullmatch(f"({wrapper})*", root):
            names = {_table_name(family, key.removeprefix(root), prefix): key for key in file.tensors}
            found = Found(file, family, prefix, names)
            if all(map(found.name, family.marks)) and not any(map(found.name, family.absent)):
                return found._replace(headless=any(map(found.name, family.before_head)))
    return None


def _table_name(family: Family, name: str, prefix: str) -> str:
    """A name in the file, spelt as in the family's table, with its prefix."""
    if not name.startswith(prefix):
        return name
    inner = name[len(prefix) :]
    for pattern, replacement in family.renamed:
        inner = re.sub(pattern, replacement, inner)
    return prefix + inner


def _depth(found: Found) -> int:
    """The number of blocks: one more than the largest number in the name of a block's first parameter."""
    row = next(row for row in found.family.rows if row.ours == "blocks.{i}.norm1.weight")
    before, after = map(re.escape, full_name(found.prefix, row.theirs).split("{i}"))
    numbers = [int(match[1]) for name in found.names if (match := re.fullmatch(rf"{before}(\d{{1,6}}){after}", name))]
    if not numbers:
        raise CheckpointError(f"{found.file.path}: {full_name(found.prefix, row.theirs.format(i=0))} is missing")
    if max(numbers) >= len(found.names):
        raise CheckpointError(f"{found.file.path}: block {max(numbers)} of {len(numbers)}: the others are missing")
    return max(numbers) + 1


def _grid(
    found: Found, rows: int | None, values: dict[str, Any], image_size: int | tuple[int, int] | None
) -> dict[str, Any]:
    """image_size, from the number of rows in the table of positions."""
    P, path = values["patch_size"], found.file.path
    if image_size is not None:
        height, width = image_size if isinstance(image_size, tuple) else (image_size, image_size)
        patches = (height // P) * (width // P)
        fits = height % P == width % P == 0
        if fits and (rows is None or rows in (patches, patches + values["class_token"])):
            return {"image_size": image_size}
    if rows is None:
        raise CheckpointError(f"{path}: it has no positions, and no config beside it tells the size of its images")
    for number in (rows, rows - values["class_token"]):
        side = math.isqrt(max(number, 0))
        if side and side * side == number:
            return {"image_size": side * P}
    patches = rows - values["class_token"] - values["registers"]
    if values["registers"] and patches > 0 and math.isqrt(patches) ** 2 == patches:
        raise CheckpointError(f"{path}: its registers have positions, which minivit does not have")
    raise CheckpointError(
        f"{path}: its {rows} positions are no square grid of patches, and no config beside it tells the image size"
    )
