"""What is in a run's folder while it trains, and what is left of it if it is stopped."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

from ..atomic import json_bytes, prepared, write_json
from ..errors import CheckpointError
from .folder import (
    STATE,
    Interrupted,
    add_metrics,
    metrics_bytes,
    refuse_foreign_files,
    remove_parts,
    remove_run,
    resume_hint,
)
from .lock import HeldFolder
from .records import differences, read_settings


class Saves:
    """What is in a run's folder while it trains. begun: whether the folder holds this run's files; until its first save
    it holds what was there before, untouched. writes: whether anything is written, which one rank does for all."""

    def __init__(self, folder: HeldFolder, settings: dict[str, Any], begun: bool, writes: bool = True) -> None:
        self.folder, self.settings, self.begun, self.writes = folder, settings, begun, writes
        self.hint = resume_hint(folder.path, settings.get("device", "cpu"))

    def add(self, report: dict[str, Any]) -> None:
        """Add a report to those in the folder, until the next save writes all of them."""
        if self.writes:
            add_metrics(self.folder.path, report)

    def save_state(self, metrics: list[dict[str, Any]], make_state: Callable[[], bytes]) -> None:
        """Write the state and the metrics of the run, together; the first time its settings, too, and then nothing is
        left of what they replace. Raises CheckpointError if the folder is no longer there, or if somebody has changed
        or removed the settings in it."""
        if self.writes:
            self._save(metrics, STATE, make_state())
        self.begun = True

    def save_model(self, metrics: list[dict[str, Any]], model: bytes) -> None:
        """Write the model and the metrics of the run. Raises CheckpointError as `save_state` does."""
        if self.writes:
            self._save(metrics, "model.safetensors", model)

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result, and remove what is needed no longer. Raises CheckpointError if the folder is not there."""
        if not self.writes:
            return
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
