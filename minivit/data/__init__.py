"""Data: MNIST, its bundled sample, any data set in IDX files; fixed splits. Nothing here knows the model."""

from ..errors import DataError
from .dataset import Dataset, class_numbers, full_name, load, load_split
from .mnist import fetch_mnist
from .split import Pictures, Split, digests_of, parts, sample, split_validation

__all__ = [
    "DataError",
    "Dataset",
    "Pictures",
    "Split",
    "class_numbers",
    "digests_of",
    "fetch_mnist",
    "full_name",
    "load",
    "load_split",
    "parts",
    "sample",
    "split_validation",
]
