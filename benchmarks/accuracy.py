"""A finished run's validation accuracy against operations, images and seconds, beside the same training in PyTorch.

Both sides do the first steps of the run anew, from the same weights on the same batches with the same masks. Their
losses must agree; then they have the same accuracy after the same number of steps, and what differs is the time of a
step, which is measured in blocks that alternate. PyTorch computes attention in two ways, as two products and a softmax
and as `scaled_dot_product_attention`; in every block the faster of the two is compared. Neither is compiled.
"""

import argparse
import dataclasses
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from minivit import ViT, ViTConfig
from minivit.data import Split, load
from minivit.errors import MinivitError
from minivit.machine import keep_freed_memory
from minivit.run import Run, load_run
from minivit.run.load import reading_of
from minivit.run.records import read_metrics
from minivit.run.start import split_images
from minivit.train import Prefetcher, TrainConfig, Trainer, steps_per_epoch
from minivit.train.flops import training_flops

from .contenders import software
from .harness import SLOWING, clean_environment, machine, markdown, positive

LEVELS = 0.98, 0.99, 0.995
AGREE = 1e-4
TICKS = 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100  # of the validation error in the figure, in percent
BLOCK, SETTLING = 20, 2  # steps of one side before the other's turn, and how many of them are not timed
HEADER = ["to reach", "epochs", "operations", "images", "minivit s", "PyTorch s", "minivit / PyTorch"]


class Twins(NamedTuple):
    """The same steps on both sides: the losses, and the seconds of a step in every block, with this many threads."""

    threads: int
    losses: list[float]
    minivit: list[float]
    peer_losses: dict[str, list[float]]  # of PyTorch with each kind of attention
    peers: dict[str, list[float]]

    @property
    def torch(self) -> list[float]:
        """The seconds of the faster kind of attention in every block."""
        return [min(block) for block in zip(*self.peers.values())]

    @property
    def difference(self) -> float:
        """The largest relative difference of two losses."""
        pairs = [pair for losses in self.peer_losses.values() for pair in zip(self.losses, losses, strict=True)]
        return max(abs(one - other) / abs(other) for one, other in pairs)


class Curve(NamedTuple):
    """The validation accuracy of a run after each of its epochs."""

    name: str
    steps: list[int]
    accuracy: list[float]
    operations: list[float]
    images: list[int]

    def first(self, level: float) -> int | None:
        """The number of the first epoch, from 0, that reached this accuracy."""
        return next((i for i, reached in enumerate(self.accuracy) if reached >= level), None)

    def seconds(self, step: float) -> list[float]:
        """What the epochs took if one of the first steps takes this many seconds, and the others, which may leave out
        fewer patches, as many more as they need operations."""
        each = step / (self.operations[0] / self.steps[0])
        return [operations * each for operations in self.operations]


def settings_of(run: Run) -> tuple[ViTConfig, TrainConfig]:
    """The settings of a run. Raises ValueError if it has no curve, or PyTorch's side no counterpart: it must have held
    images out for validation, and trained a whole model from random weights, at one rate for all layers."""
    folder, settings = run.folder, run.settings
    if "train" not in settings:
        raise ValueError(f"{folder} holds a model without the settings of its training: give a run's folder")
    model, config = ViTConfig.from_dict(settings["model"]), TrainConfig.from_dict(settings["train"])
    if settings["init"] is not None or config.freeze is not None:
        raise ValueError(f"{folder} is not a training from the start: it had --init or --freeze")
    if config.layer_decay is not None:
        raise ValueError(f"{folder} had --layer-decay, which PyTorch's side has not")
    if not validations(folder):
        raise ValueError(f"{folder} held no images out for validation: train with --validation")
    return model, config


