"""Which tensor of a file is read into which of our parameters, and what is left over."""

import re
from typing import NamedTuple

from ..config import ViTConfig
from ..errors import CheckpointError
from ..shapes import parameter_shapes
from .structure import Found, full_name
from .table import Row, axes, blocks_of, their_shape


class Match(NamedTuple):
    """A row of the table and the tensor that it stands for; skip: how many rows of the positions the file lacks."""

    row: Row
    name: str
    skip: int


class Plan(NamedTuple):
    """Which tensor is read into which parameter, and what is left over: "unused" may be, "unknown" may not."""

    matches: list[Match]
    unused: list[str]
    unknown: list[str]


def plan_of(found: Found, config: ViTConfig) -> Plan:
    """Which tensor goes where, in the order of the file. Raises CheckpointError, in one line, for tensors that are
    missing or of another shape than the structure asks for."""
    shapes, path, zeros = parameter_shapes(config), found.file.path, found.family.zeros
    matches: list[Match] = []
    missing: list[str] = []
    wrong: list[str] = []
    rows = [row for row in blocks_of(found.family.rows, config.depth) if row.ours in shapes]
    for row in rows:
        name = found.name(row.theirs)
        if name is None:
            if row.ours not in zeros:
                missing.append(full_name(found.prefix, row.theirs))
            continue
        there, shape = found.file.tensors[name][1], shapes[row.ours]
        skip = int(row.ours == "pos_embed" and config.has_class_token and _without_class_row(row, there, config))
        if row.part is not None or skip:
            shape = (*shape[:-1], shape[-1] // 3) if row.part is not None else (1, shape[1] - 1, shape[2])
        expected = their_shape(row.form, shape, config)
        if there != expected:
            wrong.append(f"{name} has shape {there}, expected {expected}")
        found.file.check_dtype(name)
        matches.append(Match(row, name, skip))
    missing += sorted(shapes.keys() - {row.ours for row in rows} - set(zeros))
    if missing:
        raise CheckpointError(f"{path}: these tensors of {found.family.name} are missing: {_some(missing)}")
    if wrong:
        raise CheckpointError(f"{path}: {_some(wrong, '; ')}")
    order = {name: number for number, name in enumerate(found.file.tensors)}
    taken = {match.name for match in matches}
    unused: list[str] = []
    unknown: list[str] = []
    allowed = _may_be_unused(found)
    for name, key in found.names.items():
        if key not in taken:
            (unused if name in allowed or numberless(name) in allowed else unknown).append(key)
    return Plan(sorted(matches, key=lambda match: order[match.name]), unused, unknown)


def check_unknown(found: Found, plan: Plan) -> None:
    """Raise CheckpointError if tensors are left over that may not be."""
    if plan.unknown:
        raise CheckpointError(
            f"{found.file.path}: minivit has no use for these tensors of what looks like {found.family.name}, "
            f"so it does not know what the model computes: {_some(plan.unknown)}"
        )


def numberless(name: str) -> str:
    """A name with {i} in place of the number of a block."""
    return re.sub(r"(?<=\.)\d+(?=\.)", "{i}", name)


def _may_be_unused(found: Found) -> set[str]:
    family = found.family
    names = {*family.unused, *family.before_head}
    if found.headless:
        names |= {row.theirs for row in family.rows if row.ours.startswith("head.")}
    return {full_name(found.prefix, name) for name in names}


def _without_class_row(row: Row, shape: tuple[int, ...], config: ViTConfig) -> bool:
    """Whether the positions in the file are the patches' only."""
    sizes = axes(row.form, shape)
    return sizes is not None and sizes["n"] == config.patches


def _some(names: list[str], separator: str = ", ") -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return separator.join(names[:4]) + more
