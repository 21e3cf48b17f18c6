"""The contenders, and the child process that measures one of them.

    python -m benchmarks.contenders '{"contender": "minivit", "task": "step", ...}'      (a workload.Job)

prints one line of JSON. Every contender's function prepares a job and returns a function without arguments, which
computes one training step or one forward pass. A library is imported by the contender that needs it, so that peak
memory is its own.
"""

import json
import platform
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import workload
from .clock import timed
from .workload import Job

Run = Callable[[], float | None]


def minivit(job: Job, keep_memory: bool, all_tokens: bool = False) -> Run:
    """minivit's training step or forward pass, with or without freed memory kept in the process. The last block gives
    only the class token's output, as usual, or with all_tokens that of every token, as the peers do."""
    from minivit import ViT, ViTConfig, machine, parallel

    if all_tokens:
        parallel.vit_forward = partial(parallel.vit_forward, all_tokens=True)
    model = ViT(ViTConfig(**job.model), seed=0)
    if keep_memory:
        machine.keep_freed_memory()
    return (minivit_step if job.task == "step" else minivit_forward)(job, model)


def minivit_step(job: Job, model: Any, read: bool = True) -> Run:
    """A Trainer's step at a constant learning rate, the loss read as a float; with read=False it is not read."""
    from minivit.train.trainer import TrainConfig, Trainer

    settings = TrainConfig(
        batch_size=job.batch, threads=job.threads,
        learning_rate=workload.LEARNING_RATE, warmup_fraction=0.0, weight_decay=workload.WEIGHT_DECAY,
        beta1=workload.BETAS[0], beta2=workload.BETAS[1], label_smoothing=workload.LABEL_SMOOTHING,
        clip_norm=None,  # the peers do not clip either
    )  # fmt: skip
    images, labels = workload.random_batch(job.model, job.batch)
    trainer = Trainer(model, settings, total_steps=10**9)  # over so many steps the cosine is constant
    return lambda: float(trainer.step(images, labels)) if read else trainer.step(images, labels)


def minivit_forward(job: Job, model: Any) -> Run:
    """Logits as `predict` computes them: in shards whose caches are dropped."""
    from minivit.parallel import WorkerPool, predict_logits

    images, _ = workload.random_batch(job.model, job.batch)
    pool = WorkerPool(job.threads)

    def run() -> None:
        predict_logits(model.params, images, model.config, pool)

    return run


def torch_model(job: Job, sdpa: bool) -> Any:
    """The PyTorch peer, with the number of threads set."""
    import torch

    from .torch_vit import TorchViT

    torch.set_num_threads(job.threads)
    torch.manual_seed(0)
    return TorchViT(job.config, sdpa)


def torch_step(job: Job, model: Any, compiled: bool) -> Run:
    """Forward, label-smoothed cross-entropy, backward, AdamW in its fused form, the loss read as a float."""
    import torch
    import torch.nn.functional as F

    from .torch_vit import decay_groups

    images, labels = map(torch.from_numpy, workload.random_batch(job.model, job.batch))
    optimizer = torch.optim.AdamW(
        decay_groups(model, workload.WEIGHT_DECAY),
        lr=workload.LEARNING_RATE, betas=workload.BETAS, eps=workload.EPSILON, fused=True,
    )  # fmt: skip
    forward = torch.compile(model) if compiled else model

    def step() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(forward(images), labels, label_smoothing=workload.LABEL_SMOOTHING)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def torch_forward(job: Job, model: Any, compiled: bool) -> Run:
    """The forward pass in inference mode."""
    import torch

    images = torch.from_numpy(workload.random_batch(job.model, job.batch)[0])
    forward = torch.compile(model.eval()) if compiled else model.eval()

    def run() -> None:
        with torch.inference_mode():
            forward(images)

    return run


def pytorch(job: Job, sdpa: bool, compiled: bool) -> Run:
    """The PyTorch peer's step or forward pass."""
    task = torch_step if job.task == "step" else torch_forward
    return task(job, torch_model(job, sdpa), compiled)


def products(job: Job) -> Run:
    """The bare matrix products, in minivit's shards."""
    from .products import BareProducts

    return BareProducts(job)


MINIVIT, PRODUCTS, PYTORCH = "minivit", "bare products", "PyTorch"
ALL_TOKENS = f"{MINIVIT}, all tokens"
CONTENDERS: dict[str, Callable[[Job], Run]] = {
    MINIVIT: partial(minivit, keep_memory=True),
    ALL_TOKENS: partial(minivit, keep_memory=True, all_tokens=True),
    f"{MINIVIT}, freed memory not kept": partial(minivit, keep_memory=False),
    f"{PYTORCH}, matmul": partial(pytorch, sdpa=False, compiled=False),
    f"{PYTORCH}, SDPA": partial(pytorch, sdpa=True, compiled=False),
    f"{PYTORCH}, compiled matmul": partial(pytorch, sdpa=False, compiled=True),
    f"{PYTORCH}, compiled SDPA": partial(pytorch, sdpa=True, compiled=True),
    PRODUCTS: products,
}


def measure(job: Job) -> dict[str, Any]:
    """Set the contender up, warm it up, time its steps one by one."""
    return {**timed(CONTENDERS[job.contender](job), job.steps), "peak_bytes": peak_memory(), **software()}


def peak_memory() -> int | None:
    """The peak memory of this process, in bytes; None where the system does not report it (Windows).

    On Linux VmHWM is read, since `ru_maxrss` is inherited from the parent process there.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def software() -> dict[str, Any]:
    """Versions of what this process has imported, and the kernels of its BLAS as threadpoolctl names them."""
    from minivit.blas import kernels

    return {
        "versions": {
            "Python": platform.python_version(),
            **{name: version(package) for name, package in PACKAGES.items() if package in sys.modules},
        },
        "blas": kernels(),
    }


PACKAGES = {"NumPy": "numpy", "PyTorch": "torch"}


def report(job: Job) -> dict[str, Any]:
    """The measurement, or {"error": one line} if the contender cannot run."""
    try:
        return measure(job)
    except Exception as error:  # whatever a library raises
        return {"error": f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"}


if __name__ == "__main__":
    print(json.dumps(report(Job(**json.loads(sys.argv[1])))))
