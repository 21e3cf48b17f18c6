"""What `minivit info` says about a file of somebody else's weights."""

import dataclasses
import math
from collections import Counter

from ..config import ViTConfig
from ..counted import counted
from .load import Description, preprocessing_of
from .plan import numberless
from .settle import ASKED
from .table import blocks_of


def report(description: Description) -> str:
    """Whose layout the file has, which tensor is which parameter, the model's structure, and what is left over."""
    found, told, values, questions, plan, licence = description
    file = found.file
    count = sum(math.prod(file.tensors[match.name][1]) for match in plan.matches)
    dtypes = Counter(file.tensors[match.name][0] for match in plan.matches)
    lines = [f"{file.path}: {found.family.name}", ""]
    order = {row: number for number, row in enumerate(blocks_of(found.family.rows, values["depth"]))}
    matches = sorted(plan.matches, key=lambda match: order[match.row])
    rows = [(row.ours, _part(row.part), name, str(file.tensors[name][1])) for row, name, _ in matches]
    width, other = (max(len(row[i]) + len(row[1]) * (i == 0) for row in rows) for i in (0, 2))
    lines.append(f"{'parameter':<{width}}  {'tensor in the file':<{other}}  shape there")
    lines += [f"{ours + part:<{width}}  {name:<{other}}  {shape}" for ours, part, name, shape in rows]
    kinds = ", ".join(f"{number} of {dtype}" for dtype, number in dtypes.items())
    lines += [f"{counted(len(rows), 'tensor')} ({kinds}), {count:,} values", ""]
    shown = {**values, **{name: "not told" for name in questions if name != "pixels"}}
    if "pixels" in questions:
        shown.update(pixel_mean="not told", pixel_std="not told")
    for name in [field.name for field in dataclasses.fields(ViTConfig) if field.name in shown]:
        value = shown[name]
        lines.append(f"{name:<18}{list(value) if isinstance(value, tuple) else value}")
    made = preprocessing_of(description)
    if made is not None:
        lines.append(f"{'preprocessing':<18}{made}")
    else:
        lines.append(f"{'preprocessing':<18}not told")
    lines.append(f"{'licence':<18}{licence or 'not told'}")
    lines += [f"note: {note}" for note in told.notes]
    for title, names in (("not used", plan.unused), ("not understood", plan.unknown)):
        if names:
            lines += ["", f"{title}: {counted(len(names), 'tensor')}", *(f"  {line}" for line in grouped(names))]
    if questions:
        lines += ["", "to load it, give " + ", ".join(ASKED[question] for question in questions)]
    return "\n".join(lines)


def grouped(names: list[str]) -> list[str]:
    """Names, those of the blocks in one, with {i} for the number of a block and how many there are."""
    groups = Counter(map(numberless, names))
    return [name if "{i}" not in name else f"{name} ({number})" for name, number in groups.items()]


def _part(part: int | None) -> str:
    return "" if part is None else (" (queries)", " (keys)", " (values)")[part]
