"""AdamW, clipping and the schedule against torch.optim, in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minivit.config import ViTConfig
from minivit.initial import initial_params
from minivit.model import vit_backward, vit_forward
from minivit.ops.loss import cross_entropy_backward, cross_entropy_forward
from minivit.optim import AdamWState, adamw_step, clip_by_norm, decay_vector, warmup_cosine

from .agreement import assert_agrees, torch, torch_vit

pytestmark = pytest.mark.reference

SHAPES = {"fc.weight": (5, 7), "fc.bias": (7,), "cls_token": (1, 1, 5), "norm.weight": (5,), "head.weight": (7, 3)}


@pytest.mark.parametrize("beta1, beta2, eps", [(0.9, 0.999, 1e-8), (0.9, 0.99, 1e-3), (0.0, 0.5, 1e-8)])
def test_adamw_is_torchs_over_several_steps_with_the_decay_mask(beta1, beta2, eps):
    rng = np.random.default_rng(20_260_103)
    decay = decay_vector(SHAPES, 0.3, "float64")
    ours = rng.standard_normal(decay.size)
    state = AdamWState.zeros_like(ours)
    theirs = [torch.nn.Parameter(torch.from_numpy(part)) for part in split(ours.copy())]
    groups = [
        {"params": [p for p in theirs if p.ndim == 2], "weight_decay": 0.3},
        {"params": [p for p in theirs if p.ndim != 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(beta1, beta2), eps=eps)
    for step in range(6):
        grads = rng.standard_normal(ours.size) * 10.0 ** rng.integers(-6, 3, ours.size)
        learning_rate = 0.1 / (step + 1)
        adamw_step(ours, grads, state, learning_rate, decay, beta1, beta2, eps)
        for parameter, gradient in zip(theirs, split(grads)):
            parameter.grad = torch.from_numpy(gradient)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()
        for name, part, parameter in zip(SHAPES, split(ours), theirs):
            assert_agrees(f"{name} after step {step}", part, parameter.detach(), 1e-14)


def split(vector: np.ndarray) -> list[np.ndarray]:
    """The vector's parts in the shapes of SHAPES."""
    sizes = [int(np.prod(shape)) for shape in SHAPES.values()]
    parts = np.split(vector, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, SHAPES.values())]


@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clipping_is_torchs(limit):
    grads = np.random.default_rng(20_260_104).standard_normal(40)
    theirs = torch.nn.Parameter(torch.zeros(40, dtype=torch.float64))
    theirs.grad = torch.tensor(grads)
    expected_norm = torch.nn.utils.clip_grad_norm_([theirs], limit)
    norm = clip_by_norm(grads, limit)
    assert_agrees("norm", norm, expected_norm, 1e-15)
    clipped = norm > limit
    torchs_norm = norm + 1e-6 if clipped else norm  # it divides by the norm plus 1e-6
    assert_agrees("gradients", grads * norm / torchs_norm, theirs.grad, 1e-14)
    assert clipped == (limit < 1)


def test_the_schedule_is_torchs_line_and_cosine():
    peak, warmup, total, final = 0.02, 5, 40, 0.1
    schedulers = torch.optim.lr_scheduler
    rates = torch_rates(peak, warmup, lambda sgd: schedulers.LinearLR(sgd, 1 / warmup, 1.0, warmup - 1))
    rates += torch_rates(
        peak, total - warmup + 1, lambda sgd: schedulers.CosineAnnealingLR(sgd, total - warmup, eta_min=final * peak)
    )
    ours = [warmup_cosine(step, peak, warmup, total, final) for step in range(total + 1)]
    assert ours == pytest.approx(rates, rel=1e-12)


def torch_rates(peak: float, steps: int, scheduler: Callable[[Any], Any]) -> list[float]:
    """The learning rates of a scheduler's first steps."""
    sgd = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    schedule = scheduler(sgd)
    rates = []
    for _ in range(steps):
        rates.append(sgd.param_groups[0]["lr"])
        sgd.step()
        schedule.step()
    return rates


def test_a_whole_model_trains_as_on_torch():
    """Weights after five steps of AdamW with the decay mask, on gradients that each side computes for itself."""
    config = ViTConfig(image_size=(4, 6), patch_size=2, channels=2, classes=5, dim=8, depth=2, heads=2, mlp_dim=7)
    rng = np.random.default_rng(20_260_105)
    images = rng.standard_normal((6, *config.image_shape))
    labels = rng.integers(0, 5, 6)
    params = initial_params(config, dtype="float64")
    state = AdamWState.zeros_like(params.flat)
    decay = decay_vector(params.shapes, 0.1, "float64")
    model = torch_vit.TorchViT(config).double()
    model.load_minivit(params)
    optimizer = torch.optim.AdamW(torch_vit.decay_groups(model, 0.1), lr=0.01, betas=(0.9, 0.99))
    for step in range(5):
        logits, cache = vit_forward(params, images, config)
        loss, loss_cache = cross_entropy_forward(logits, labels, 0.1)
        grads, _ = vit_backward(cross_entropy_backward(1.0, loss_cache), cache)
        adamw_step(params.flat, grads.flat, state, 0.01, decay)
        optimizer.zero_grad()
        theirs = model(torch.from_numpy(images))
        expected = torch.nn.functional.cross_entropy(theirs, torch.from_numpy(labels), label_smoothing=0.1)
        expected.backward()
        optimizer.step()
        assert_agrees(f"loss of step {step}", loss, expected.detach())
    for name, parameter in model.named_parameters():
        ours, trained = params[name], torch_vit.minivit_layout(parameter.detach()).numpy()
        if name.endswith("qkv.bias"):  # the key bias has no gradient but rounding, which Adam blows up to full steps
            ours, trained = (np.delete(bias.reshape(3, -1), 1, axis=0) for bias in (ours, trained))
        assert_agrees(name, ours, trained, 1e-8)
