"""One training as a process: its folder and lock, its state, signals, display and pictures."""

from .folder import Interrupted
from .load import Run, load_run, of_minivit, overlap
from .start import resume_run, start_run

__all__ = ["Interrupted", "Run", "load_run", "of_minivit", "overlap", "resume_run", "start_run"]
