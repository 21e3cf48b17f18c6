"""Time a training step in several ranks of this machine and the exchange of their gradients, and predict from these
numbers, and from stated networks, what up to 1,024 ranks would do.

Needs `pip install ".[mpi]"`. More ranks than cores prove only that the bytes are the same; such rows are marked.

Prediction. A batch of m shards takes n ranks with t threads each
    step(n) = c·⌈⌈m/n⌉/t⌉ + f + e(n),
with c, the time of a shard on one thread, f, what every rank does for itself (it augments the whole batch and updates
all parameters), and e(n), the exchange. In Alltoall and in Allgather a rank sends n - 1 messages, together
2·(n - 1)/n of the vector of b bytes, and adds n parts of b/n bytes in between:
    e(n) = 2·(n - 1)·latency + 2·(n - 1)/n·b/bandwidth + b/additions.
Messages are assumed not to disturb each other, and every rank to be a machine like this one: it is the best case.
"""

import argparse
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from minivit import ViT, ViTConfig
from minivit.counted import counted
from minivit.machine import available_cores, keep_freed_memory
from minivit.optim import AdamWState, adamw_step, norm
from minivit.parallel import shards
from minivit.ranks import started_ranks, subtrees
from minivit.shapes import parameter_shapes
from minivit.train import TrainConfig, Trainer
from minivit.train.augmentation import augmented

from .clock import WARM_UP
from .contenders import software
from .harness import ROOT, clean_environment, machine, markdown, positive
from .products import flops
from .workload import MODELS, random_batch

COUNTS = (1, 2, 4)  # ranks that are measured
MOST = 1024  # ranks that are predicted
WORTH = 1.5  # what twice as many ranks must gain to be worth their price
LARGE: dict[str, Any] = {  # ViT-B/16 at 224 x 224, 86 million parameters
    **MODELS["small16"], "dim": 768, "heads": 12, "mlp_dim": 3072,
}  # fmt: skip
NETWORKS = [("Ethernet", 30.0, 10.0), ("InfiniBand", 2.0, 100.0)]  # name, latency in µs, bandwidth in Gb/s


class Network(NamedTuple):
    """Its name, the seconds that a message takes besides its bytes, and how many bytes pass in a second."""

    name: str
    latency: float
    bandwidth: float


class Costs(NamedTuple):
    """What a batch costs one rank: `threads` shards at a time, each of so many seconds; the seconds in which every rank
    augments the whole batch and updates all parameters; the bytes that are exchanged, and how many of them a rank adds
    in a second."""

    shards: int
    threads: int
    shard: float
    augmentation: float
    optimiser: float
    size: int
    additions: float

    def parts(self, ranks: int, network: Network) -> tuple[float, float, float, float]:
        """The predicted seconds of a step's shards, of augmentation and optimiser, and of the exchange; the formula is
        at the top."""
        most = max(own.stop - own.start for own in subtrees(0, self.shards, ranks))
        messages = 2 * (ranks - 1) * (network.latency + self.size / ranks / network.bandwidth)
        exchange = messages + self.size / self.additions if ranks > 1 else 0.0
        return self.shard * math.ceil(most / self.threads), self.augmentation, self.optimiser, exchange


def measured(name: str, batch: int, steps: int) -> dict[str, Any]:
    """In every rank: the medians of a step, of its exchange and of what each rank does for itself, in seconds; and
    whether all have the same parameters after the steps."""
    keep_freed_memory()
    ranks = started_ranks()
    model, config = ViT(ViTConfig(**MODELS[name]), 0), TrainConfig(augmentation="digits", augment=1.0)
    trainer = Trainer(model, config, 10 * steps, ranks)
    images, labels = random_batch(MODELS[name], batch)
    pixels = np.random.default_rng(1).integers(0, 256, images.shape, dtype=np.uint8)
    flat, count = model.params.flat, len(shards(batch, model.config))
    grads, spare, state = np.zeros_like(flat), flat.copy(), AdamWState.zeros_like(flat)
    rows = ranks.rows(flat.size + 2, flat.dtype, "cpu")
    rows[...] = 0

    def seconds(run: Callable[[], Any]) -> float:
        times = []
        for _ in range(steps + WARM_UP):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        return median(times[WARM_UP:])

    with trainer.pool:
        report: dict[str, Any] = {
            "step": seconds(lambda: trainer.update(images, labels)),
            "exchange": seconds(lambda: ranks.sum(rows, count)) if ranks.size > 1 else 0.0,
            "augmentation": seconds(lambda: augmented(pixels, labels, 10, config, 1)),
            "optimiser": seconds(lambda: adamw_step(spare, grads, state, 1e-3, trainer.decay, grad_norm=norm(grads))),
            "addition": seconds(lambda: np.add(spare, grads, out=spare)),
        }
    digests = ranks.gather(hashlib.sha256(flat).digest())
    sent = 2 * (ranks.size - 1) / ranks.size * rows.nbytes
    return {
        **{**report, "threads": trainer.pool.threads, "shards": count, "bytes": rows.nbytes, "sent": sent},
        **{"digest": digests[0].hex(), "same": len(set(digests)) == 1, "rank": ranks.rank, **software()},
    }


