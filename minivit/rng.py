"""Stateless randomness: every draw in minivit comes from a generator that is named by numbers.

`generator(seed, DROPOUT, step, shard)` gives the same numbers in every process, on every device and for any number of
threads, so there is no generator state to save: a run resumed at step 7 draws what it would have drawn.
"""

import numpy as np

# The purposes; their numbers are part of a run's identity.
INITIAL_WEIGHTS, SHUFFLE, AUGMENTATION, DROPOUT, GRADIENT_CHECK, TEST_TIME, FINITE_DIFFERENCE = range(7)
PHOTOS, MIRROR, ELASTIC, ERASING, MIXING = range(7, 12)


def generator(seed: int, purpose: int, first: int = 0, second: int = 0) -> np.random.Generator:
    """The host generator for one purpose at one place: `default_rng([seed, purpose, first, second])`.

    seed, first, second: integers >= 0; first and second say where in the purpose, a step and a shard for example;
    purpose: one of the constants above. Raises ValueError for negative numbers.
    """
    return np.random.default_rng([seed, purpose, first, second])
