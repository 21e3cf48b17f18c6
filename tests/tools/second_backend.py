"""What the GPU path must do as NumPy does it. The groups `standin`, `cupy` and `gpu` each run it on a `cupy` of their
own: the strict stand-in, the stock wheel on the CPU, a card."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minivit.backend import device_of, to_device, to_host
from minivit.config import ViTConfig
from minivit.gradcheck import CASES
from minivit.gradcheck.contract import flatten
from minivit.parallel import BatchResult, WorkerPool, loss_and_grads
from minivit.train import TrainConfig, Trainer
from minivit.train.augment import random_affine
from minivit.train.elastic import elastic_distortion
from minivit.train.mix import mixed, random_erasing
from minivit.train.photos import random_mirror, random_photo
from minivit.train.sampling import as_before
from minivit.vit import ViT

COSTS = ("h2d", "d2h", "sync", "float64")  # what the stand-in counts and an operation must not do
READS = {"softmax, fast"}  # rows that ask for the branch that waits for the device
BOUND = 1e-5  # relative, per tensor, in float32: the backends add in different orders

BASE = ViTConfig(image_size=(8, 12), patch_size=4, channels=2, classes=5, dim=12, depth=2, heads=3, mlp_dim=20)
DROPPING = ViTConfig(
    **{**BASE.to_dict(), "dropout": 0.1, "patch_dropout": 0.2, "attention_dropout": 0.2, "drop_path": 0.3}
)
CONFIGS = {
    "default": BASE,
    "every dropout": DROPPING,
    "mean, 1-D positions, tanh": ViTConfig(
        **{**BASE.to_dict(), "pool": "mean", "positions": "sincos1d", "gelu": "tanh"}
    ),
    "2-D positions, MLP head": ViTConfig(**{**BASE.to_dict(), "positions": "sincos2d", "head_hidden": 7}),
    "registers, LayerScale, double head": ViTConfig(
        **{**BASE.to_dict(), "registers": 3, "layer_scale": 0.2, "pool": "cls+patches", "gelu": "quick"}
    ),
    "norms before the blocks and after the pool": ViTConfig(
        **{**BASE.to_dict(), "pool": "patches", "norm": "pool", "pre_norm": True, "registers": 2}
    ),
    "no positions, no query, key and value bias": ViTConfig(
        **{**BASE.to_dict(), "positions": "none", "qkv_bias": False}
    ),
}


def batch(count: int = 7, config: ViTConfig = BASE) -> tuple[np.ndarray, np.ndarray]:
    """uint8 images and labels for a model."""
    rng = np.random.default_rng(11)
    return rng.integers(0, 256, (count, *config.image_shape), dtype=np.uint8), rng.integers(0, config.classes, count)


def assert_agrees(name: str, ours: Any, numpys: Any, bound: float = BOUND) -> None:
    """Fail, naming the tensor, unless both have the same shape and dtype and differ by at most `bound`, relative to
    the larger norm. Integers must be equal. NaN never agrees."""
    ours, numpys = to_host(ours), np.asarray(numpys)
    assert (ours.shape, ours.dtype) == (numpys.shape, numpys.dtype), name
    if ours.dtype.kind != "f":
        np.testing.assert_array_equal(ours, numpys, err_msg=name)
        return
    size = max(np.linalg.norm(numpys.ravel()), np.linalg.norm(ours.ravel()), np.finfo(ours.dtype).tiny)
    error = np.linalg.norm((ours - numpys).ravel()) / size
    assert error <= bound, f"{name}: relative error {error:.2e}, allowed {bound:.0e}"


def on(device: str, tree: Any, dtype: str) -> Any:
    """A tree of inputs with its arrays on a device, those of floats in this dtype."""
    if isinstance(tree, np.ndarray):
        return to_device(tree.astype(dtype) if tree.dtype.kind == "f" else tree, device)
    if isinstance(tree, dict):
        return {key: on(device, value, dtype) for key, value in tree.items()}
    return type(tree)(*(on(device, part, dtype) for part in tree)) if isinstance(tree, tuple) else tree


def run_row(name: str, device: str, dtype: str, between: Callable[[], None] = lambda: None) -> list[Any]:
    """y and the gradients of a row of the checker's table. `between` is called once everything is on the device."""
    case = CASES[name]
    inputs = on(device, case.inputs(), dtype)
    shape = case.forward(**on("cpu", case.inputs(), dtype))[0].shape
    dy = to_device(np.asarray(np.random.default_rng(2).standard_normal(shape), dtype), device)
    between()
    y, cache = case.forward(**inputs)
    return [y, *(gradient for gradient in flatten(case.backward(dy, cache)) if gradient is not None)]


def assert_same_row(name: str, dtype: str, between: Callable[[], None] = lambda: None) -> None:
    """Output and gradients of a row agree with NumPy's, and live on the GPU."""
    bound = BOUND if dtype == "float32" else 1e-13
    ours, numpys = run_row(name, "gpu", dtype, between), run_row(name, "cpu", dtype)
    for i, (one, other) in enumerate(zip(ours, numpys, strict=True)):
        assert device_of(one) == "gpu"
        assert_agrees(f"gradient {i}" if i else "y", one, other, bound)


