"""Data: MNIST, its bundled sample, any data set in IDX files; fixed splits. Nothing here knows the model."""

from ..errors import DataError
from .dataset import Dataset, class_numbers, full_name, load, load_split
from .mnist import fetch_mnist
from .split import Split, split_validation

__all__ = [
    "DataError",
    "Dataset",
    "Split",
    "class_numbers",
    "fetch_mnist",
    "full_name",
    "load",
    "load_split",
    "split_validation",
]
