"""`python -m benchmarks.step --device gpu`: a training step of minivit and of PyTorch on the same card.

Both are profiled with PyTorch's profiler, which sees every kernel of the process, CuPy's too: launches are the kernels
of a step, busy time is the sum of what they took, and idle is the rest of the step, in which the card waited for the
host. Each contender runs in a process of its own.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from . import workload
from .contenders import MINIVIT, PYTORCH, minivit_step, software
from .harness import ROOT, machine, markdown
from .workload import BATCHES, MODELS, Job

HEADER = ["batch", "contender", "step ms", "launches", "idle", "peak MB"]
WARM_UP = 10  # steps: kernels are compiled in the first, and the memory pool is full after some


def minivit_on_card(job: Job) -> tuple[Callable[[], Any], Callable[[], int]]:
    """A step without a wait, and the bytes that CuPy's memory pool holds."""
    import cupy

    from minivit import ViT, ViTConfig

    step = minivit_step(job, ViT(ViTConfig(**job.model), seed=0, device="gpu"), read=False)
    return step, cupy.get_default_memory_pool().total_bytes


def torch_on_card(job: Job) -> tuple[Callable[[], Any], Callable[[], int]]:
    """The same of PyTorch, attention as `scaled_dot_product_attention`, fused AdamW."""
    import torch
    import torch.nn.functional as F

    from .torch_vit import TorchViT, decay_groups

    torch.manual_seed(0)
    model = TorchViT(job.config, True).cuda()
    images, labels = (torch.from_numpy(array).cuda() for array in workload.random_batch(job.model, job.batch))
    optimizer = torch.optim.AdamW(
        decay_groups(model, workload.WEIGHT_DECAY),
        lr=workload.LEARNING_RATE, betas=workload.BETAS, eps=workload.EPSILON, fused=True,
    )  # fmt: skip

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels, label_smoothing=workload.LABEL_SMOOTHING).backward()
        optimizer.step()

    return step, torch.cuda.max_memory_reserved


CONTENDERS = {MINIVIT: minivit_on_card, f"{PYTORCH}, SDPA": torch_on_card}


def measure(job: Job) -> dict[str, Any]:
    """Time `steps` steps with a wait at their end, then profile as many."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    if not torch.cuda.is_available():
        raise RuntimeError("PyTorch finds no CUDA card")
    run, peak = CONTENDERS[job.contender](job)

    def steps(count: int) -> float:
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(count):
            run()
        torch.cuda.synchronize()
        return (time.perf_counter() - start) / count

    steps(WARM_UP)
    seconds = median(steps(job.steps) for _ in range(5))
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        steps(job.steps)
    kernels = [event for event in profiler.events() if event.device_type.name == "CUDA"]
    busy = sum(event.time_range.elapsed_us() for event in kernels) / job.steps
    return {
        "milliseconds": 1e3 * seconds,
        "launches": len(kernels) / job.steps,
        "idle": max(0.0, 1 - busy / (1e6 * seconds)),
        "peak_bytes": peak(),
        "card": torch.cuda.get_device_name(),
        **software(),
    }


def compare_on_card(args: argparse.Namespace) -> None:
    """Measure both contenders in turn, and print one table."""
    batches = vars(args).get("batch") or [BATCHES[args.model]]
    rows, reports = [], []
    for batch in batches:
        for contender in CONTENDERS:
            job = Job(contender, "step", MODELS[args.model], batch, 1, args.steps)
            command = [sys.executable, "-m", "benchmarks.card", json.dumps(job._asdict())]
            child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            report = json.loads(child.stdout.splitlines()[-1]) if child.returncode == 0 else {"error": "it ended early"}
            reports.append(report)
            cells = [f"did not run: {report.get('error')}", "", "", ""]
            if "error" not in report:
                cells = [f"{report['milliseconds']:.2f}", f"{report['launches']:.0f}", f"{report['idle']:.0%}",
                         f"{report['peak_bytes'] / 1e6:.0f}"]  # fmt: skip
            rows.append([str(batch), contender, *cells])
    print(markdown(HEADER, rows))
    cards = sorted({report["card"] for report in reports if "card" in report}) or ["no card"]
    print(f"\n{args.model} model; steps: {args.steps}; {', '.join(cards)}\n{machine([reports])}")


if __name__ == "__main__":
    try:
        result = measure(Job(**json.loads(sys.argv[1])))
    except Exception as error:  # whatever a library raises
        result = {"error": f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"}
    print(json.dumps(result))
