"""The overfitting check: can the model memorise 64 images?"""

from typing import Any

from ..counted import counted
from ..data import Reading, load
from ..rng import SHUFFLE, generator
from ..train import TrainConfig, Trainer, TrainingError
from ..train.nonfinite import explained
from ..train.trainer import NotFinite
from ..vit import ViT
from .display import Say, silent
from .settings import config_for

OVERFIT_IMAGES, OVERFIT_LOSS, OVERFIT_STEPS = 64, 1e-3, 600
UNUSED = (
    *("minutes", "images_seen", "patch_dropout_until"),
    *("epochs", "batch_size", "validation", "save_every", "log_every", "tta"),  # it has one batch, and no end
    *("augmentation", "augment", "mirror", "elastic", "erasing", "mixup", "cutmix"),
    *("label_smoothing", "weight_decay", "muon_decay", "ema", "warmup_fraction", "freeze", "layer_decay", "patience"),
)


def overfit(
    data: str,
    model_settings: dict[str, Any],
    train_settings: dict[str, Any],
    device: str = "cpu",
    *,
    reading: Reading = Reading(),
    say: Say = silent,
) -> None:
    """Train on 64 images of a data set until the loss is below 1e-3, and say how it goes; writes no file.

    The first thing to try on a new model or data set: a correct one can overfit 64 images. Augmentation, smoothing,
    weight decay and dropouts, which are there to prevent that, are off, and settings without use here are named.
    Raises TrainingError, saying what to look at, if 600 steps are not enough.
    """
    dataset = load(data, reading)
    off = {"dropout": 0.0, "patch_dropout": 0.0, "attention_dropout": 0.0, "drop_path": 0.0}
    none = dict.fromkeys(("ema", "freeze", "layer_decay", "patience"))
    config = TrainConfig(**{**train_settings, "label_smoothing": 0.0, "weight_decay": 0.0, "muon_decay": 0.0, **none})
    model_config = config_for(dataset.train.images, dataset.classes, {**model_settings, **off})
    unused = [name for name in {**model_settings, **train_settings} if name in (*off, *UNUSED)]
    if unused:
        say(f"note: this check makes no use of {', '.join(unused)}")
    trainer = Trainer(ViT(model_config, config.seed, device=device), config)
    rows = generator(config.seed, SHUFFLE).permutation(len(dataset.train.labels))[:OVERFIT_IMAGES]
    with trainer.pool:
        for step in range(1, OVERFIT_STEPS + 1):
            try:
                loss = float(trainer.step(dataset.train.images[rows], dataset.train.labels[rows]))
            except NotFinite as error:
                raise explained(trainer, error) from None
            if step & (step - 1) == 0 or loss < OVERFIT_LOSS:  # 1, 2, 4, 8, ...
                say(f"step {step}: loss {loss:.5f}")
            if loss < OVERFIT_LOSS:
                memorised = f"{counted(len(rows), 'image')} memorised in {counted(step, 'step')}"
                say(f"{memorised}: the model, its gradients and the data work")
                return
    raise TrainingError(
        f"{counted(len(rows), 'image')} should be memorised, but the loss is {loss:.4f} after {OVERFIT_STEPS} steps. "
        "Look at: the learning rate (try a tenth and ten times of it), labels that contradict each other, images that "
        "are all alike, and, after changes to an operation, minivit gradcheck"
    )
