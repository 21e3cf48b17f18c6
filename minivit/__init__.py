"""minivit: a Vision Transformer from first principles, every gradient written by hand, on NumPy and CuPy."""

__version__ = "0.1.0"

from .config import ViTConfig
from .errors import MinivitError
from .model import vit_backward, vit_forward
from .ops import cross_entropy_backward, cross_entropy_forward
from .params import Params
from .vit import ViT

__all__ = [
    "MinivitError",
    "Params",
    "ViT",
    "ViTConfig",
    "cross_entropy_backward",
    "cross_entropy_forward",
    "vit_backward",
    "vit_forward",
]
