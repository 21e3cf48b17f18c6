"""Stateless randomness: every draw in minivit comes from a generator that is named by numbers.

`generator(seed, DROPOUT, step=7, shard=2)` gives the same numbers in every process, on every device and for any
number of threads, so there is no generator state to save: a run resumed at step 7 draws what it would have drawn.
"""

import numpy

# The purposes; their numbers are part of a run's identity.
INITIAL_WEIGHTS, SHUFFLE, AUGMENTATION, DROPOUT, GRADIENT_CHECK, VIEWS = range(6)


def generator(seed: int, purpose: int, step: int = 0, shard: int = 0) -> numpy.random.Generator:
    """The host generator for one purpose at one place: `default_rng([seed, purpose, step, shard])`.

    seed, step, shard: integers >= 0; purpose: one of the constants above. Raises ValueError for negative numbers.
    """
    return numpy.random.default_rng([seed, purpose, step, shard])
