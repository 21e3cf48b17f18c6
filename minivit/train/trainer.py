"""Trainer: one optimisation step, from a batch to the update by AdamW and Muon."""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, errstate, is_host_float, to_device
from ..config import ViTConfig
from ..errors import ConfigError, TrainingError
from ..layers import block_matrices, frozen_layers, layer_rates, trained
from ..muon import muon_step
from ..optim import (
    AdamWState,
    adamw_step,
    decay_vector,
    ema_step,
    norm,
    rates_vector,
    warmup_cosine,
)
from ..parallel import WorkerPool, loss_and_grads
from ..params import Params
from ..preprocess import check_batch, to_inputs
from ..ranks import ALONE, Ranks
from ..settings import check_count
from ..vit import ViT
from .config import TrainConfig

WARMUP_STEPS = 100  # if total_steps is None


class NotFinite(TrainingError):
    """A loss or gradient that is not finite, with the batch that produced it: images (B, C, Sh, Sw) and labels."""

    def __init__(self, message: str, images: np.ndarray, labels: np.ndarray) -> None:
        super().__init__(message)
        self.images, self.labels = images, labels

    def __reduce__(self) -> Any:  # an exception is unpickled from its arguments, and the message is only one of three
        return NotFinite, (str(self), self.images, self.labels)


class StepResult(NamedTuple):
    loss: Array  # (), mean over the batch
    correct: Array  # (), images classified correctly before the step
    grad_norm: Array  # (), before clipping


