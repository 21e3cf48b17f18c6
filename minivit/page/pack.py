"""Arrays as the page reads them: base64 of little-endian values, and nothing rounded unless float32 is asked for."""

import base64
from typing import Any

import numpy as np


def pack(values: Any, dtype: str = "f8") -> dict[str, str]:
    """An array as {"dtype", "data"}: "f8" exactly, "f4" rounded to float32, "u1" bytes."""
    array = np.ascontiguousarray(values, dtype=f"<{dtype}")
    return {"dtype": dtype, "data": base64.b64encode(array.tobytes()).decode("ascii")}
