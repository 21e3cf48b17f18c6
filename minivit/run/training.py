"""A run from its beginning, or from its last save, to its end, in a folder that this process holds."""

import contextlib
import hashlib
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ..atomic import json_bytes, prepared, write_json
from ..checkpoint import model_bytes
from ..data import Split
from ..errors import CheckpointError, TrainingError
from ..machine import keep_freed_memory
from ..train import NotFinite, RunningSums, TrainConfig, Trainer, first_not_finite, fit, steps_per_epoch
from ..train.evaluate import evaluate
from ..vit import ViT
from .display import Display, Say
from .folder import (
    STATE,
    Interrupted,
    add_metrics,
    metrics_bytes,
    refuse_foreign_files,
    remove_parts,
    remove_run,
    resume_hint,
    rewind_to_last_save,
)
from .load import Run
from .lock import HeldFolder
from .records import FORMAT, differences, read_settings
from .signals import Stop, stop_on_signals
from .state import load_state, state_bytes


class Images(NamedTuple):
    """The images of a run."""

    train: Split
    valid: Split
    test: Split


class Saves:
    """What is in a run's folder while it trains. begun: whether that is the run's own; before its first save it is
    what was there before, whole."""

    def __init__(self, folder: HeldFolder, settings: dict[str, Any], begun: bool) -> None:
        self.folder, self.settings, self.begun = folder, settings, begun
        self.hint = resume_hint(folder.path, settings.get("device", "cpu"))

    def save_state(self, metrics: list[dict[str, Any]], state: bytes) -> None:
        """Write the state and the metrics of the run, together; the first time its settings, too, and then nothing is
        left of what they replace. Raises CheckpointError if the folder is no longer there, or if somebody has changed
        or removed the settings in it."""
        self._save(metrics, STATE, state)

    def save_model(self, metrics: list[dict[str, Any]], model: bytes) -> None:
        """Write the model and the metrics of the run. Raises CheckpointError as `save_state` does."""
        self._save(metrics, "model.safetensors", model)

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result, and remove what is needed no longer. Raises CheckpointError if the folder is not there."""
        self._check_folder()
        write_json(self.folder.path / "result.json", result)
        if not (self.folder.path / "config.json").exists():
            write_json(self.folder.path / "config.json", self.settings)
        (self.folder.path / STATE).unlink(missing_ok=True)

    def _save(self, metrics: list[dict[str, Any]], name: str, content: bytes) -> None:
        self._check_folder()
        path = self.folder.path
        files = {path / name: content, path / "metrics.jsonl": metrics_bytes(metrics)}
        if self.begun:
            with prepared(files) as take_names:
                take_names()
            self._check_settings()
            return
        refuse_foreign_files(path)  # of a user who has put some there meanwhile
        remove_parts(path)
        with prepared({path / "config.json": json_bytes(self.settings), **files}) as take_names:
            self.begun = True  # there is room for it
            remove_run(path)
            take_names()

    def _check_folder(self) -> None:
        if not self.folder.is_there():
            raise CheckpointError(
                f"{self.folder.path} is no longer the folder that this run began in, which was moved, replaced or "
                "removed while it trained: put it back, and resume the run, which is as it was at its last save"
            )

    def _check_settings(self) -> None:
        path = self.folder.path / "config.json"
        now = read_settings(self.folder.path)
        if now is None:
            write_json(path, self.settings)
            raise CheckpointError(
                f"{path} was removed while the run trained; it is there again, everything is saved, {self.hint}"
            )
        found = differences(self.settings, now)
        changed = ", ".join(f"{name} from {old!r:.60} to {new!r:.60}" for name, old, new in found)
        if changed:
            raise CheckpointError(
                f"{path} was changed while the run trained: {changed}. Everything is saved: undo that, and {self.hint}"
            )

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Say what is left of the run if it is stopped: Interrupted instead of KeyboardInterrupt, an OSError that says
        how to resume."""
        try:
            yield
        except KeyboardInterrupt as error:
            if not self.begun:
                raise
            number = error.args[0] if error.args else signal.SIGINT
            raise Interrupted(f"stopped; what was saved before is kept, {self.hint}", number) from None
        except FileExistsError:
            raise  # which says what is to be done
        except OSError as error:
            left = f"what was saved before is kept, {self.hint}" if self.begun else "nothing in it was changed"
            raise OSError(f"cannot write to {self.folder.path}: {error.strerror or error}; {left}") from None


