"""`minivit walk`: one digit through a tiny model, forward and backward, every tensor and every gradient in turn."""

from .passes import Walk, backward, forward, take
from .graph import Step, tape
from .walk import walk

__all__ = ["Step", "Walk", "backward", "forward", "take", "tape", "walk"]
