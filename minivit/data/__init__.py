"""Data: MNIST, its bundled sample, any data set in IDX files; fixed splits. Nothing here knows the model."""

from ..errors import DataError
from .dataset import Dataset, full_name, load
from .mnist import fetch_mnist
from .split import Split, split_validation

__all__ = ["DataError", "Dataset", "Split", "fetch_mnist", "full_name", "load", "split_validation"]