class Trainer:
    """AdamW on a model's parameters, with config.muon Muon on the matrices of the blocks; one batch at a time.

    total_steps: how many steps there will be, for the learning rate's cosine; None keeps the rate constant after
    the warm-up. `trained` are the parameters that learn: all of them, or with config.freeze those behind the first
    `frozen` layers. With config.ema, `ema` is their exponential moving average, a vector like `trained.flat`; with
    config.patience, `best` are their values (or those of the average) when `keep_best` was called last.
    config.keep_memory has no effect here, because it concerns the whole process: for faster steps call
    `minivit.machine.keep_freed_memory()` once, as `minivit train` does. ranks: processes that compute every batch
    together; each has a Trainer of the same model, and gives it the same batches.
    Raises ConfigError if the parameters are read-only, as those of a model that joblib has mapped into memory, and for
    more frozen blocks than there are.
    """

    def __init__(
        self, model: ViT, config: TrainConfig = TrainConfig(), total_steps: int | None = None, ranks: Ranks = ALONE
    ) -> None:
        flags = getattr(model.params.flat, "flags", None)
        if not getattr(flags, "writeable", True):  # CuPy's arrays have no such flag
            raise ConfigError("the model's parameters are read-only: train a copy of it, copy.deepcopy(model)")
        if total_steps is not None:
            total_steps = check_count("total_steps", total_steps)
        self.model, self.config, self.total_steps = model, config, total_steps
        self._all_patches = dataclasses.replace(model.config, patch_dropout=0.0)
        self.frozen = frozen_layers(config.freeze, model.config)
        learns = self.trained
        self.state = AdamWState.zeros_like(learns.flat)
        self.ema = learns.flat.copy() if config.ema else None
        self.best = learns.flat.copy() if config.patience else None
        self.decay = to_device(decay_vector(learns.shapes, config.weight_decay, model.dtype), model.device)
        rates = dict.fromkeys(learns, 1.0)  # of each parameter, relative to the schedule's
        if config.layer_decay is not None:
            rates = layer_rates(learns, model.config.depth, config.layer_decay)
        self.matrices = [] if config.muon is None else block_matrices(learns.shapes, rates)
        self.rates: Array | float = 1.0  # AdamW's, of each entry
        if config.layer_decay is not None or self.matrices:
            entries = rates_vector(learns.shapes, rates, model.dtype)
            for some in self.matrices:
                entries[some.place] = 0.0  # these are Muon's
            self.rates = to_device(entries, model.device)
        self.pool = WorkerPool(config.threads or (ranks.threads if model.device == "cpu" else 1), ranks)

    def __repr__(self) -> str:
        total = "" if self.total_steps is None else f" of {self.total_steps}"
        return f"Trainer({self.model}, {self.config}, step {self.state.step}{total})"

    @property
    def trained(self) -> Params:
        """The parameters that learn, as views of the model's."""
        return trained(self.model.params, self.model.config, self.frozen)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        config, total = self.config, self.total_steps
        warmup = WARMUP_STEPS if total is None else round(config.warmup_fraction * total)
        return warmup_cosine(self.state.step, config.learning_rate, warmup, total)

    @property
    def step_config(self) -> ViTConfig:
        """The model's config in the next step: patch dropout ends after its share of the steps."""
        total = self.total_steps
        over = total is not None and self.state.step >= self.config.patch_dropout_until * total
        return self._all_patches if over else self.model.config

    def step(self, images: Any, labels: Any) -> Array:
        """One optimisation step on a host batch; the loss before it, a 0-d array of the model's backend.

        images (B, C, Sh, Sw): uint8, scaled and normalised by the model's config, or floats, taken as they are;
        labels (B,) integers or (B, K) probabilities. No augmentation, no shuffling.
        Raises DataError or DataTypeError, in one line, for what does not fit, NaN and empty batches included, and
        TrainingError for a loss or gradient that is not finite; the model is unchanged then. (On a GPU the loss is
        not read here, since that would wait for the device; `fit` reads it with every report.)
        """
        images, labels = check_batch(images, labels, self.model.config)
        return self.update(to_inputs(images, self.model.config, self.model.dtype), labels).loss

    def update(self, images: np.ndarray, labels: np.ndarray) -> StepResult:
        """`step` for a checked and normalised batch in the model's dtype, or for the embeddings (B, D) that the frozen
        layers made of one; returns more than the loss."""
        model, config, state, rate = self.model, self.config, self.state, self.learning_rate
        params = self.trained.flat
        loss, correct, grads = loss_and_grads(
            model.params,
            images,
            labels,
            self.step_config,
            self.pool,
            label_smoothing=config.label_smoothing,
            seed=config.seed,
            step=state.step,
            frozen=self.frozen,
        )
        with errstate(all="ignore"):
            grad_norm = norm(grads.flat)
        if is_host_float(loss) and not math.isfinite(float(loss) + float(grad_norm)):
            raise NotFinite(
                f"loss {float(loss)} and gradient norm {float(grad_norm)} at step {state.step + 1}, "
                f"learning rate {rate:.2g}",
                images,
                labels,
            )
        with errstate(under="ignore"):  # a square too small for float32 is as good as zero
            adamw_step(
                params,
                grads.flat,
                state,
                rate,
                self.decay,
                config.beta1,
                config.beta2,
                rates=self.rates,
                grad_norm=grad_norm,
                clip_norm=config.clip_norm,
            )
            if config.muon is not None:
                own = config.muon * rate / config.learning_rate  # the same schedule
                muon_step(
                    params, grads.flat, state.m, self.matrices, own, config.muon_decay, config.beta1, self.pool.map
                )
            if self.ema is not None and config.ema is not None:
                ema_step(self.ema, params, config.ema, state.step)
        return StepResult(loss, correct, grad_norm)

    def averaged_model(self) -> ViT:
        """A copy of the model, which later steps do not change; with config.ema its weights are the averaged ones."""
        return self._with(self.ema)

    def keep_best(self) -> None:
        """Copy what `averaged_model` would return into `best`, with config.patience."""
        assert self.best is not None
        self.best[...] = self.trained.flat if self.ema is None else self.ema

    def best_model(self) -> ViT:
        """The model that `keep_best` kept last."""
        return self._with(self.best)

    def _with(self, learned: Array | None) -> ViT:
        """A copy of the model, with other values of what learns."""
        model = self.model.with_flat(self.model.params.flat.copy())
        if learned is not None:
            trained(model.params, model.config, self.frozen).flat[...] = learned
        return model
