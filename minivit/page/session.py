"""What a served page works on: the models, the last tapes, and one lock round them; several pages may ask at once."""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import __version__
from ..blas import BLAS
from ..errors import CheckpointError
from ..learn.copies import Bug
from ..learn.tape import Tape, norm, record
from ..learn.update import not_updated, update
from ..params import Params
from . import answers, describe
from .bugs import BUGS
from .examples import examples_of
from .given import described
from .grey import pixels_of
from .models import Shown, in_training, last_save, progress, shown
from .pack import pack
from .requests import Request, RequestError, pixels
from .strokes import Drawing, draw

RATE = 1e-3  # of the AdamW steps
KEPT = 16  # tapes
FIELD = 255  # the largest coordinate of a point in the drawing field
SECONDS = 3  # between two looks at a run in training


class Kept(NamedTuple):
    """A run that was computed: its tape, its picture and how that was drawn, and what AdamW's steps did."""

    tape: Tape
    picture: np.ndarray  # (1, Sh, Sw), uint8
    drawing: Drawing | None
    before: float | None  # the loss before the last AdamW step
    moved: list[list[Any]] | None  # by parameter: name, norm, largest entry, entries


class Session:
    """models: the first is shown first. folder: that of a run; its metrics are shown, and while it is training, it is
    read again when it saves."""

    def __init__(self, models: list[Shown], folder: Path | None = None) -> None:
        self._models = {model.key: model for model in models}
        self._folder = folder
        self._examples = {model.key: examples_of(model) for model in models}
        self._tapes: OrderedDict[tuple[Any, ...], Kept] = OrderedDict()
        self._drawn = {secrets.token_urlsafe(8): bug for bug in BUGS}  # names that do not tell which bug it is
        self._lock = threading.Lock()

    def meta(self) -> dict[str, Any]:
        """The models, the pictures that can be chosen, and the planted bugs."""
        with self._alone():
            models = []
            for model in self._models.values():
                live = model.key == "run" and self._folder is not None
                models.append(described(model, self._first(model), self._examples[model.key], live))
        bugs = [{"key": bug.name, **_told(bug)} for bug in BUGS]
        return {"version": __version__, "models": models, "bugs": bugs, "rate": RATE}

    def run(self, request: Request) -> dict[str, Any]:
        """The summary of a run."""
        with self._alone():
            kept = self._kept(request)
            found = {**answers.summary(kept.tape, kept.picture), "made": _made(kept.drawing)}
            return found if kept.moved is None else {**found, "before": kept.before, "moved": kept.moved}

    def check(self, request: Request) -> dict[str, Any]:
        """Which gradients of a run are wrong."""
        with self._alone():
            return answers.check(self._kept(request).tape)

    def tensors(self, request: Request, names: list[str]) -> dict[str, Any]:
        """Whole tensors of a run. Raises RequestError for an unknown name."""
        with self._alone():
            tape = self._kept(request).tape
            if unknown := [name for name in names if name not in tape.steps]:
                raise RequestError(f"there is no tensor called {unknown[0]!r}")
            return {name: answers.tensor(tape, name) for name in names}

    def slope(self, request: Request, name: str, entry: tuple[int, ...]) -> dict[str, Any]:
        """The finite difference of an entry. Raises RequestError if there is no such entry."""
        with self._alone():
            tape = self._kept(request).tape
            if name not in tape.steps:
                raise RequestError(f"there is no tensor called {name!r}")
            shape = tape.steps[name].value.shape
            if len(entry) != len(shape) or any(i >= n for i, n in zip(entry, shape)):
                raise RequestError(f"{name} has shape {shape}: {entry} is no entry of it")
            return answers.slope(tape, name, entry)

    def sources(self, model: str, bug: str) -> dict[str, Any]:
        """The code that runs with a bug."""
        with self._alone():
            return describe.sources(describe.tensors(self._first(self._model(model))), self._bug(bug))

    def picture(self, model: str, grey: np.ndarray) -> str:
        """A picture from a file, as the model reads it: base64 of its pixels. Raises DataError if none is in it."""
        return pixels_of(grey, self._model(model))

    def surprise(self, after: str) -> str:
        """Another bug than the last one, by a name that does not tell which."""
        last = self._bug(after) if after else None
        return secrets.choice([name for name, bug in self._drawn.items() if bug is not last])

    def point(self, bug: str, file: str, line: int) -> dict[str, Any]:
        """Whether this line is the bug's."""
        planted = self._bug(bug)
        return {"file": file, "line": line, "right": file == f"minivit/{planted.file}" and line == planted.line}

    def reveal(self, bug: str) -> dict[str, Any]:
        """What the bug is."""
        planted = self._bug(bug)
        return _told(planted)

    def watch(self) -> dict[str, Any]:
        """How far a run in training has come; its last save is read if it is new. A save that is being replaced is
        read at the next look."""
        if self._folder is None:
            return {}
        with self._alone():
            try:
                if in_training(self._folder):
                    model = last_save(self._folder)
                elif self._models["run"].save:
                    model = shown(str(self._folder))
                else:
                    model = self._models["run"]
                self._models["run"] = model
            except (CheckpointError, OSError):
                pass
            return {**progress(self._folder), "save": self._models["run"].save, "seconds": SECONDS}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One request at a time, with one thread of BLAS: a pass of one picture is so little work that a second thread
        is waited for longer than it helps, above all where something else is running."""
        with self._lock:
            user = BLAS.limit()
            try:
                yield
            finally:
                BLAS.release(user)

    def _kept(self, request: Request) -> Kept:
        """The tape of a request, computed unless it is among the last ones."""
        model = self._model(request.model)
        key = (model.save, request)
        if key not in self._tapes:
            self._tapes[key] = self._computed(model, request)
            while len(self._tapes) > KEPT:
                self._tapes.popitem(last=False)
        self._tapes.move_to_end(key)
        return self._tapes[key]

    def _computed(self, model: Shown, request: Request) -> Kept:
        drawing = None
        examples, shape = self._examples[model.key], model.config.image_shape
        if request.digit is not None:
            if request.digit >= len(examples.labels):
                raise RequestError(f"there are {len(examples.labels)} pictures to choose from, not {request.digit + 1}")
            picture, label = examples.images[request.digit], examples.labels[request.digit]
        elif request.pixels is not None:
            picture, label = pixels(request.pixels, shape), None
        else:
            strokes = [[(x / FIELD, y / FIELD) for x, y in stroke] for stroke in request.strokes or ()]
            drawing = draw(strokes, min(shape[1:]))
            picture, label = framed(drawing.picture, model)[None], None
        classes = model.config.classes or 1
        if request.label is not None:
            label = request.label
            if label >= classes:
                raise RequestError(f"label must lie in 0..{classes - 1}")
        elif label is not None and label >= classes:
            label = None
        bug = None if request.bug is None else self._bug(request.bug)
        tape = record(model.params, model.config, picture, label, bug)
        if not request.steps:
            return Kept(tape, picture, drawing, None, None)
        last = not_updated(tape)
        for _ in range(request.steps):
            last = update(last._replace(before=None), RATE, weight_decay=0.0)  # no more than two tapes in memory
        assert last.before is not None
        before = last.before.tape
        return Kept(last.tape, picture, drawing, before.loss, moves(before.params, last.tape.params))

    def _first(self, model: Shown) -> Tape:
        """The tape of the first picture to choose."""
        return record(model.params, model.config, self._examples[model.key].images[0])

    def _model(self, key: str) -> Shown:
        if key not in self._models:
            raise RequestError(f"there is no model called {key!r}")
        return self._models[key]

    def _bug(self, name: str) -> Bug:
        found = self._drawn.get(name) or next((bug for bug in BUGS if bug.name == name), None)
        if found is None:
            raise RequestError(f"there is no bug called {name!r}")
        return found


def framed(drawing: np.ndarray, model: Shown) -> np.ndarray:
    """A square drawing, light on dark, in the middle of a model's frame and on the ground of its pictures."""
    frame = np.zeros(model.config.image_shape[1:], np.uint8)
    top, left = ((n - side) // 2 for n, side in zip(frame.shape, drawing.shape))
    frame[top : top + drawing.shape[0], left : left + drawing.shape[1]] = drawing
    return 255 - frame if model.preprocessing is not None and model.preprocessing.ground == "light" else frame


def moves(before: Params, after: Params) -> list[list[Any]]:
    """How far each parameter moved: its name, the norm of its move, the largest move of an entry, how many moved."""
    found = []
    for name, value in after.items():
        move = value - before[name]
        found.append([name, norm(move), float(abs(move).max()), int(np.count_nonzero(move))])
    return found


def _told(bug: Bug) -> dict[str, Any]:
    file = f"minivit/{bug.file}"
    return {"title": bug.title, "file": file, "line": bug.line, "old": bug.old, "new": bug.new, "reason": bug.reason}


def _made(drawing: Drawing | None) -> dict[str, Any] | None:
    """How a drawing became its picture: the ink in the middle of its box, its centre of mass, and the move."""
    if drawing is None:
        return None
    return {"boxed": pack(drawing.boxed, "u1"), "mass": list(drawing.mass), "shift": list(drawing.shift)}
