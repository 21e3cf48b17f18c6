"""How long a training may take: from some measured steps to the number of epochs that fit into so many minutes."""

import copy
import dataclasses
import time
from statistics import median

from ..counted import counted
from ..data import Split
from ..errors import ConfigError
from ..train import Prefetcher, TrainConfig, Trainer, steps_per_epoch
from ..train.config import MOST_EPOCHS
from ..train.nonfinite import explained
from ..train.trainer import NotFinite
from ..vit import ViT

WARM_UP, FEWEST, MOST = 2, 5, 50  # steps
SECONDS = 2.0  # of measured steps, if they are not MOST before
FORWARD = 1 / 3  # of a step's time: what a batch of validation images takes


def within_minutes(config: TrainConfig, model: ViT, train: Split, valid: Split) -> tuple[int, str]:
    """The number of epochs that fit into `config.minutes` on this machine, at most 500, and a line that says so.

    Steps of a copy of the model are measured, with augmentation; the validation at the end of every epoch is counted,
    the saves, this measuring and the test at the end of the run are not. Raises ConfigError if not even one epoch fits,
    and where the first epoch computes the embeddings that the others use; TrainingError for what is not finite.
    """
    assert config.minutes is not None
    if config.fixed_embeddings:
        raise ConfigError("minutes: with fixed embeddings the first epoch is unlike the others: give epochs instead")
    step = _seconds_per_step(config, model, train)
    batches = steps_per_epoch(config.batch_size, len(train.labels))
    epoch = step * (batches + FORWARD * len(valid.labels) / config.batch_size)
    epochs = min(MOST_EPOCHS, int(60 * config.minutes / epoch))
    about = f"a step takes {1000 * step:.3g} ms here, an epoch of {counted(batches, 'step')} {epoch:.3g} s"
    if epochs < 1:
        raise ConfigError(f"{about}, which is more than --minutes {config.minutes:g}: give it more, or fewer images")
    minutes = f"{config.minutes:g} minute{'s' * (config.minutes != 1)}"
    most = f", at most {MOST_EPOCHS}" if epochs == MOST_EPOCHS else ""
    return epochs, f"{about}: {counted(epochs, 'epoch')} in {minutes}{most}"


def _seconds_per_step(config: TrainConfig, model: ViT, train: Split) -> float:
    """The mean over a run: with patch dropout as long as it lasts, without it afterwards."""
    part = config.patch_dropout_until if model.config.patch_dropout else 0.0
    whole = ViT(dataclasses.replace(model.config, patch_dropout=0.0), params=model.params)
    seconds = (1 - part) * _measured(config, whole, train) if part < 1 else 0.0
    return seconds + (part * _measured(config, model, train) if part else 0.0)


def _measured(config: TrainConfig, model: ViT, train: Split) -> float:
    trainer = Trainer(copy.deepcopy(model), config)
    times: list[float] = []
    with trainer.pool, Prefetcher(trainer, train, WARM_UP + MOST) as batches:
        for step in range(min(batches.steps, WARM_UP + MOST)):
            start = time.perf_counter()
            try:
                trainer.update(*batches[step])
            except NotFinite as error:
                raise explained(trainer, error) from None
            times.append(time.perf_counter() - start)
            if len(times) >= WARM_UP + FEWEST and sum(times[WARM_UP:]) > SECONDS:
                break
    return median(times[WARM_UP:] or times)
