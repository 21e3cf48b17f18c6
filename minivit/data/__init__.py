"""Data: MNIST, its bundled sample, any data set in IDX files; fixed splits; random affine maps; pictures of digits.

NumPy only (tqdm shows downloads, pillow reads pictures); nothing here knows the model.
"""

from ..train.augment import random_affine
from .dataset import Dataset, full_name, load
from .idx import DataError
from .mnist import fetch_mnist
from .split import Split, split_validation

__all__ = ["DataError", "Dataset", "Split", "fetch_mnist", "full_name", "load", "random_affine", "split_validation"]
