"""The peak memory of a process that embeds images with a real ViT, or fine-tunes it, with random weights.

    python -m benchmarks.memory --model small14 --task embed --batch 1 --threads 1

prints the peak resident memory, imports included, and the seconds of the one call or step that is measured.
"""

import argparse
import resource
import time
from typing import Any

import numpy as np

MODELS: dict[str, dict[str, Any]] = {
    "small14": {"image_size": 518, "patch_size": 14, "dim": 384, "heads": 6, "mlp_dim": 1536, "layer_scale": 1.0},
    "small16": {"image_size": 224, "patch_size": 16, "dim": 384, "heads": 6, "mlp_dim": 1536},
    "base16": {"image_size": 224, "patch_size": 16, "dim": 768, "heads": 12, "mlp_dim": 3072},
}


def main() -> None:
    """Measure what the flags say, and print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=tuple(MODELS), default="small14")
    parser.add_argument("--task", choices=("embed", "step"), default="embed")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    from minivit import ViT, ViTConfig
    from minivit.train import TrainConfig, Trainer

    config = ViTConfig(depth=12, channels=3, classes=10, **MODELS[args.model])
    model = ViT(config)
    images = np.random.default_rng(0).integers(0, 256, (args.batch, *config.image_shape), dtype=np.uint8)
    trainer = Trainer(model, TrainConfig(threads=args.threads)) if args.task == "step" else None
    begin = time.perf_counter()
    if trainer is None:
        model.embed(images, args.threads)
    else:
        trainer.step(images, np.arange(args.batch) % 10)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kilobytes on Linux
    print(
        f"{args.model}, {config.tokens} tokens, {model.params.flat.size / 1e6:.1f} M parameters, {args.task}, "
        f"batch {args.batch}, {args.threads} threads: peak {peak:.0f} MB, {seconds:.1f} s"
    )


if __name__ == "__main__":
    main()
