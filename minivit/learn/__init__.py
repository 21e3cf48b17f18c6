"""The derivations in the terminal, and the walk through one step of a tiny model, every tensor and every gradient."""

from .graph import Step
from .passes import Walk, backward, forward, run_walk

__all__ = ["Step", "Walk", "backward", "forward", "run_walk"]