def step(config: ViTConfig, device: str, count: int) -> BatchResult:
    """Loss and gradients of one batch of a fresh model."""
    params = ViT(config, seed=3, device=device).params
    pixels, labels = batch(count, config)
    images = (pixels / np.float32(99) - np.float32(1)).astype("float32")
    return loss_and_grads(params, images, labels, config, WorkerPool(1), label_smoothing=0.1, seed=5, step=2)


def assert_same_gradients(config: ViTConfig, count: int = 7) -> None:
    """Loss, number of right answers and every gradient of one batch."""
    cpu, gpu = step(config, "cpu", count), step(config, "gpu", count)
    assert device_of(gpu.grads.flat) == device_of(gpu.loss) == device_of(gpu.correct) == "gpu"
    assert_agrees("loss", gpu.loss, cpu.loss)
    assert_agrees("correct", gpu.correct, cpu.correct)
    for name, grad in cpu.grads.items():
        assert_agrees(name, gpu.grads[name], grad)


def trainer(device: str, threads: int = 1, muon: float | None = None) -> Trainer:
    """Clipping that bites, label smoothing, and a model with every dropout."""
    settings = TrainConfig(learning_rate=1e-2, clip_norm=0.5, label_smoothing=0.1, seed=4, threads=threads, muon=muon)
    return Trainer(ViT(DROPPING, seed=3, device=device), settings)


def assert_same_training(steps: int = 3, muon: float | None = None) -> None:
    """Trainer.step: the loss of every step, and the parameters and the optimiser's state after the last."""
    cpu, gpu = trainer("cpu", muon=muon), trainer("gpu", muon=muon)
    start = cpu.model.params.copy()
    for i in range(steps):
        cpu_loss, gpu_loss = cpu.step(*batch()), gpu.step(*batch())
        assert device_of(gpu_loss) == "gpu"
        assert_agrees(f"loss of step {i}", gpu_loss, cpu_loss)
    for name in start:
        moved = [to_host(model.params[name]) - start[name] for model in (gpu.model, cpu.model)]
        if name.endswith("qkv.bias"):  # the keys' part has no gradient but rounding, which Adam stretches to a step
            moved = [np.delete(value, slice(DROPPING.dim, 2 * DROPPING.dim)) for value in moved]
        assert_agrees(name, *moved, bound=1e-4)
    assert_agrees("m", gpu.state.m, cpu.state.m)
    assert_agrees("v", gpu.state.v, cpu.state.v)
    assert gpu.state.step == steps


def uploads(config: ViTConfig) -> int:
    """How many arrays a step sends to the device: images, labels and dropout masks, of the whole batch at once."""
    masks = (
        (config.dropout > 0)
        + (config.patch_dropout > 0)
        + config.depth * ((config.attention_dropout > 0) + 2 * (config.dropout > 0 or config.drop_path > 0))
    )
    return 2 + masks


AUGMENTATIONS = {
    "affine": lambda images, rng: as_before(random_affine(images, rng, 1.2), images),
    "mirror": lambda images, rng: random_mirror(images, rng),
    "photo": lambda images, rng: random_photo(images, rng, 3.0),
    "erasing": lambda images, rng: random_erasing(images, rng, 0.6),
    "elastic": lambda images, rng: elastic_distortion(images, rng, 0.9),
    "mixup": lambda images, rng: mixed(images, np.arange(len(images)), 99, rng, mixup=0.4)[0],
    "cutmix": lambda images, rng: mixed(images, np.arange(len(images)), 99, rng, mixup=0.4, cutmix=1.0)[0],
}


def assert_same_augmentation(name: str, between: Callable[[], None] = lambda: None) -> None:
    """Pixels that live on the GPU are augmented there, as NumPy does it: uint8 at most one level apart."""
    augment = AUGMENTATIONS[name]
    images = np.random.default_rng(1).integers(0, 256, (9, 3, 11, 8), dtype=np.uint8)
    ours = to_device(images, "gpu")
    between()
    new = augment(ours, np.random.default_rng(2))
    assert device_of(new) == "gpu" and new.dtype == np.uint8
    expected = augment(images, np.random.default_rng(2))
    apart = abs(to_host(new).astype(int) - expected)
    assert apart.max() <= 1 and (apart > 0).mean() < 0.001 and (expected != images).any(), name


def assert_same_predictions() -> None:
    cpu, gpu = ViT(DROPPING, seed=3), ViT(DROPPING, seed=3, device="gpu")
    images, _ = batch(40)
    probabilities = gpu.predict(images)
    assert isinstance(probabilities, np.ndarray)
    assert_agrees("probabilities", probabilities, cpu.predict(images))


def assert_files_do_not_know_the_device(folder: Any) -> None:
    """Saved on the GPU, loaded on the CPU, saved again: the same bytes, and those of the same model on the CPU."""
    ViT(BASE, seed=3).save(folder / "cpu")
    ViT(BASE, seed=3, device="gpu").save(folder / "gpu")
    loaded = ViT.load(folder / "gpu")
    assert loaded.device == "cpu"
    loaded.save(folder / "again")
    assert (folder / "cpu").read_bytes() == (folder / "gpu").read_bytes() == (folder / "again").read_bytes()
    back = ViT.load(folder / "cpu", device="gpu")
    assert back.device == "gpu"
    assert_agrees("parameters", back.params.flat, loaded.params.flat, bound=0)
