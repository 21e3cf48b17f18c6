"""The derivations in the terminal, and the walk through one step of a tiny model, every tensor and every gradient."""

from .explain import explain
from .graph import Step, graph
from .passes import Walk, backward, forward, run_walk
from .walk import walk

__all__ = ["Step", "Walk", "backward", "explain", "forward", "graph", "run_walk", "walk"]
