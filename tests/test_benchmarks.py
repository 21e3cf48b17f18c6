"""The benchmark harness: its arithmetic, its tables, and that the commands run. No time is asserted."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks import accuracy, against, contenders, epoch, harness, ranks, scaling
from benchmarks.harness import HEADER, Ratio, best, comparison, machine, markdown, paired, run_child, run_rounds, series
from benchmarks.products import BareProducts, flops
from benchmarks.workload import MODELS, Job
from minivit import ViTConfig
from minivit.train.flops import forward_products
from tests.tools import tiny

LITTLE = {**MODELS["small"], "dim": 8, "depth": 2, "heads": 2, "mlp_dim": 12}
TORCH = ("PyTorch, matmul", "PyTorch, SDPA")


def job(contender: str, batch: int = 3, task: str = "step") -> Job:
    return Job(contender, task, LITTLE, batch, threads=2, steps=2)


def report(milliseconds: float, megabytes: float | None = 100.0) -> dict:
    peak = None if megabytes is None else 1e6 * megabytes
    return {"milliseconds": milliseconds, "peak_bytes": peak, "versions": {"NumPy": "2"}, "blas": ["openblas 0.3 Zen"]}


def test_ratios_are_formed_inside_a_round_before_the_median():
    """The second round was three times slower for everyone: the ratio does not notice, the medians would."""
    ratio = paired([10.0, 30.0, 12.0], [20.0, 60.0, 20.0])
    assert ratio == Ratio(0.5, 0.5, 0.6)
    assert str(ratio) == "0.50 (0.50 to 0.60)"
    assert paired([], [1.0]) is None and paired([1.0], []) is None


def test_the_best_is_chosen_in_each_round():
    assert best([[3.0, 1.0], [2.0, 5.0], []]) == [2.0, 1.0]
    assert best([]) == []


def test_a_series_with_a_missing_number_is_empty():
    assert series([report(1.0), report(2.0)], "milliseconds") == [1.0, 2.0]
    assert series([report(1.0, None), report(2.0)], "peak_bytes") == []
    assert series([{"error": "no"}], "milliseconds") == []


def test_the_table_compares_with_the_best_of_the_same_batch():
    jobs = [job(name, batch) for batch in (3, 1) for name in ("minivit", *TORCH, "bare products")]
    times = [(5, 10), (10, 40), (20, 20), (4, 4), (1, 1), (2, 2), (4, 4), (0.5, 0.5)]
    memory = [20, 400, 200, 10] * 2
    reports = [[report(time, peak) for time in pair] for pair, peak in zip(times, memory)]
    rows = comparison(jobs, reports)
    assert rows[0] == [
        "3",
        "minivit",
        "7.50",
        "0.50 (0.50 to 0.50)",
        "1.88 (1.25 to 2.50)",
        "20",
        "0.10 (0.10 to 0.10)",
    ]
    assert rows[1][2:4] == ["25.00", "1.50 (1.00 to 2.00)"]
    assert rows[4][:4] == ["1", "minivit", "1.00", "0.50 (0.50 to 0.50)"]
    assert all(len(row) == len(HEADER) for row in rows)


def test_a_peer_that_is_missing_is_a_row_that_says_so():
    jobs = [job("minivit"), job(TORCH[0]), job("bare products")]
    missing = "ModuleNotFoundError: No module named 'torch'"
    rows = comparison(jobs, [[report(5.0)], [{"error": missing}], [report(4.0, None)]])
    assert rows[0][3] == "" and rows[0][4] == "1.25 (1.25 to 1.25)"
    assert rows[1] == ["3", TORCH[0], f"did not run: {missing}", "", "", "", ""]
    assert rows[2][5] == ""


def test_a_table_is_markdown_whatever_an_error_says():
    table = markdown(["a", "long name"], [["1", "x | y"]]).splitlines()
    assert table == ["| a | long name |", "|---|-----------|", "| 1 | x \\| y    |"]


def test_the_machine_line_collects_versions_and_kernels():
    line = machine([[report(1.0)], [{"error": "no"}], [{**report(1.0), "versions": {"PyTorch": "2.13"}}]])
    assert "cores" in line and line.endswith("NumPy 2, PyTorch 2.13; openblas 0.3 Zen")


def test_a_job_that_failed_is_not_tried_again(monkeypatch):
    tried = []

    def run(of: Job) -> dict:
        tried.append(of.contender)
        return {"error": "broken"} if of.contender == "minivit" else report(1.0)

    monkeypatch.setattr(harness, "run_child", run)
    reports = run_rounds([job("minivit"), job("bare products")], rounds=3)
    assert tried == ["minivit", "bare products", "bare products", "bare products"]
    assert [len(own) for own in reports] == [3, 3]


def test_children_do_not_inherit_what_slows_openblas(monkeypatch):
    seen = {}

    def run(command: list[str], env: dict, **settings: object) -> subprocess.CompletedProcess:
        seen.update(env)
        return subprocess.CompletedProcess(command, 0, stdout='{"milliseconds": 1.0}\n', stderr="")

    for name in harness.SLOWING:
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(harness.subprocess, "run", run)
    assert run_child(job("minivit")) == {"milliseconds": 1.0}
    assert seen["PATH"] == os.environ["PATH"]
    assert not set(harness.SLOWING) & set(seen)


def test_a_child_that_fails_reports_one_line():
    assert run_child(job("nobody")) == {"error": "KeyError: 'nobody'"}


def test_a_child_that_dies_reports_its_status(monkeypatch):
    dead = subprocess.CompletedProcess([], -9, stdout="", stderr="")
    monkeypatch.setattr(harness.subprocess, "run", lambda *_, **__: dead)
    assert run_child(job("minivit")) == {"error": "the process ended with status -9"}


@pytest.mark.parametrize("name", MODELS)
def test_the_products_add_up_to_the_formula(name):
    """2·N·C·P²·D + L·(8·T·D² + 4·T²·D + 4·T·D·F) + 2·D·K for each image, three times in a step but for the pixels."""
    config = ViTConfig(**MODELS[name])
    D, T, N = config.dim, config.tokens, config.patches
    patches = 2 * N * config.channels * config.patch_size**2 * D
    block = 8 * T * D**2 + 4 * T**2 * D + 4 * T * D * config.mlp_dim
    formula = patches + config.depth * block + 2 * D * config.classes
    assert flops(MODELS[name], 3, "forward") == 3 * formula
    assert flops(MODELS[name], 3, "step") == 3 * (3 * formula - patches)


def test_the_bare_products_are_products():
    floor = BareProducts(job(contenders.PRODUCTS))
    floor()
    operands = floor.operands(2)
    assert len(operands) == len(forward_products(ViTConfig(**LITTLE), 2))
    for product in operands:
        product.forward()
        product.backward()
        assert product.c == pytest.approx(product.a @ product.b, rel=1e-4, abs=1e-4)
        assert product.db == pytest.approx(product.a.swapaxes(1, 2) @ product.c, rel=1e-4, abs=1e-3)
    assert operands[1].da == pytest.approx(operands[1].c @ operands[1].b.swapaxes(1, 2), rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("task", ["step", "forward"])
def test_what_a_child_measures(task):
    measured = contenders.measure(
        job(contenders.MINIVIT, task=task)._replace(contender="minivit, freed memory not kept")
    )
    assert measured["milliseconds"] > 0
    assert measured["peak_bytes"] is None or 1e6 < measured["peak_bytes"] < 1e12
    assert {"Python", "NumPy"} <= set(measured["versions"])
    assert measured["blas"]


def test_every_block_is_computed_in_full_where_the_contender_says_so(monkeypatch):
    from minivit import parallel

    backward, queries = parallel.vit_backward, []

    def counting(dlogits, cache, **settings):
        queries.append(cache.blocks[-1].attn.dot.q.shape[2])
        return backward(dlogits, cache, **settings)

    monkeypatch.setattr(parallel, "vit_backward", counting)
    monkeypatch.setattr(parallel, "vit_forward", parallel.vit_forward)  # what ALL_TOKENS changes is put back afterwards
    for contender in (contenders.MINIVIT, contenders.ALL_TOKENS):
        contenders.CONTENDERS[contender](job(contender))()
    shards = len(queries) // 2
    assert queries == [1] * shards + [ViTConfig(**LITTLE).tokens] * shards and shards


def test_every_axis_passes_through_the_model_as_it_is():
    settings = scaling.points(MODELS["small"], 128, threads=6)
    usual = {"batch": 128, "tokens": 50, "width": 64, "depth": 6, "threads": 6}
    for axis, value in usual.items():
        on_axis = [point for point in settings if point.axis == axis]
        (base,) = [point for point in on_axis if point.value == value]
        assert (ViTConfig(**base.model), base.batch, base.threads) == (ViTConfig(**MODELS["small"]), 128, 6)
        assert [point.value for point in on_axis] == sorted(point.value for point in on_axis)
        assert all(ViTConfig(**point.model).tokens == point.value for point in on_axis if axis == "tokens")
    assert [point.value for point in settings if point.axis == "threads"] == [1, 2, 4, 6]


def command(name: str, *arguments: str) -> str:
    """What a benchmark command prints on stdout, in one quick round."""
    quick = [sys.executable, "-m", f"benchmarks.{name}", "--rounds", "1", "--steps", "1", "--threads", "1", *arguments]
    return subprocess.run(quick, cwd=harness.ROOT, check=True, capture_output=True, text=True).stdout


def test_the_step_command_prints_one_table_and_the_machine():
    table, _, footer = command("step", "--batch", "2", "--contenders", "minivit", "bare products").partition("\n\n")
    header, rule, *rows = table.splitlines()
    assert [cell.strip() for cell in header.strip("| ").split("|")] == HEADER
    assert set(rule) == {"|", "-"}
    assert [row.split("|")[2].strip() for row in rows] == ["minivit", "bare products"]
    assert all(float(row.split("|")[3]) > 0 for row in rows)
    assert footer.startswith("small model; threads: 1, rounds: 1, steps in each: 1") and "NumPy" in footer


def test_the_inference_command_gives_every_measurement_as_json():
    results = json.loads(command("inference", "--json", "--batch", "2", "1", "--contenders", "minivit"))
    assert [(result["batch"], result["task"]) for result in results] == [(2, "forward"), (1, "forward")]
    assert all(len(result["rounds"]) == 1 and result["rounds"][0]["milliseconds"] > 0 for result in results)


def test_where_an_epoch_goes(tmp_path):
    data = tiny.write_data(tmp_path / "data", 60, 20)
    watched = [sys.executable, "-m", "benchmarks.epoch", "--data", data, *tiny.flags(epochs=20)]
    out = subprocess.run(watched, cwd=harness.ROOT, check=True, capture_output=True, text=True).stdout
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in out.splitlines() if line[:1] == "|"]
    seconds = {name: float(spent) for name, spent, _ in rows[2:]}
    parts = set(seconds) - {"together", epoch.BESIDE}
    assert parts == {epoch.STEP, epoch.WAITING, epoch.OTHER, "validation", "progress bar",
                     "saving the state"}  # fmt: skip
    assert seconds[epoch.STEP] > 0 and 0 <= seconds[epoch.OTHER] < 0.5 * seconds["together"]


def test_threads_are_held_against_one_thread_inside_the_rounds():
    one, two, four = scaling.points(LITTLE, 4, threads=4)[-3:]
    times = (one, [8.0, 9.0, 12.0]), (two, [5.0, 5.0, 5.0]), (four, [2.0, 3.0, 3.0])
    results = [scaling.Result(point, own, [6.0] * 3, []) for point, own in times]
    line = "4 threads over one: 4.00 (3.00 to 4.00) times as fast; the bare products 1.00 (1.00 to 1.00)\n"
    assert scaling.speed_up(results) == line
    assert scaling.speed_up(results[:1]) == ""


def test_the_scaling_results_make_a_table_and_a_picture(tmp_path):
    pytest.importorskip("matplotlib", reason='draws the plot: pip install ".[viz]"')
    settings = scaling.points(LITTLE, 4, threads=2)
    results = [scaling.Result(point, [4.0, 6.0], [2.0, 3.0], [5e7, 5e7]) for point in settings]
    row = results[0].row()
    assert len(row) == len(scaling.HEADER)
    assert row[:2] == ["batch", "1"] and row[3] == "5.00" and row[5:] == ["2.50", "2.00 (2.00 to 2.00)", "50"]
    scaling.plot(results, tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")


def test_an_overhead_is_paired_with_that_of_the_other_checkout_in_its_round():
    probe = ["old", "old, in full", list(LITTLE)]
    rows = against.entries("small", harness.ROOT, probe, threads=1, steps=1)
    times = {"minivit, all tokens": (30, 50), "DIR, minivit, all tokens": (40, 50), "bare products": (20, 30)}
    reports = []
    for row in rows:
        own = times.get(row.name)
        reports.append(
            [{**report(t), "processor_milliseconds": 2.0 * t} for t in own] if own else [{"error": "no"}] * 2
        )
    cells = {row[1]: row for row in against.table("small", rows, reports)}
    assert cells["minivit, all tokens"][2:5] == ["40.0", "15.00 (12.50 to 17.50)", "0.75 (0.62 to 0.88)"]
    assert cells["minivit, all tokens"][5:8] == ["80.0", "30.00 (25.00 to 35.00)", "0.75 (0.62 to 0.88)"]
    assert cells["bare products"][2:5] == ["25.0", "", ""]
    assert cells["PyTorch, SDPA"][2] == "did not run: no"
    assert all(len(row) == len(against.HEADER) for row in cells.values())


def test_another_checkout_is_measured_in_the_same_rounds():
    printed = command("step", "--against", str(harness.ROOT), "--model", "default")
    names = [row.split("|")[2].strip() for row in printed.splitlines()[2:-4]]
    assert names[:4] == ["minivit, all tokens", "DIR, minivit, all tokens", "minivit", "DIR, minivit"]
    assert names[-1] == "bare products" and "processor ms" in printed


def test_without_a_card_the_rows_say_so():
    table = command("step", "--device", "gpu")
    assert table.count("did not run") == 2 and "no card" in table


def test_the_predicted_step_of_ranks():
    """Five shards on two threads: three rounds for one rank, of three and two shards two and one for two ranks."""
    costs = ranks.Costs(5, threads=2, shard=0.1, augmentation=0.01, optimiser=0.02, size=800, additions=8000.0)
    network = ranks.Network("slow", latency=1e-3, bandwidth=400.0)
    assert costs.parts(1, network) == pytest.approx((0.3, 0.01, 0.02, 0))
    assert costs.parts(2, network) == pytest.approx((0.2, 0.01, 0.02, 2 * 1e-3 + 800 / 400 + 0.1))
    assert costs.parts(8, network) == pytest.approx((0.1, 0.01, 0.02, 14 * 1e-3 + 2 * 7 / 8 * 800 / 400 + 0.1))


def test_where_more_ranks_stop_paying():
    """Sixteen shards, which cost all there is; then a slow network; then augmentation, which every rank does."""
    costs = ranks.Costs(16, threads=1, shard=0.1, augmentation=1e-4, optimiser=1e-4, size=8, additions=1e9)
    networks = [ranks.Network("fast", 1e-6, 1e9), ranks.Network("slow", 10.0, 1e9)]
    table, (fast, slow, most) = ranks.prediction(costs, networks)
    lines = table.splitlines()
    assert len(lines) == 2 + 11 and lines[6].split() == "| 16 | 0.1 | 16 | 300 | 0.00533 |".split()
    assert fast.startswith("fast (1 µs, 8 Gb/s): ") and "up to 16 ranks, 16 times as fast as one" in fast
    assert "Of their step 100 % are the 16 shards, 0 % augmenting" in fast
    assert "up to 1 rank, 1 times as fast" in slow and "more than 8000 times as fast" in most
    _, (fast, _, most) = ranks.prediction(costs._replace(augmentation=0.7), networks)
    assert "up to 2 ranks, 1.53 times" in fast and "47 % augmenting" in fast and "more than 3.29 times" in most


def test_the_table_of_ranks_compares_bytes_and_marks_what_proves_no_speed():
    def of(step, digest="a", same=True):
        return {"step": step, "exchange": 0.001, "sent": 2e6, "threads": 1, "digest": digest, "same": same}

    reports = {1: [of(0.4), of(0.8)], 2: [of(0.2), of(0.5)], 4: [of(0.1), of(0.1, digest="b")]}
    one, two, four = ranks.table_of_ranks(reports, cores=2).splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in (one, two, four)]
    assert cells[0] == ["1", "1", "600.0", "1.00", "2.00", "1.00", "yes"]
    assert cells[1][5:] == ["1.80", "yes"]
    assert cells[2][5:] == ["more ranks than cores: no speed", "NO"]


def test_the_seconds_of_a_run_follow_its_operations():
    """Later steps, which leave no patch out, need more operations than those that were timed, and as much more time."""
    curve = accuracy.Curve("run", [10, 20, 30], [0.9, 0.97, 0.981], [40.0, 80.0, 140.0], [640, 1280, 1920])
    assert curve.seconds(0.5) == [5.0, 10.0, 17.5]
    assert [curve.first(level) for level in (0.95, 0.98, 0.99)] == [1, 2, None]