def train_in(
    folder: HeldFolder,
    settings: dict[str, Any],
    images: Images,
    model: ViT,
    config: TrainConfig,
    resume: bool,
    say: Say,
    bar: bool,
) -> Run:
    """Train to the end, from the last save with `resume`, and test. Raises Interrupted, TrainingError, CheckpointError
    and OSError as `start_run` does."""
    started = time.perf_counter()
    if config.keep_memory:
        keep_freed_memory()
    saves = Saves(folder, settings, begun=resume)
    epochs = config.epochs_for(len(images.train.labels))
    steps = epochs * steps_per_epoch(config.batch_size, len(images.train.labels))
    with saves.explained():
        trainer = Trainer(model, config, steps)
        with trainer.pool:
            metrics, seconds = _fit(trainer, images, epochs, saves, started, say, bar)
            trained = seconds + time.perf_counter() - started
            final = trainer.averaged_model()
            content = model_bytes(final.params, final.config, final.preprocessing)
            saves.save_model(metrics, content)
            result = {
                "format": FORMAT,
                **({"run": settings["run"]} if "run" in settings else {}),
                "model_sha256": hashlib.sha256(content).hexdigest(),
                **_tested(final, images.test, trainer),
                "train_seconds": round(trained, 2),
                "wall_seconds": round(seconds + time.perf_counter() - started, 2),
                "seed": config.seed,
                "data": settings["data"],
            }
        saves.finish(result)
    return Run(folder.path, final, settings, result)


def _fit(
    trainer: Trainer, images: Images, epochs: int, saves: Saves, started: float, say: Say, bar: bool
) -> tuple[list[dict[str, Any]], float]:
    """Train; the reports, and the seconds that were spent before `started`. A report is shown
    once it is saved, where both fall on one step."""
    folder, config, count = saves.folder.path, trainer.config, len(images.train.labels)
    epoch_steps = steps_per_epoch(config.batch_size, count)
    sums, metrics, seconds = RunningSums(), list[dict[str, Any]](), 0.0
    if saves.begun:
        sums, metrics, seconds = load_state(folder / STATE, saves.settings, trainer)
        rewind_to_last_save(folder, metrics)
    line = (
        f"run {folder}: {trainer.model.params.flat.size} parameters, {epochs} epochs of {count} images "
        f"({len(images.valid.labels)} more for validation), {trainer.pool.threads} threads"
    )
    if saves.begun:
        at = f"resumed at step {trainer.state.step} of {trainer.total_steps}"
        line += f"; {at if trainer.state.step else 'nothing was saved yet, it starts from its beginning'}"

    def save() -> None:
        spent = seconds + time.perf_counter() - started
        saves.save_state(metrics, state_bytes(saves.settings, trainer, sums, metrics, spent))

    steps = fit(trainer, images.train, images.valid, epochs, sums)
    try:
        with contextlib.closing(steps), stop_on_signals() as stop, contextlib.ExitStack() as stack:
            if not saves.folder.locked:
                _show(stop, say, f"note: there are no locks on {folder}: see to it that no other process trains in it")
            _show(stop, say, line)
            display = stack.enter_context(Display(trainer, epochs, epoch_steps, count, say, bar))
            for result, report in steps:
                _show(stop, display.step, result)
                if report:
                    metrics.append(report._asdict())
                saved = not saves.begun or stop.is_set() or trainer.state.step % (config.save_every or epoch_steps) == 0
                if saved:
                    save()
                elif report:
                    add_metrics(folder, metrics[-1])
                if report:
                    _show(stop, display.report, report)
                if stop.is_set():
                    if not saved:
                        save()
                    reached = f"step {trainer.state.step} of {trainer.total_steps}{stop.reason}"
                    raise Interrupted(f"stopped after {reached}, everything is saved; {saves.hint}", stop.number)
    except NotFinite as error:
        place = first_not_finite(trainer, error.images, error.labels)
        left = f"what was saved in {folder} before is kept" if saves.begun else f"nothing in {folder} was changed"
        raise TrainingError(
            f"{error}: {place}; {left}: start again with a lower --learning-rate or a smaller --clip-norm"
        ) from None
    return metrics, seconds


def _show(stop: Stop, show: Callable[[Any], object], what: Any) -> None:
    """Show something to a person; if that fails, a training that nobody can follow is stopped."""
    try:
        show(what)
    except BrokenPipeError:
        stop.ask(reason=" (nobody reads what it prints)")
    except OSError as error:
        stop.ask(reason=f" (what it prints cannot be written: {error.strerror})")


def _tested(model: ViT, test: Split, trainer: Trainer) -> dict[str, Any]:
    """How the model does on the test images, which are looked at here and nowhere else."""
    copies = trainer.config.tta
    measured = plain = evaluate(model, test, trainer.pool)
    if copies:
        measured = evaluate(model, test, trainer.pool, copies)
    return {
        "test_accuracy": measured.accuracy,
        "test_correct": measured.correct,
        "test_total": measured.total,
        "test_loss": measured.loss,
        "tta": copies,
        "plain_accuracy": plain.accuracy,
        "test_confusion": [" ".join(map(str, row)) for row in measured.confusion],  # a line for each true class
        "parameters": int(model.params.flat.size),
    }