def validations(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl with a validation."""
    return [line for line in read_metrics(folder) if line["valid_accuracy"] is not None]


def curve(run: Run, model: ViTConfig, config: TrainConfig, images: int) -> Curve:
    """What the metrics of a run on so many training images say."""
    batch, lines = min(config.batch_size, images), validations(run.folder)
    total = config.epochs_for(images) * steps_per_epoch(batch, images)
    steps = [line["step"] for line in lines]
    whole = dataclasses.replace(config, batch_size=batch)
    operations = [float(training_flops(model, whole, each, total)) for each in steps]
    seen = [batch * each for each in steps]
    return Curve(run.folder.name, steps, [line["valid_accuracy"] for line in lines], operations, seen)


def twins(model: ViTConfig, config: TrainConfig, train: Split, steps: int) -> Twins:
    """The first steps of a run on these images, on both sides, in alternating blocks."""
    import torch

    from .torch_training import TorchTrainer

    epochs = config.epochs_for(len(train.labels))
    total = epochs * steps_per_epoch(config.batch_size, len(train.labels))
    trainer = Trainer(ViT(model, config.seed), config, total)
    peers = {"matmul": TorchTrainer(trainer, sdpa=False)}
    if not trainer.model.config.attention_dropout:  # its mask can be given to products only
        peers["SDPA"] = TorchTrainer(trainer, sdpa=True)
    torch.set_num_threads(trainer.pool.threads)
    result = Twins(trainer.pool.threads, [], [], {name: [] for name in peers}, {name: [] for name in peers})
    with trainer.pool, Prefetcher(trainer, train, epochs) as prefetcher:
        for start in range(0, min(steps, total), BLOCK):
            numbers = range(start, min(start + BLOCK, steps, total))
            batches = [prefetcher[step] for step in numbers]
            rates, masks, times = [], [], []
            for step, batch in zip(numbers, batches):
                rates.append(trainer.learning_rate)
                masks.append(peers["matmul"].masks(len(batch[0]), step))
                began = time.perf_counter()
                result.losses.append(float(trainer.update(*batch).loss))
                times.append(time.perf_counter() - began)
            result.minivit.append(median(times[SETTLING:] or times))
            for name, peer in peers.items():
                times = []
                for step, batch, rate, mask in zip(numbers, batches, rates, masks):
                    began = time.perf_counter()
                    result.peer_losses[name].append(peer.update(*batch, rate, step, mask))
                    times.append(time.perf_counter() - began)
                result.peers[name].append(median(times[SETTLING:] or times))
    return result


def table(of: Curve, both: Twins) -> str:
    """What each level of accuracy took."""
    ratio = np.median([one / other for one, other in zip(both.minivit, both.torch)])
    rows = []
    for level in LEVELS:
        epoch = of.first(level)
        if epoch is None:
            rows.append([f"{100 * level:g} %", "not reached", *[""] * 5])
            continue
        seconds = [of.seconds(median(times))[epoch] for times in (both.minivit, both.torch)]
        rows.append([
            f"{100 * level:g} %", str(epoch + 1), f"{of.operations[epoch]:.2g}", f"{of.images[epoch]:,}",
            f"{seconds[0]:.0f}", f"{seconds[1]:.0f}", f"{ratio:.2f}",
        ])  # fmt: skip
    return markdown(HEADER, rows)


def plot(of: Curve, both: Twins, path: Path) -> None:
    """Draw the error against operations, images and seconds."""
    from minivit.plotting import new_figure, save_figure

    figure = new_figure(11, 3.6)
    error = [100 * (1 - reached) for reached in of.accuracy]
    panels = figure.subplots(1, 3, sharey=True)
    seconds = [of.seconds(median(times)) for times in (both.minivit, both.torch)]
    for axes, values, label in zip(panels, (of.operations, of.images, seconds[0]), ("operations", "images", "seconds")):
        axes.plot(values, error, color="#0072b2", marker=".", label="minivit")
        axes.set(xlabel=label, yscale="log")
        for level in LEVELS:
            axes.axhline(100 * (1 - level), color="grey", linewidth=0.6, linestyle=":")
    panels[2].plot(seconds[1], error, color="#d55e00", marker=".", label=f"PyTorch (time of {len(both.losses)} steps)")
    panels[0].set_ylabel("validation error (%)")
    panels[0].set_yticks([each for each in TICKS if min(error) / 2 <= each <= 2 * max(error)], minor=False)
    panels[0].yaxis.set_major_formatter("{x:g}")
    panels[0].yaxis.set_minor_formatter("")
    panels[2].legend(frameon=False)
    save_figure(figure, path)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a finished run with a validation split")
    parser.add_argument("--steps", type=positive, default=200, help="steps that both sides do (default: 200)")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="also draw the curves")
    args = parser.parse_args()
    if set(SLOWING) & set(os.environ):  # NumPy has read them: measured is a fresh process without them
        command = [sys.executable, "-m", "benchmarks.accuracy", *sys.argv[1:]]
        return subprocess.run(command, env=clean_environment()).returncode
    if find_spec("torch") is None:
        parser.error('PyTorch is missing: pip install ".[reference]"')
    try:
        run = load_run(args.run)
        model, config = settings_of(run)
        train = split_images(load(run.settings["data"], reading_of(run)), config).train
    except (MinivitError, ValueError, OSError) as error:
        parser.error(str(error))
    keep_freed_memory()
    of = curve(run, model, config, len(train.labels))
    both = twins(model, config, train, args.steps)
    print(table(of, both))
    agree = both.difference <= AGREE
    print(f"\n{len(both.losses)} steps on both sides: the losses differ by {both.difference:.1e} at most", end="")
    print("" if agree else f", more than {AGREE:g}: these are not the same training")
    kinds = ", ".join(f"{name} {1000 * median(times):.1f}" for name, times in both.peers.items())
    print(f"ms of a step: minivit {1000 * median(both.minivit):.1f}; PyTorch, by kind of attention: {kinds}")
    print(f"{args.run}, threads: {both.threads}\n{machine([[software()]])}")
    if args.plot is not None:
        plot(of, both, args.plot)
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
