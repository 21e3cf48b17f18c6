"""Other people's ViTs, in and out: their files, names and settings, their positions at another image size, ONNX.

A family's table (timm.py, huggingface.py, openclip.py, google.py) says which tensor is which of our parameters; it is
read in one direction to load and in the other to export.
"""

from .export import TARGETS, convert
from .files import find_weights, written_by_minivit
from .load import Description, describe, load_weights
from .report import grouped, report
from .settle import ASKED, Answers
from .told import PIXELS

__all__ = [
    "ASKED",
    "PIXELS",
    "TARGETS",
    "Answers",
    "Description",
    "convert",
    "describe",
    "find_weights",
    "grouped",
    "load_weights",
    "report",
    "written_by_minivit",
]
