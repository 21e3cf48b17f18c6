"""Ranks: processes that train one model together, each with a part of every batch, and with the same bytes as one.

Floating-point sums depend on their order, so a batch's shards are always added along one binary tree: the sum of m
shards is that of the first ⌈m/2⌉ plus that of the others. n = 2^k ranks own the n subtrees k levels below its root.
Each adds up its own; then each receives an nth of the vector from everybody, adds the n parts along the top of the
tree, and sends the result to everybody (Alltoall, sum, Allgather: each rank sends 2(n - 1)/n of the vector, as in a
ring). MPI only moves bytes here; the additions are ours, and the same for any number of ranks.
"""

import json
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from .backend import host_buffer
from .blas import kernels
from .errors import ConfigError, MissingPackageError
from .machine import available_cores, own_cores, processor

# How launchers tell their processes how many there are: MPICH's and Intel's mpiexec, Open MPI's, MVAPICH's, srun.
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
GRACE = 3.0  # seconds that a rank which has failed waits for the others to fail, too, before it ends them
PASS_ON = 0.5  # seconds that the launcher has to pass on what a rank says at last, before it ends all of them
LONGEST = 2000  # bytes of a message that other ranks are told
T = TypeVar("T")


def tree_sum(terms: Iterator[T], count: int, add: Callable[[T, T], T]) -> T:
    """The sum of the next `count` terms along the tree. Depth first, so that no more than log2(count) + 1 of them are
    in memory. A term that is None is no term: not zero, whose sign could show."""
    if count == 1:
        return next(terms)
    left, right = tree_sum(terms, (count + 1) // 2, add), tree_sum(terms, count // 2, add)
    return left if right is None else right if left is None else add(left, right)


def subtrees(start: int, stop: int, ranks: int) -> list[slice]:
    """The terms start..stop-1 of a tree that each rank owns, 2^k ranks: the subtrees k levels below the root. Their
    sizes differ by one at most; with more ranks than terms some are empty."""
    if ranks == 1:
        return [slice(start, stop)]
    middle = start + (stop - start + 1) // 2
    return subtrees(start, middle, ranks // 2) + subtrees(middle, stop, ranks // 2)


def found_here() -> dict[str, Any]:
    """What the process is on: the machine's name, its processor, the BLAS kernels, and the cores it may use."""
    return {"host": platform.node(), "processor": processor(), "blas": kernels(), "cores": own_cores()}


class Ranks:
    """The ranks, and which of them this process is: here the only one. `exchange`, `collect` and `spread` move arrays;
    everything else is made of them. All ranks must call a method, in the same order, before any of them returns.

    threads: how many of them a rank should use. members: what each rank is on, for a person to read.
    """

    rank, size = 0, 1
    members: Sequence[dict[str, Any]] = ()

    def __init__(self) -> None:
        self._rows = np.empty((0, 0))

    @property
    def threads(self) -> int:
        """This rank's part of the cores that it found, which others on its machine may have found, too."""
        if not self.members:
            return available_cores()
        own = self.members[self.rank]
        return available_cores(
            sum(other["host"] == own["host"] and other["cores"] == own["cores"] for other in self.members)
        )

    def check(self) -> None:
        """Raises ConfigError for a number of ranks that is no power of two, since a tree has no other."""
        if self.size & (self.size - 1):
            fewer = 1 << self.size.bit_length() - 1
            raise ConfigError(f"{self.size} ranks: a batch is halved, and halved again, so take {fewer} or {2 * fewer}")

    def take_card(self) -> None:
        """Leave CUDA one of the cards that this process may use: the first rank on a machine the first, and so on."""
        if self.size == 1:
            return
        hosts = [member["host"] for member in self.members]
        place, name = hosts[: self.rank].count(hosts[self.rank]), "CUDA_VISIBLE_DEVICES"
        cards = os.environ.get(name, "").split(",")
        os.environ[name] = cards[place % len(cards)] or str(place)

    def exchange(self, rows: np.ndarray) -> np.ndarray:
        """Row i (k,) of `rows` (n, k) goes to rank i; returns the rows that came, (n, k), in the order of the ranks."""
        return rows

    def collect(self, row: np.ndarray, rows: np.ndarray) -> None:
        """Fill `rows` (n, k) with the `row` (k,) of every rank, in the order of the ranks."""
        rows[0] = row

    def spread(self, vector: np.ndarray) -> None:
        """Overwrite a contiguous array with that of rank 0."""

    def rows(self, size: int, dtype: Any, device: str) -> np.ndarray:
        """An array (n, k) for a vector of `size` values, made once and used again; what is behind them is not set."""
        k = -(-size // self.size)
        if (self._rows.size, self._rows.dtype) != (self.size * k, dtype):
            self._rows = host_buffer(self.size * k, dtype, device).reshape(self.size, k)
        return self._rows

    def own(self, count: int) -> slice:
        """The terms of a sum of `count` terms that are this rank's."""
        return subtrees(0, count, self.size)[self.rank]

    def sum(self, rows: np.ndarray, count: int) -> None:
        """Overwrite `rows` (n, k), a vector of n·k values of which each rank has summed its `own` of `count` terms,
        with the sum of all. What is in it in a rank that owns none is not looked at."""
        owned = subtrees(0, count, self.size)
        parts: list[Any] = [part if own.start < own.stop else None for part, own in zip(self.exchange(rows), owned)]
        with np.errstate(all="ignore"):  # whoever asked for the sum looks whether it is finite
            self.collect(tree_sum(iter(parts), self.size, lambda left, right: np.add(left, right, out=left)), rows)

    def gather(self, content: bytes) -> list[bytes]:
        """What every rank gave, in the order of the ranks; of any length."""
        lengths = np.empty((self.size, 1), np.int64)
        self.collect(np.array([len(content)]), lengths)
        row, rows = (np.zeros((n, lengths.max()), np.uint8) for n in (1, self.size))
        row[0, : len(content)] = np.frombuffer(content, np.uint8)
        self.collect(row[0], rows)
        return [bytes(row[:length]) for row, length in zip(rows, lengths[:, 0])]

    def name(self, rank: int) -> str:
        """A rank, and what it is on."""
        if not self.members:
            return f"rank {rank}"
        member = self.members[rank]
        return f"rank {rank} ({member['host']}, {member['processor']}, {', '.join(member['blas'])})"


ALONE = Ranks()


class MPIRanks(Ranks):
    """The processes that an MPI launcher has started. Raises MissingPackageError without mpi4py or without an MPI
    library, ConfigError if that library does not see as many processes as the launcher has started."""

    def __init__(self, started: int) -> None:
        install = 'pip install "minivit[mpi]"'
        try:
            import mpi4py

            mpi4py.rc.thread_level = "funneled"  # one thread of each rank calls it
            with warnings.catch_warnings():  # of a launcher that belongs to another library, which is an error below
                warnings.simplefilter("ignore", RuntimeWarning)
                from mpi4py import MPI
        except ImportError as error:
            raise MissingPackageError(
                f"{started} processes were started, but mpi4py is missing: {error}; {install}"
            ) from None
        except RuntimeError as error:  # no library
            reason = " ".join(str(error).split())
            raise MissingPackageError(
                f"mpi4py finds no MPI library ({reason:.80}): {install}, or your system's"
            ) from None
        super().__init__()
        self._world = MPI.COMM_WORLD
        self.rank, self.size = self._world.rank, self._world.size
        if self.size != started:
            library = MPI.Get_library_version().splitlines()[0].rstrip("\0 ")
            raise ConfigError(
                f"{started} processes were started, but mpi4py's library ({library:.40}) sees {self.size}: use the "
                "mpiexec that belongs to it, or srun --mpi with what it speaks (srun --mpi=list)"
            )
        self._ending = self._world.Dup()  # apart from sums that others may still be waiting in
        self._received = np.empty((0, 0))
        self.members = [json.loads(member) for member in self.gather(json.dumps(found_here()).encode())]

    def exchange(self, rows: np.ndarray) -> np.ndarray:
        if (self._received.shape, self._received.dtype) != (rows.shape, rows.dtype):
            self._received = np.empty_like(rows)
        self._world.Alltoall(rows, self._received)
        return self._received

    def collect(self, row: np.ndarray, rows: np.ndarray) -> None:
        self._world.Allgather(np.ascontiguousarray(row), rows)

    def spread(self, vector: np.ndarray) -> None:
        self._world.Bcast(vector, root=0)

    def end(self, status: int, message: str, say: Callable[[str], object]) -> None:
        """End every rank, when this one has failed. Where all fail together, rank 0 says why, with what others say
        besides, and each may exit. A rank that fails alone says why, and MPI ends all with this exit status."""
        if self.rank == 0 and message:
            say(message)
        told = np.zeros((self.size, LONGEST), np.uint8)
        own = message.encode()[:LONGEST]
        told[self.rank, : len(own)] = np.frombuffer(own, np.uint8)
        request = self._ending.Iallgather(told[self.rank].copy(), told)
        until = time.monotonic() + GRACE
        while not request.Test():
            if time.monotonic() > until:
                if self.rank:
                    say(f"{self.name(self.rank)}: {message}")
                    time.sleep(PASS_ON)
                self._world.Abort(status)
            time.sleep(0.02)
        if self.rank == 0:
            for rank, row in enumerate(told):
                other = bytes(row).rstrip(b"\0")
                if other not in (own, b""):
                    say(f"{self.name(rank)}: {other.decode(errors='replace')}")


def started_ranks() -> Ranks:
    """The ranks that an MPI launcher has started, this process among them; only this one where none has. Errors as
    MPIRanks."""
    sizes = [int(size) for size in map(os.environ.get, SIZES) if size is not None and size.isdecimal()]
    return MPIRanks(max(sizes)) if max(sizes, default=1) > 1 else ALONE
