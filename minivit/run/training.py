"""A run from its beginning, or from its last save, to its end, in a folder that this process holds."""

import contextlib
import functools
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..checkpoint import model_bytes
from ..config import ViTConfig
from ..counted import counted
from ..data import Split
from ..errors import TrainingError
from ..machine import keep_freed_memory, processor
from ..parallel import WorkerPool
from ..ranks import ALONE, Ranks
from ..settings import check
from ..train import NotFinite, RunningSums, TrainConfig, Trainer, first_not_finite, fit, steps_per_epoch
from ..train.augmentation import copied_as, has_copies
from ..train.evaluate import evaluate
from ..train.flops import training_flops
from ..vit import ViT
from .best import best_of, is_best, out_of_patience
from .display import Display, Say
from .embeddings import embedded
from .folder import STATE, Interrupted, rewind_to_last_save
from .load import Run
from .lock import HeldFolder
from .mistakes import Mistake, confident_mistakes
from .records import FORMAT
from .saves import Saves
from .signals import Stop, stop_on_signals
from .state import load_state, state_bytes
from .together import asked_to_stop, check_same_parameters, check_same_start, in_turn, spread_state, threads_line

MUCH_MORE = 10  # times as many images of one class as of another are worth a line


class Images(NamedTuple):
    """The images of a run."""

    train: Split
    valid: Split
    test: Split


def train_in(
    folder: HeldFolder,
    settings: dict[str, Any],
    images: Images,
    model: ViT,
    config: TrainConfig,
    resume: bool,
    say: Say,
    bar: bool,
    about: Sequence[str] = (),
    ranks: Ranks = ALONE,
) -> Run:
    """Train to the end, from the last save with `resume`, and test. about: more lines to say at the beginning.
    Raises Interrupted, TrainingError, CheckpointError and OSError as `start_run` does, ConfigError for a patience
    without images to judge by."""
    started = time.perf_counter()
    if config.keep_memory:
        keep_freed_memory()
    check(
        config.patience is None or len(images.valid.labels) > 0,
        "patience waits for a better validation accuracy, and no images are held out for validation: hold some out "
        "(--validation), or leave out --patience",
    )
    saves = Saves(folder, settings, begun=resume, writes=ranks.rank == 0)
    epochs = config.epochs_for(len(images.train.labels))
    steps = epochs * steps_per_epoch(config.batch_size, len(images.train.labels))
    with saves.explained():
        trainer = Trainer(model, config, steps, ranks)
        check_same_start(ranks, settings, model)
        with trainer.pool:
            metrics, seconds = _fit(trainer, images, epochs, saves, started, say, bar, about)
            trained = seconds + time.perf_counter() - started
            check_same_parameters(ranks, trainer)
            final = trainer.averaged_model() if trainer.best is None else trainer.best_model()
            content = model_bytes(final.params, final.config, final.preprocessing)
            saves.save_model(metrics, content)
            tested, mistakes = _tested(final, images.test, trainer)
            result = {
                "format": FORMAT,
                **({"run": settings["run"]} if "run" in settings else {}),
                "model_sha256": hashlib.sha256(content).hexdigest(),
                **tested,
                **({} if trainer.best is None else {"best_epoch": best_of(metrics)["epoch"]}),
                "train_seconds": round(trained, 2),
                "wall_seconds": round(seconds + time.perf_counter() - started, 2),
                "operations": _operations(trainer, steps, len(images.train.labels)),
                "machine": f"{processor()}, {threads_line(trainer, len(images.train.labels))}",
                "seed": config.seed,
                "data": settings["data"],
            }
        saves.finish(result)
    return Run(folder.path, final, settings, result, mistakes)