def launch(ranks: int, name: str, batch: int, steps: int) -> dict[str, Any]:
    """The report of rank 0 of so many ranks. Exits with what mpiexec says if they fail."""
    environment = clean_environment()
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if mpiexec is None:
        sys.exit('mpiexec is missing: pip install ".[mpi]"')
    measure = [sys.executable, "-m", "benchmarks.ranks", "--measure", name, str(batch), str(steps)]
    done = subprocess.run(
        [mpiexec, "-n", str(ranks), *measure], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{ranks} ranks failed with status {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def table_of_ranks(reports: dict[int, list[dict[str, Any]]], cores: int) -> str:
    """A row for each number of ranks: medians over the rounds; gains paired within a round."""
    rows = []
    for ranks, own in reports.items():
        gain = median(one["step"] / many["step"] for one, many in zip(reports[1], own))
        same = all(many["same"] and many["digest"] == one["digest"] for one, many in zip(reports[1], own))
        step, exchange = (1e3 * median(report[key] for report in own) for key in ("step", "exchange"))
        speed = f"{gain:.2f}" if ranks <= cores else "more ranks than cores: no speed"
        cells = [f"{step:.1f}", f"{exchange:.2f}", f"{own[0]['sent'] / 1e6:.2f}", speed, "yes" if same else "NO"]
        rows.append([str(ranks), str(own[0]["threads"]), *cells])
    head = ["ranks", "threads a rank", "step ms", "exchange ms", "MB sent a rank", "gain", "the bytes of one rank"]
    return markdown(head, rows)


def costs_by_rate(model: dict[str, Any], batch: int, report: dict[str, Any], rate: float) -> Costs:
    """The costs of a batch of a model at a measured rate, in operations a second, of each thread. What every rank does
    for itself grows with the parameters and with the pixels, from what the report says of another model."""
    parts, shapes = shards(batch, ViTConfig(**model)), parameter_shapes(ViTConfig(**model))
    size = 4 * sum(math.prod(shape) for shape in shapes.values())
    pixels = batch * model["channels"] * math.prod(model["image_size"])
    augmentation = report["augmentation"] * pixels / report["pixels"]
    optimiser = report["optimiser"] * size / report["bytes"]
    shard = flops(model, math.ceil(batch / len(parts)), "step") / rate
    additions = report["bytes"] / report["addition"]
    return Costs(len(parts), report["threads"], shard, augmentation, optimiser, size, additions)


def prediction(costs: Costs, networks: list[Network]) -> tuple[str, list[str]]:
    """The table for 1 to 1,024 ranks, and a sentence for each network that says where more of them stop paying."""
    counts = [1 << k for k in range(MOST.bit_length())]
    rows, sentences = [[str(ranks)] for ranks in counts], []
    for network in networks:
        parts = {ranks: costs.parts(ranks, network) for ranks in counts}
        gain = {ranks: sum(parts[1]) / sum(own) for ranks, own in parts.items()}
        for row, ranks in zip(rows, counts):
            row += [digits(sum(parts[ranks])), digits(gain[ranks])]
        pays = next((ranks for ranks in counts[:-1] if gain[2 * ranks] < WORTH * gain[ranks]), MOST)
        work, augmentation, optimiser, exchange = (f"{100 * part / sum(parts[pays]):.0f} %" for part in parts[pays])
        sentences.append(
            f"{network.name} ({1e6 * network.latency:g} µs, {8e-9 * network.bandwidth:g} Gb/s): twice as many ranks "
            f"are at least {WORTH:g} times as fast up to {counted(pays, 'rank')}, {digits(gain[pays])} times as fast "
            f"as one. Of their step {work} are the {counted(costs.shards, 'shard')}, {augmentation} augmenting the "
            f"whole batch in every rank, {optimiser} the optimiser, {exchange} the exchange."
        )
    most = sum(costs.parts(1, networks[0])) / (costs.augmentation + costs.optimiser)
    sentences.append(
        f"However many shards there were, and however fast the network, no number of ranks would be more than "
        f"{digits(most)} times as fast: a step takes {digits(costs.augmentation)} s of augmentation and "
        f"{digits(costs.optimiser)} s of the optimiser in every rank."
    )
    head = ["ranks", *(f"{network.name}: {what}" for network in networks for what in ("step s", "gain"))]
    return markdown(head, rows), sentences


def digits(value: float) -> str:
    """Three digits, without an exponent."""
    return np.format_float_positional(value, precision=3, fractional=False, trim="-")


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        report = measured(sys.argv[2], *map(int, sys.argv[3:5]))
        if report["rank"] == 0:
            print(json.dumps(report))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["default", "small"], help="which are measured")
    parser.add_argument("--batch", type=positive, default=1024, help="images in a batch, of all ranks (default: 1024)")
    parser.add_argument("--predict", type=positive, default=4096, help="images in a predicted batch (default: 4096)")
    parser.add_argument(
        "--network", nargs=3, action="append", metavar=("NAME", "MICROSECONDS", "GIGABITS"),
        help="latency of a message and bandwidth, any number of times (default: "
        + ", ".join(f"{name} {latency:g} {bandwidth:g}" for name, latency, bandwidth in NETWORKS) + ")",
    )  # fmt: skip
    parser.add_argument("--rounds", type=positive, default=3, help="each runs every number of ranks once (default: 3)")
    parser.add_argument("--steps", type=positive, default=10, help="timed in each process (default: 10)")
    args = parser.parse_args()
    try:
        networks = [Network(name, 1e-6 * float(latency), 1.25e8 * float(bandwidth))
                    for name, latency, bandwidth in args.network or NETWORKS]  # fmt: skip
    except ValueError as error:
        parser.error(f"--network: {error}")
    every, last = [], {}
    for name in args.models:
        reports: dict[int, list[dict[str, Any]]] = {ranks: [] for ranks in COUNTS}
        for number in range(args.rounds):
            for ranks, own in reports.items():
                own.append(launch(ranks, name, args.batch, args.steps))
                step = f"{1e3 * own[-1]['step']:.1f} ms"
                print(f"round {number + 1}: {name}, {counted(ranks, 'rank')}: {step}", file=sys.stderr)
        every += reports.values()
        last = min(reports[1], key=lambda report: report["step"])
        last["pixels"] = args.batch * MODELS[name]["channels"] * math.prod(MODELS[name]["image_size"])
        rate = flops(MODELS[name], args.batch, "step") / (last["step"] - last["optimiser"]) / last["threads"]
        print(f"## {name}: batches of {args.batch} images in {last['shards']} shards\n")
        print(table_of_ranks(reports, available_cores()))
        show_prediction(MODELS[name], args.predict, last, rate, networks)
    print("\n## ViT-B/16: not measured, at the same rate as the last")
    show_prediction(LARGE, args.predict, last, rate, networks)
    print(f"\nmodels: {', '.join(args.models)}; rounds: {args.rounds}, steps in each: {args.steps}\n{machine(every)}")


def show_prediction(
    model: dict[str, Any], batch: int, report: dict[str, Any], rate: float, networks: list[Network]
) -> None:
    """Print it."""
    costs = costs_by_rate(model, batch, report, rate)
    table, sentences = prediction(costs, networks)
    print(
        f"\nPredicted for {costs.size // 4:,} parameters and batches of {batch} images in {costs.shards} shards, every "
        f"rank a machine like this one: {counted(costs.threads, 'thread')} of {digits(rate / 1e9)} billion operations "
        "a second.\n"
    )
    print(table, "", *sentences, sep="\n")


if __name__ == "__main__":
    main()
