"""What every file of tensors is: names, dtypes and shapes before any tensor is read, and why some are not opened."""

from pathlib import Path

import numpy as np

from ..errors import CheckpointError

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}  # bfloat16 is the upper half of a float32
AS_SAFETENSORS = (
    "take the model.safetensors that its publisher offers beside it, or convert it on a machine that you can lose: "
    "safetensors.torch.save_file(state_dict, 'model.safetensors')"
)


class TensorFile:
    """The tensors of one model, by name, before any is read.

    path: the file, or the index of several. tensors: {name: (dtype as safetensors calls it, shape)}.
    """

    path: Path
    tensors: dict[str, tuple[str, tuple[int, ...]]]

    def read(self, name: str) -> np.ndarray:
        """One tensor, as floats of 32 or 64 bits. Raises CheckpointError for other dtypes, and if it cannot be read."""
        raise NotImplementedError

    def check_dtype(self, name: str) -> None:
        """Raise CheckpointError unless the tensor is of floating-point numbers."""
        dtype = self.tensors[name][0]
        if dtype not in DTYPES:
            raise CheckpointError(
                f"{self.path}: {name} is of {dtype}: minivit reads {', '.join(DTYPES)}, no quantised weights"
            )


def as_float(values: np.ndarray, code: str) -> np.ndarray:
    """Values of one of DTYPES, as float64 or float32."""
    if code == "BF16":
        return (values.astype("<u4") << 16).view("<f4").astype(np.float32, copy=False)
    return values.astype(np.float64 if code == "F64" else np.float32, copy=False)
