"""What the ranks of a run agree on: where it is saved, how it starts, when it stops, and what its parameters are.

Rank 0 holds the folder, reads it, writes it and talks; the other ranks are told what they need. With one rank nothing
here does anything.
"""

import contextlib
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import to_device, to_host
from ..counted import counted
from ..errors import ConfigError, MinivitError, TrainingError
from ..parallel import shards
from ..ranks import Ranks
from ..train import RunningSums, Trainer
from ..vit import ViT
from .lock import HeldFolder
from .records import differences
from .signals import Stop
from .state import vectors_of


def of_first(ranks: Ranks, read: Callable[[], Any]) -> Any:
    """What `read` returns in rank 0, in every rank; the others get it as JSON does it. What it raises is raised there,
    and in the others a MinivitError without a message."""
    told = b""
    try:
        if ranks.rank == 0:
            found = read()
            told = json.dumps(found).encode()
    finally:
        told = ranks.gather(told)[0]
    if not told:
        raise MinivitError("")
    return json.loads(told) if ranks.rank else found


def in_turn(ranks: Ranks, load: Callable[[], Any]) -> Any:
    """What `load` returns, in the other ranks once rank 0 has loaded it: the first one may have to fetch it."""
    if ranks.rank:
        ranks.gather(b"")
        return load()
    try:
        return load()
    finally:
        ranks.gather(b"")


@contextlib.contextmanager
def held_by_first(ranks: Ranks, hold: AbstractContextManager[HeldFolder]) -> Iterator[HeldFolder]:
    """The folder that rank 0 holds while this is open; the others know its path."""
    with contextlib.ExitStack() as stack:
        here: list[HeldFolder] = []

        def hold_here() -> str:
            here.append(stack.enter_context(hold))
            return str(here[0].path)

        path = of_first(ranks, hold_here)
        yield here[0] if here else HeldFolder(Path(path), None, locked=True)


def check_same_start(ranks: Ranks, settings: dict[str, Any], model: ViT) -> None:
    """Raise ConfigError, naming what differs, if a rank has other settings, data or initial weights, or another
    version of minivit, than rank 0."""
    if ranks.size == 1:
        return
    own = {**settings, "run": "", "weights": _digest(model)}
    everyone = [json.loads(told) for told in ranks.gather(json.dumps(own).encode())]
    more = ("minivit", "test_sha256", "device", "weights")
    for rank, theirs in enumerate(everyone):
        found = differences(everyone[0], theirs)
        found += [(name, everyone[0][name], theirs[name]) for name in more if everyone[0][name] != theirs[name]]
        if found:
            told = ", ".join(f"{name} {there!r:.60}, rank 0 has {here!r:.60}" for name, here, there in found)
            raise ConfigError(f"{ranks.name(rank)} has {told}: give every rank the same flags, data and version")


def check_same_parameters(ranks: Ranks, trainer: Trainer) -> None:
    """Raise TrainingError, naming every rank and what it is on, if their parameters differ in a bit."""
    if ranks.size == 1:
        return
    digests = [digest.decode() for digest in ranks.gather(_digest(trainer.model).encode())]
    if len(set(digests)) > 1:
        named = ", ".join(f"{digest[:8]} in {ranks.name(rank)}" for rank, digest in enumerate(digests))
        raise TrainingError(
            f"after step {trainer.state.step} the ranks have different parameters: {named}; what was saved before is "
            "kept: resume it on ranks with the same processors and BLAS kernels"
        )


def _digest(model: ViT) -> str:
    return hashlib.sha256(to_host(model.params.flat)).hexdigest()


def asked_to_stop(ranks: Ranks, stop: Stop) -> bool:
    """Whether a rank was asked to stop; then all of them are, at the same step."""
    if ranks.size == 1:
        return stop.is_set()
    numbers = np.empty((ranks.size, 1), np.int64)
    ranks.collect(np.array([stop.number if stop.is_set() else 0]), numbers)
    if numbers.any():
        stop.ask(int(numbers[numbers > 0][0]))
    return bool(numbers.any())


def spread_state(
    ranks: Ranks, trainer: Trainer, read: Callable[[], tuple[RunningSums, list, float]]
) -> tuple[RunningSums, list, float]:
    """`read` the state of a run in rank 0, and put it into the trainer of every rank; the sums, metrics and seconds."""

    def read_here() -> list[Any]:
        sums, metrics, seconds = read()
        return [sums.loss, sums.correct, sums.images, metrics, seconds, trainer.state.step]

    *values, metrics, seconds, trainer.state.step = of_first(ranks, read_here)
    for vector in vectors_of(trainer).values() if ranks.size > 1 else ():
        told = np.ascontiguousarray(to_host(vector)).copy()
        ranks.spread(told)
        vector[...] = to_device(told, trainer.model.device)
    return RunningSums(*values), metrics, seconds


def threads_line(trainer: Trainer, images: int) -> str:
    """Threads and ranks, for the line that a run begins with; which ranks have nothing to do, and from which batch size
    on they would."""
    ranks, config, threads = trainer.pool.ranks, trainer.model.config, trainer.pool.threads
    if ranks.size == 1:
        return counted(threads, "thread")
    counts = sorted({int(told) for told in ranks.gather(str(threads).encode())})
    each = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
    hosts = len({member["host"] for member in ranks.members})
    line = f"{ranks.size} ranks on {counted(hosts, 'machine')}, threads in each: {each}"
    batch = min(trainer.config.batch_size, images)
    count = len(shards(batch, config))
    if count < ranks.size:
        enough = next(size for size in itertools.count(batch) if len(shards(size, config)) >= ranks.size)
        line += (
            f"; {ranks.size - count} of them {'has' if ranks.size - count == 1 else 'have'} no work, since a batch of "
            f"{counted(batch, 'image')} is computed in {counted(count, 'shard')}: all would have some from "
            f"--batch-size {enough} on"
        )
    return line