def _fit(
    trainer: Trainer,
    images: Images,
    epochs: int,
    saves: Saves,
    started: float,
    say: Say,
    bar: bool,
    about: Sequence[str],
) -> tuple[list[dict[str, Any]], float]:
    """Train; the reports, and the seconds that were spent before `started`. A report is shown
    once it is saved, where both fall on one step."""
    folder, config, count, ranks = saves.folder.path, trainer.config, len(images.train.labels), trainer.pool.ranks
    epoch_steps = steps_per_epoch(config.batch_size, count)
    sums, metrics, seconds = RunningSums(), list[dict[str, Any]](), 0.0
    if saves.begun:
        read = functools.partial(load_state, folder / STATE, saves.settings, trainer)
        sums, metrics, seconds = spread_state(ranks, trainer, read)
        if saves.writes:
            rewind_to_last_save(folder, metrics)
    train, valid = images.train, images.valid
    if config.fixed_embeddings:
        own = WorkerPool(trainer.pool.threads)  # a rank may find in its cache what another has to compute
        train, valid = in_turn(ranks, lambda: embedded((images.train, images.valid), trainer.model, own, say, bar))
    learn = f", of which {trainer.trained.flat.size} learn" if trainer.frozen else ""
    line = (
        f"run {folder}: {trainer.model.params.flat.size} parameters{learn}, {counted(epochs, 'epoch')} of "
        f"{counted(count, 'image')} ({len(images.valid.labels)} more for validation), {_form(trainer.model.config)}, "
        f"{threads_line(trainer, count)}"
    )
    if saves.begun:
        at = f"resumed at step {trainer.state.step} of {trainer.total_steps}"
        line += f"; {at if trainer.state.step else 'nothing was saved yet, it starts from its beginning'}"

    tenth = -(-epochs // 10) if config.fixed_embeddings else 1  # their epochs take less time than to save a state
    every = config.save_every or tenth * epoch_steps

    def save() -> None:
        check_same_parameters(ranks, trainer)
        spent = seconds + time.perf_counter() - started
        saves.save_state(metrics, lambda: state_bytes(saves.settings, trainer, sums, metrics, spent))

    patience = config.patience
    until = metrics[-1]["epoch"] if out_of_patience(metrics, patience) else epochs
    steps = fit(trainer, train, valid, until, sums)
    try:
        with contextlib.closing(steps), stop_on_signals() as stop, contextlib.ExitStack() as stack:
            if not saves.folder.locked:
                _show(stop, say, f"note: there are no locks on {folder}: see to it that no other process trains in it")
            for each in (line, *about, *_unbalanced(images.train.labels, trainer.model.config)):
                _show(stop, say, each)
            display = stack.enter_context(Display(trainer, epochs, epoch_steps, count, say, bar))
            for result, report in steps:
                _show(stop, display.step, result)
                if report:
                    metrics.append(report._asdict())
                    if patience and is_best(metrics):
                        trainer.keep_best()
                stopping = asked_to_stop(ranks, stop)
                saved = not saves.begun or stopping or trainer.state.step % every == 0
                if saved:
                    save()
                elif report:
                    saves.add(metrics[-1])
                if report:
                    _show(stop, display.report, report)
                    stopping = asked_to_stop(ranks, stop)
                if stopping:
                    if not saved:
                        save()
                    reached = f"step {trainer.state.step} of {trainer.total_steps}{stop.reason}"
                    raise Interrupted(f"stopped after {reached}, everything is saved; {saves.hint}", stop.number)
                if report and out_of_patience(metrics, patience):
                    waited = f"{counted(patience or 0, 'epoch')} without a better validation accuracy or loss"
                    _show(stop, say, f"stopped after epoch {report.epoch}: {waited}")
                    break
            if patience:
                best = best_of(metrics)
                accuracy = f"valid loss {best['valid_loss']:.4f} accuracy {100 * best['valid_accuracy']:.2f} %"
                _show(stop, say, f"the model is that of epoch {best['epoch']}, the best one: {accuracy}")
    except NotFinite as error:
        places = ranks.gather(first_not_finite(trainer, error.images, error.labels).encode())
        place = min(places, key=lambda place: place.startswith(b"repeating")).decode()  # of the first that finds one
        left = f"what was saved in {folder} before is kept" if saves.begun else f"nothing in {folder} was changed"
        raise TrainingError(
            f"{error}: {place}; {left}: start again with {config.lower} or a smaller --clip-norm"
        ) from None
    return metrics, seconds


def _form(config: ViTConfig) -> str:
    """What the images are like, and what they are cut into."""
    colour, height, width = config.image_shape
    kind = {1: "grey", 3: "colour"}.get(colour, f"{colour} channels,")
    patches, side = counted(config.patches, "patch", "patches"), config.patch_size
    return f"{kind} {height} x {width} in {patches} of {side} x {side}"


def _unbalanced(labels: np.ndarray, config: ViTConfig) -> Iterator[str]:
    """A line, if one class has over ten times as many training images (n,) as another."""
    counts = np.bincount(labels, minlength=config.classes or 0)
    most, least = int(counts.argmax()), int(counts.argmin())
    if counts[most] > MUCH_MORE * counts[least]:
        yield (
            f"note: {counts[most]} training images are of class {config.class_name(most)} and {counts[least]} of class "
            f"{config.class_name(least)}: the accuracy says little of rare classes; minivit eval shows it for each"
        )


def _show(stop: Stop, show: Callable[[Any], object], what: Any) -> None:
    """Show something to a person; if that fails, a training that nobody can follow is stopped."""
    try:
        show(what)
    except BrokenPipeError:
        stop.ask(reason=" (nobody reads what it prints)")
    except OSError as error:
        stop.ask(reason=f" (what it prints cannot be written: {error.strerror})")


def _operations(trainer: Trainer, steps: int, images: int) -> int | None:
    """Those of the matrix products of the steps that were taken, of `steps`; None where some parameters are frozen."""
    config, done = trainer.config, trainer.state.step
    config = replace(config, batch_size=min(config.batch_size, images))
    return training_flops(trainer.model.config, config, done, steps) if config.freeze is None else None


def _tested(model: ViT, test: Split, trainer: Trainer) -> tuple[dict[str, Any], list[Mistake]]:
    """How the model does on the test images, which are looked at here and nowhere else, and what it gets wrong."""
    how = copied_as(trainer.config)
    copies = trainer.config.tta if has_copies(*how) else None
    measured = plain = evaluate(model, test, trainer.pool)
    if copies:
        measured = evaluate(model, test, trainer.pool, copies, *how)
    found = {
        "test_accuracy": measured.accuracy,
        "test_correct": measured.correct,
        "test_total": measured.total,
        "test_loss": measured.loss,
        "tta": copies,
        "plain_accuracy": plain.accuracy,
        "test_confusion": [" ".join(map(str, row)) for row in measured.confusion],  # a line for each true class
        "parameters": int(model.params.flat.size),
    }
    return found, confident_mistakes(test, measured)
