"""The derivations in the terminal, and a walk through one step of a tiny model that shows every tensor and gradient."""

from .graph import Step
from .passes import Walk, backward, forward, run_walk

__all__ = ["Step", "Walk", "backward", "forward", "run_walk"]
