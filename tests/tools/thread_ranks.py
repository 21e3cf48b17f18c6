"""Ranks in one process, for machines without MPI: every rank is a thread, and arrays are copied between them."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from minivit.ranks import Ranks, found_here


class _Place:
    """Where threads meet: each puts something down, and takes what the others have put down."""

    def __init__(self, size: int) -> None:
        self.barrier, self.given, self.bytes_sent = threading.Barrier(size), [None] * size, [0] * size


class ThreadRanks(Ranks):
    """A thread as one of `size` ranks."""

    def __init__(self, rank: int, size: int, place: _Place) -> None:
        super().__init__()
        self.rank, self.size, self.place = rank, size, place
        self.members = [found_here()] * size

    def _meet(self, array: np.ndarray) -> list[np.ndarray]:
        assert array.flags.c_contiguous
        self.place.given[self.rank] = array
        self.place.barrier.wait(30)
        taken = [np.copy(given) for given in self.place.given]
        self.place.barrier.wait(30)
        assert len({(array.shape, array.dtype) for array in taken}) == 1
        return taken

    def exchange(self, rows: np.ndarray) -> np.ndarray:
        self.place.bytes_sent[self.rank] += rows[0].nbytes * (self.size - 1)
        return np.stack([theirs[self.rank] for theirs in self._meet(rows)])

    def collect(self, row: np.ndarray, rows: np.ndarray) -> None:
        self.place.bytes_sent[self.rank] += row.nbytes * (self.size - 1)
        rows[...] = self._meet(np.ascontiguousarray(row))

    def spread(self, vector: np.ndarray) -> None:
        vector[...] = self._meet(vector)[0]


def in_ranks(size: int, act: Callable[[Ranks], Any]) -> list[Any]:
    """What act(ranks) returns in each of so many ranks. The first exception in any of them is raised."""
    place = _Place(size)

    def run(rank: int) -> Any:
        try:
            return act(ThreadRanks(rank, size, place))
        except BaseException:
            place.barrier.abort()
            raise

    with ThreadPoolExecutor(size) as threads:
        futures = [threads.submit(run, rank) for rank in range(size)]
    errors = [future.exception() for future in futures if future.exception()]
    for error in sorted(errors, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
        raise error
    return [future.result() for future in futures]
