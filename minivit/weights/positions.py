"""Another image size: the positions that a model learned for one grid of patches, interpolated for another."""

import dataclasses
import math
from typing import Any

from ..backend import Array, array_module
from ..config import ViTConfig
from ..errors import ConfigError
from ..ops.resize import DIALECTS, interpolation_matrix, resize_forward
from ..params import Params
from ..settings import check_choice
from ..shapes import parameter_shapes


def resize_model(
    params: Params, config: ViTConfig, image_size: int | tuple[int, int], dialect: str | None = None
) -> tuple[Params, ViTConfig]:
    """Parameters and config of the same model for images of another size. Learned positions of patches are
    interpolated; the class token keeps its own, registers have none, and fixed positions are computed anew. All other
    parameters are copied.

    image_size: a side or (Sh, Sw), in pixels; dialect: how to interpolate, one of DIALECTS, which the new config
    records; None: as `config.resize` says. The patches keep their size. Raises ConfigError for a size that the patches
    do not divide, and for another dialect.
    """
    _check_patches(image_size, config.patch_size)
    made = dataclasses.replace(config, image_size=image_size, resize=config.resize if dialect is None else dialect)
    shapes, xp = parameter_shapes(made), array_module(params.flat)
    result = Params(shapes, xp.empty(sum(map(math.prod, shapes.values())), params.flat.dtype))
    for name, value in params.items():
        if name == "pos_embed":
            token, patches = value[:, : config.has_class_token], value[:, config.has_class_token :]
            patches = resize_positions(patches, config.grid, made.grid, made.resize)
            value = xp.concatenate([token, patches], axis=1)
        result[name][...] = value
    return result, made


def _check_patches(image_size: Any, patch_size: int) -> None:
    """Raise ConfigError, naming the sizes that fit, for an image size that the patches do not divide."""
    sides = image_size if isinstance(image_size, (tuple, list)) else (image_size,)
    for side in sides:
        if isinstance(side, int) and side > 0 and side % patch_size:
            below = side // patch_size * patch_size
            fitting = " or ".join(str(one) for one in (below, below + patch_size) if one)
            raise ConfigError(f"images of {side} pixels are not made of patches of {patch_size}: take {fitting}")


def resize_positions(table: Array, old_grid: tuple[int, int], new_grid: tuple[int, int], dialect: str) -> Array:
    """The positions of a grid of patches, interpolated for another grid; computed in float64, on the table's device.

    Shapes   table (1, rows·columns, D), old_grid (rows, columns), new_grid (new_rows, new_columns)
             ->  (1, new_rows·new_columns, D), of the table's dtype; the table itself for the same grid
    Raises ConfigError for a dialect that is not one of DIALECTS, and for a table of another grid.
    """
    check_choice("resize", dialect, DIALECTS)
    rows, columns = old_grid
    if table.ndim != 3 or table.shape[1] != rows * columns:
        raise ConfigError(f"positions of shape {table.shape} are not those of {rows} x {columns} patches")
    if tuple(old_grid) == tuple(new_grid):
        return table
    xp = array_module(table)
    vertical, horizontal = (interpolation_matrix(xp, *sizes, dialect) for sizes in zip(old_grid, new_grid))
    return resize_forward(table.astype("float64"), vertical, horizontal)[0].astype(table.dtype)
