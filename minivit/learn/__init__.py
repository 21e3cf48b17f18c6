"""The derivations in the terminal, and the tape: every tensor and every gradient of one image in a model."""

from .copies import Bug
from .tape import Step, Tape, record

__all__ = ["Bug", "Step", "Tape", "record"]
