"""The benchmarks compare like with like: both sides are given the same weights, and what they do is the same."""

import numpy as np
import pytest

from benchmarks import contenders, workload
from benchmarks.products import flops
from benchmarks.workload import MODELS, Job
from minivit import ViT, ViTConfig
from minivit.ops.loss import cross_entropy_backward, cross_entropy_forward

from .agreement import assert_agrees, torch

pytestmark = pytest.mark.reference

BOUND = 1e-4  # relative, in float32
BATCHES = {"small": 6, "default": 5, "tiny": 2, "small16": 1}
ATTENTION = {"matmul": False, "SDPA": True}


def job(name: str, task: str = "step") -> Job:
    return Job(contenders.MINIVIT, task, MODELS[name], BATCHES[name], threads=1, steps=1)


@pytest.mark.parametrize("all_tokens", [False, True])
@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("name", MODELS)
def test_same_weights_in_same_gradients_out(name, attention, all_tokens):
    model = ViT(ViTConfig(**MODELS[name]), seed=0)
    images, labels = workload.random_batch(MODELS[name], BATCHES[name])
    logits, cache = model.forward(images, all_tokens=all_tokens)
    loss, loss_cache = cross_entropy_forward(logits, labels, workload.LABEL_SMOOTHING)
    grads, _ = model.backward(cross_entropy_backward(1.0, loss_cache), cache)
    assert logits.dtype == grads.flat.dtype == np.float32

    peer = contenders.torch_model(job(name), sdpa=ATTENTION[attention])
    peer.load_minivit(model.params)
    expected = peer(torch.from_numpy(images))
    expected_loss = torch.nn.functional.cross_entropy(
        expected, torch.from_numpy(labels), label_smoothing=workload.LABEL_SMOOTHING
    )
    expected_loss.backward()
    assert_agrees("logits", logits, expected.detach(), BOUND)
    assert_agrees("loss", loss, expected_loss.detach(), BOUND)
    for parameter, theirs in peer.minivit_grads().items():
        assert_agrees(parameter, grads[parameter], theirs, BOUND)


@pytest.mark.parametrize("attention", ATTENTION)
def test_the_measured_steps_lower_the_loss_alike(attention):
    model = ViT(ViTConfig(**MODELS["small"]), seed=0)
    peer = contenders.torch_model(job("small"), sdpa=ATTENTION[attention])
    peer.load_minivit(model.params)
    ours = contenders.minivit_step(job("small"), model)
    theirs = contenders.torch_step(job("small"), peer, compiled=False)
    losses = np.array([(ours(), theirs()) for _ in range(8)])
    assert losses[:, 0] == pytest.approx(losses[:, 1], rel=BOUND)
    assert losses[-1, 0] < 0.9 * losses[0, 0]


def test_the_measured_forward_passes_give_the_same_logits():
    """Both forward contenders compute what `forward` computes; the measured functions throw it away."""
    from minivit.parallel import WorkerPool, predict_logits

    model = ViT(ViTConfig(**MODELS["small"]), seed=0)
    images, _ = workload.random_batch(MODELS["small"], 6)
    peer = contenders.torch_model(job("small", "forward"), sdpa=True).eval()
    peer.load_minivit(model.params)
    with torch.inference_mode():
        expected = peer(torch.from_numpy(images))
    assert_agrees("logits", predict_logits(model.params, images, model.config, WorkerPool(2)), expected, BOUND)


@pytest.mark.parametrize("name", MODELS)
def test_torch_counts_as_many_operations(name):
    """PyTorch's own counter, on the peer, finds the products that the floor is made of."""
    from torch.utils.flop_counter import FlopCounterMode

    batch = BATCHES[name]
    peer = contenders.torch_model(job(name), sdpa=False)
    images, labels = map(torch.from_numpy, workload.random_batch(MODELS[name], batch))
    with FlopCounterMode(display=False) as forward:
        logits = peer(images)
    with FlopCounterMode(display=False) as backward:
        torch.nn.functional.cross_entropy(logits, labels).backward()
    assert forward.get_total_flops() == flops(MODELS[name], batch, "forward")
    step = forward.get_total_flops() + backward.get_total_flops()
    assert step == flops(MODELS[name], batch, "step")
