"""One training as a process: its folder and lock, its state, signals, display and pictures."""

from .doubts import overlap
from .folder import Interrupted
from .load import Run, evaluation_split, load_run, of_minivit
from .resume import resume_run
from .start import start_run

__all__ = ["Interrupted", "Run", "evaluation_split", "load_run", "of_minivit", "overlap", "resume_run", "start_run"]
