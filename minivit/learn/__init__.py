"""`minivit walk`: one digit through a tiny model, forward and backward, every tensor and every gradient in turn."""

from .numbers import Walk, backward, forward, take
from .tape import Step, tape
from .text import walk

__all__ = ["Step", "Walk", "backward", "forward", "take", "tape", "walk"]
