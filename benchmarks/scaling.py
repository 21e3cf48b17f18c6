"""Time and peak memory of one training step, computed for all tokens in every block, as batch, tokens, width, depth and
threads grow, and its FLOP count."""

import json
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from .contenders import ALL_TOKENS, PRODUCTS
from .harness import arguments, machine, markdown, paired, run_rounds, series, settings
from .products import flops
from .workload import BATCHES, MODELS, Job

BATCH = (1, 4, 16, 64, 128, 512)
GRID = (2, 4, 7, 10, 14)  # patches along a side
WIDTH = (16, 32, 64, 128, 256)
DEPTH = (1, 3, 6, 12)
HEADER = ["axis", "value", "GFLOP", "ms", "GFLOP/s", "bare products ms", "of the bare products", "peak MB"]


class Point(NamedTuple):
    """One setting on one axis; every axis contains the model's usual setting."""

    axis: str
    value: int
    model: dict[str, Any]
    batch: int
    threads: int

    @property
    def gigaflops(self) -> float:
        return flops(self.model, self.batch, "step") / 1e9


def points(model: dict[str, Any], batch: int, threads: int) -> list[Point]:
    """The settings that are measured, axis by axis."""

    def varied(axis: str, value: int, **changes: Any) -> Point:
        return Point(axis, value, {**model, **changes}, batch, threads)

    patch, ratio = model["patch_size"], model["mlp_dim"] // model["dim"]
    class_token = model["pool"] == "cls"
    doublings = {2**power for power in range(threads.bit_length())} | {threads}
    return [
        *(Point("batch", value, model, value, threads) for value in BATCH),
        *(varied("tokens", side**2 + class_token, image_size=(side * patch,) * 2) for side in GRID),
        *(varied("width", dim, dim=dim, mlp_dim=ratio * dim) for dim in WIDTH if dim % model["heads"] == 0),
        *(varied("depth", depth, depth=depth) for depth in DEPTH),
        *(Point("threads", count, model, batch, count) for count in sorted(doublings)),
    ]


class Result(NamedTuple):
    """The measurements at one point: one value per round, of minivit and of the bare products."""

    point: Point
    milliseconds: list[float]
    products: list[float]
    peak_bytes: list[float]

    def row(self) -> list[str]:
        """A line of the table."""
        point, times, products, peak = self
        time, floor = median(times), median(products)
        return [
            point.axis, str(point.value), f"{point.gigaflops:.3f}", f"{time:.2f}",
            f"{1e3 * point.gigaflops / time:.1f}", f"{floor:.2f}", str(paired(times, products)),
            f"{median(peak) / 1e6:.0f}" if peak else "",
        ]  # fmt: skip


def speed_up(results: list[Result]) -> str:
    """A line on the speed-up from one thread to the most, in ratios formed within rounds; empty for a single count."""
    one, *_, most = [result for result in results if result.point.axis == "threads"] * 2
    if most is one:
        return ""
    gains = paired(one.milliseconds, most.milliseconds), paired(one.products, most.products)
    return f"{most.point.value} threads over one: {gains[0]} times as fast; the bare products {gains[1]}\n"


def plot(results: list[Result], path: Path) -> None:
    """Draw time and memory against every axis, and save the picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    axes = list(dict.fromkeys(result.point.axis for result in results))
    figure, panels = pyplot.subplots(2, len(axes), figsize=(3 * len(axes), 5.5), sharex="col", layout="constrained")
    for column, axis in enumerate(axes):
        chosen = [result for result in results if result.point.axis == axis]
        values = [result.point.value for result in chosen]
        times = [median(result.milliseconds) for result in chosen]
        top, bottom = panels[:, column]
        draw = top.plot if axis == "threads" else top.loglog
        draw(values, times, "o-", label="minivit")
        draw(values, [median(result.products) for result in chosen], "s--", label="bare products")
        if axis == "threads":
            top.set_ylim(bottom=0)
        else:
            rate = times[-1] / chosen[-1].point.gigaflops
            work = [rate * result.point.gigaflops for result in chosen]
            draw(values, work, ":", color="grey", label="in proportion to FLOPs")
        if chosen[0].peak_bytes:
            bottom.semilogx(values, [median(result.peak_bytes) / 1e6 for result in chosen], "o-")
        bottom.set_ylim(bottom=0)
        bottom.set_xticks(values, [str(value) for value in values])
        bottom.minorticks_off()
        bottom.set_xlabel(axis)
    panels[0, 0].set_ylabel("one step, ms")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    panels[1, 0].set_ylabel("peak memory of the process, MB")
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = arguments(__doc__, steps=10)
    parser.add_argument("--plot", type=Path, metavar="PNG", help="also draw the table (needs matplotlib)")
    args = parser.parse_args()
    measured = points(MODELS[args.model], BATCHES[args.model], args.threads)
    jobs = [
        Job(contender, "step", point.model, point.batch, point.threads, args.steps)
        for point in measured
        for contender in (ALL_TOKENS, PRODUCTS)
    ]
    reports = run_rounds(jobs, args.rounds)
    failure = next((report["error"] for own in reports for report in own if "error" in report), None)
    if failure:
        raise SystemExit(f"a measurement failed: {failure}")
    results = [
        Result(point, series(own, "milliseconds"), series(floor, "milliseconds"), series(own, "peak_bytes"))
        for point, own, floor in zip(measured, reports[::2], reports[1::2])
    ]
    if args.plot:
        plot(results, args.plot)
    if args.json:
        print(json.dumps([result._asdict() | {"point": result.point._asdict()} for result in results], indent=1))
        return
    print(markdown(HEADER, [result.row() for result in results]))
    print(f"\n{speed_up(results)}{settings(args)}\n{machine(reports)}")


if __name__ == "__main__":
    main()
