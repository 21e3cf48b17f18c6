"""Data: MNIST and its bundled sample, IDX files, folders of pictures, CIFAR, .npz; fixed splits. Nothing here knows the
model."""

from ..errors import DataError
from .cache import cache_folder, clear_cache
from .dataset import Dataset, Loaded, class_numbers, full_name, holds_arrays, load, load_parts, load_split, short_name
from .mnist import fetch_mnist
from .reading import Reading
from .report import report
from .resized import resized_line
from .split import Pictures, Split, digests_of, parts, sample, split_validation

__all__ = [
    "DataError",
    "Dataset",
    "Loaded",
    "Pictures",
    "Reading",
    "Split",
    "cache_folder",
    "class_numbers",
    "clear_cache",
    "digests_of",
    "fetch_mnist",
    "full_name",
    "holds_arrays",
    "load",
    "load_parts",
    "load_split",
    "parts",
    "report",
    "resized_line",
    "sample",
    "short_name",
    "split_validation",
]
