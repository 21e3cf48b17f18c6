"""The golden numbers: ten losses of ten steps on 64 bundled digits, and the norms of ten gradients before the first.

    python -m tests.tools.golden > tests/golden.json

prints them with the commit they were computed by. Every setting is written out, so a new default changes none of them.
"""

import json
import subprocess

import numpy as np

from minivit import ViT, ViTConfig
from minivit.data import load
from minivit.parallel import loss_and_grads
from minivit.preprocess import to_inputs
from minivit.train import TrainConfig, Trainer

MODEL = ViTConfig(
    image_size=28, patch_size=7, channels=1, classes=10, class_names=None, dim=64, depth=4, heads=4, mlp_dim=128,
    pool="cls", positions="learned", gelu="erf", norm_eps=1e-6, qkv_bias=True, head_hidden=None, dropout=0.0,
    attention_dropout=0.0, drop_path=0.0, pixel_mean=(0.13,), pixel_std=(0.31,),
)  # fmt: skip
TRAINING = TrainConfig(
    epochs=1, batch_size=64, learning_rate=1.5e-3, warmup_fraction=0.2, weight_decay=0.05, label_smoothing=0.1,
    clip_norm=1.0, beta1=0.9, beta2=0.99, ema=0.999, augment=None, tta=None, validation=0, save_every=None,
    log_every=None, seed=0, threads=1, keep_memory=False,
)  # fmt: skip
STEPS = 10
TENSORS = (
    "patch_embed.proj.weight",
    "cls_token",
    "pos_embed",
    "blocks.0.norm1.weight",
    "blocks.0.attn.qkv.weight",
    "blocks.1.attn.proj.weight",
    "blocks.2.mlp.fc1.bias",
    "blocks.3.mlp.fc2.weight",
    "norm.bias",
    "head.weight",
)


def golden() -> dict[str, list[float]]:
    """What today's code computes: {"losses": ten, "gradient_norms": ten}."""
    digits = load("mnist5k").train
    images, labels = digits.images[::63], digits.labels[::63]
    assert len(labels) == 64
    model = ViT(MODEL, seed=0, dtype="float32")
    trainer = Trainer(model, TRAINING, total_steps=STEPS)
    inputs = to_inputs(images, MODEL, model.dtype)
    grads = loss_and_grads(model.params, inputs, labels, MODEL, trainer.pool, label_smoothing=0.1).grads
    norms = [float(np.linalg.norm(grads[name].astype("float64"))) for name in TENSORS]
    losses = [float(trainer.step(images, labels)) for _ in range(STEPS)]
    return {"losses": losses, "gradient_norms": norms}


if __name__ == "__main__":
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    command = "python -m tests.tools.golden"
    print(json.dumps({"commit": commit.stdout.strip(), "command": command, **golden()}, indent=1))
