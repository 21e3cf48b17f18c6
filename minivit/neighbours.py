"""The k-nearest-neighbour classifier on features: what a model has learned without a head, and without any training.

Wu et al. 2018 (arXiv:1805.01978), section 3.4; Caron et al. 2021 (arXiv:2104.14294, DINO), section 4.1 and appendix F,
with k = 20 and the temperature 0.07.
"""

import numpy as np

from .errors import ConfigError
from .settings import check_count

TEMPERATURE = 0.07
VALUES_AT_ONCE = 1 << 24  # similarities that are in memory at once


def neighbour_votes(
    features: np.ndarray,
    labels: np.ndarray,
    queries: np.ndarray,
    classes: int,
    k: int = 20,
    temperature: float = TEMPERATURE,
) -> np.ndarray:
    """What the k nearest of the labelled features say about every query.

    Shapes   features (N, D), labels (N,) integers in 0..K-1, queries (n, D)  ->  votes (n, K), every row sums to 1
    Formula  s_ij = <q_i, f_j> / (|q_i| |f_j|), the cosine of the angle between query i and feature j;
             votes_ic = sum of exp(s_ij / temperature) over those j of class c that are among the k largest s_ij,
             divided by the sum over all classes

    A chunk of the queries at a time is compared with all features, so the (n, N) similarities are never in memory
    together. A vector of zeros is similar to none: its cosine is 0.
    Raises ConfigError for a k that is not in 1..N.
    """
    check_count("k", k)
    if k > len(features):
        raise ConfigError(f"{k} nearest neighbours are asked for, and there are {len(features)}: choose fewer")
    features, queries = _unit(features), _unit(queries)
    votes = np.zeros((len(queries), classes), features.dtype)
    rows = max(1, VALUES_AT_ONCE // len(features))
    for start in range(0, len(queries), rows):
        similarity = queries[start : start + rows] @ features.T  # (rows, D) @ (D, N) -> (rows, N)
        nearest = np.argpartition(similarity, -k, axis=1)[:, -k:]  # (rows, N) -> (rows, k)
        cosines = np.take_along_axis(similarity, nearest, axis=1)
        weights = np.exp((cosines - cosines.max(1, keepdims=True)) / temperature)  # the largest is 1: none overflows
        chunk = votes[start : start + rows]
        np.add.at(chunk, (np.arange(len(chunk))[:, np.newaxis], labels[nearest]), weights)
    return votes / votes.sum(1, keepdims=True)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (n, D) of length 1; zeros stay zeros."""
    lengths = np.sqrt(np.square(vectors).sum(1, keepdims=True))
    return vectors / np.where(lengths > 0, lengths, 1)
