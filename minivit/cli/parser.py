"""What can be asked for on the command line, and how. What a command then does is in commands.py.

Flags are made from the config dataclasses, so that every hyperparameter is written once.
"""

import argparse
import contextlib
import dataclasses
import os
import types
import typing
from typing import Any

from .. import __version__
from ..backend import DEVICES
from ..config import ViTConfig
from ..gradcheck.suite import METHODS
from ..machine import available_cores
from ..ops.normal_cdf import FORMS
from ..ops.resize import DIALECTS
from ..train import RECIPES, TrainConfig
from ..train.config import MOST_COPIES
from ..weights import PIXELS, TARGETS
from . import commands
from .commands import DEFAULT_DATA

ALIASES = {"tta": "--views", "warmup_fraction": "--warmup"}  # hidden: what flags were called before 0.1.0
RUN_HELP = (
    "a run's folder, a model.safetensors, or the word pretrained: the model that comes with minivit; or a safetensors "
    "file, a folder or an .npz file of timm, transformers, open_clip, Meta or Google"
)
DATA_HELP = "mnist5k (5,000 digits, comes with minivit), mnist (all 70,000), or a folder of IDX files"


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; `arguments.command` is the function to call."""
    parser = argparse.ArgumentParser(
        prog="minivit",
        description="A Vision Transformer from first principles: every gradient written by hand, on NumPy and CuPy.",
        epilog="Start with `minivit train`: it learns 3,600 handwritten digits in about a minute, without a network. "
        "`minivit COMMAND --help` explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"minivit {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(function: Any, name: str, help: str, *, device: bool = True) -> argparse.ArgumentParser:
        made = subparsers.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        made.set_defaults(command=function)
        if device:
            made.add_argument("--device", choices=DEVICES, default="cpu", help="gpu needs CuPy (default: cpu)")
        return made

    it = command(commands.train, "train", "train a model, and test it once at the end")
    it.set_defaults(device=None)  # with --resume, the run's own
    it.add_argument("--data", help=f"{DATA_HELP} (default: {DEFAULT_DATA})")
    recipes = "; ".join(f"{name}: {recipe.about}" for name, recipe in RECIPES.items())
    it.add_argument(
        "--recipe", choices=tuple(RECIPES), help=f"settings made for --data mnist, which flags override ({recipes})"
    )
    it.add_argument("--out", metavar="DIR", help="the run's folder (default: the first free runs/DATA-N)")
    it.add_argument("--overwrite", action="store_true", help="let --out replace the run that is in its folder")
    it.add_argument(
        "--resume",
        metavar="RUN",
        help="resume a run that was interrupted, with its own settings and on its own device; "
        "--threads, --save-every, --device, and --data for data that have moved, may be others than before",
    )
    it.add_argument(
        "--init", metavar="RUN", help="start from the weights of a run, with a learning-rate schedule of its own"
    )
    it.add_argument("--pixels", choices=tuple(PIXELS), help="the normalisation, where a file for --init tells none")
    it.add_argument("--overfit-batch", action="store_true", help="only check that the model can memorise 64 images")
    _add_flags(it.add_argument_group("training"), TrainConfig)
    _add_flags(it.add_argument_group("model"), ViTConfig)

    it = command(commands.evaluate, "eval", "measure a trained model: accuracy, loss, classes, confusion matrix")
    it.add_argument("run", metavar="RUN", help=RUN_HELP)
    it.add_argument("--data", help=DATA_HELP + " (default: what the run was trained on)")
    it.add_argument("--split", choices=("test", "valid", "train"), default="test", help="which part (default: test)")
    it.add_argument(
        "--out",
        metavar="PNG",
        type=os.path.expanduser,
        help="draw the confusion matrix, too (needs matplotlib: minivit[viz])",
    )
    _add_tta(it)
    _add_threads(it)
    _add_loading(it)

    it = command(commands.predict, "predict", "classify pictures: photos or drawings of a digit")
    it.add_argument("run", metavar="RUN", help=RUN_HELP)
    it.add_argument("images", metavar="IMAGE", nargs="+", help="PNG, JPEG, ... (needs pillow: minivit[images])")
    _add_tta(it)
    _add_threads(it)
    _add_loading(it)

    it = command(commands.info, "info", "list a trained model's parameters, shapes and settings", device=False)
    it.add_argument("run", metavar="RUN", help=RUN_HELP)
    _add_loading(it)

    it = command(commands.convert, "convert", "write a model as another library reads it, or as ONNX", device=False)
    it.add_argument("run", metavar="RUN", help=RUN_HELP)
    it.add_argument("out", metavar="OUT", help="a new folder; or a file NAME.onnx (needs onnx: minivit[onnx])")
    it.add_argument("--to", choices=TARGETS, help="whose layout the folder has; huggingface: that of transformers")
    _add_loading(it)

    it = command(commands.gradcheck, "gradcheck", "check every gradient against measurements", device=False)
    it.add_argument("--op", metavar="NAME", help="only this operation (attention, ...) or model switch (default: all)")
    it.add_argument(
        "--model", metavar="RUN", help=f"this model instead, a random direction for each of its tensors: {RUN_HELP}"
    )
    it.add_argument("--method", choices=tuple(METHODS), default="both", help="how to measure (default: both)")
    it.add_argument("--json", action="store_true", help="print a list of {op, tensor, method, relative_error, passed}")
    it.add_argument("--plot", metavar="PNG", help="only draw the error against the step size, in float32 and float64")
    _add_loading(it)

    it = command(commands.explain, "explain", "print the derivation of an operation's backward pass", device=False)
    it.add_argument("name", nargs="?", metavar="NAME", help="layernorm, ...; without it, all of them in reading order")

    it = command(commands.walk, "walk", "follow one digit through a model and back", device=False)
    it.add_argument("--index", type=int, default=0, help="which of the bundled test digits (default: 0)")
    it.add_argument("--model", metavar="RUN", help=f"through this model (default: a tiny untrained one): {RUN_HELP}")
    it.add_argument("--block", type=int, metavar="I", help="only the tensors of block number I, from 0 (default: all)")
    _add_loading(it)

    it = command(commands.attend, "attend", "show where a trained model looks in a picture")
    it.add_argument("run", metavar="RUN", help=RUN_HELP)
    it.add_argument("image", metavar="IMAGE", help="PNG, JPEG, ... (needs pillow: minivit[images])")
    it.add_argument(
        "--out", metavar="PNG", type=os.path.expanduser, help="draw it, too (needs matplotlib: minivit[viz])"
    )
    _add_loading(it)

    it = command(commands.data, "data", "fetch a data set, verify it and keep it in the cache", device=False)
    it.add_argument("name", choices=("mnist",), help="which data set")
    it.add_argument("--mirror", metavar="URL", action="append", help="fetch from here instead; may be repeated")
    return parser


def _add_tta(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tta",
        type=_copies,
        help="test-time augmentation: average over each image and this many augmented copies (default: as in the run)",
    )
    parser.add_argument("--views", dest="tta", type=_copies, help=argparse.SUPPRESS)


def _value_or(none: str, kind: type, words: tuple[str, ...]) -> Any:
    """A type for argparse: a number, one of these words, or the word that stands for None. kind str: no number."""

    numbers = () if kind is str else ("a number",)

    def value(text: str) -> Any:
        if text == none or text in words:
            return None if text == none else text
        with contextlib.suppress(ValueError):
            if numbers:
                return kind(text)
        raise argparse.ArgumentTypeError(f"must be {', '.join((*numbers, *words))} or the word {none}, not {text!r}")

    return value


def _copies(text: str) -> int:
    """How many augmented copies, for argparse."""
    if text == "off":
        return 0
    with contextlib.suppress(ValueError):
        if 0 <= (number := int(text)) <= MOST_COPIES:
            return number
    raise argparse.ArgumentTypeError(f"must lie in 0..{MOST_COPIES}, or be the word off, not {text or 'empty'}")


def _add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=int, default=available_cores(), help="threads (default: the cores available)")


def _add_loading(parser: argparse.ArgumentParser) -> None:
    """What may have to be said about another library's file."""
    group = parser.add_argument_group("another library's file, where it does not tell")
    group.add_argument("--gelu", choices=FORMS, help="the form of GELU")
    group.add_argument("--norm-eps", type=float, metavar="EPS", help="LayerNorm's epsilon")
    group.add_argument("--heads", type=int, metavar="H", help="attention heads")
    group.add_argument("--pixels", choices=tuple(PIXELS), help="the normalisation of its images")
    group.add_argument(
        "--image-size", type=_size, metavar="S|SHxSW", help="resize its positions to images of this size"
    )
    group.add_argument("--resize", choices=DIALECTS, help="how (default: as the library does)")


def _size(text: str) -> int | tuple[int, int]:
    """An image size for argparse: 224, or 224x320, height first."""
    try:
        sides = [int(side) for side in text.lower().split("x")]
        height, width = sides * 2 if len(sides) == 1 else sides
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a side or height x width, 224 or 224x320, not {text!r}") from None
    return height if height == width else (height, width)


def _add_flags(group: Any, config: type) -> None:
    """A flag for each field of a config dataclass: --its-name, typed, with its help. Flags that are not given set
    nothing, so the dataclass keeps its defaults."""
    types_of = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        if field.metadata["from_data"]:
            continue
        flag, hint = "--" + field.name.replace("_", "-"), types_of[field.name]
        none = field.metadata["none"]
        shown = f" (default: {none if field.default is None else field.default})"
        more = {"default": argparse.SUPPRESS, "help": field.metadata["help"] + shown}
        if hint in (bool, bool | None):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, **more)
            continue
        metavar, choices = hint.__name__.upper() if isinstance(hint, type) else None, field.metadata["choices"]
        if isinstance(hint, types.UnionType):  # int | None
            kind = next(one for one in typing.get_args(hint) if one is not types.NoneType)
            words, choices = choices or (), None
            metavar = "|".join((*(() if kind is str else (kind.__name__.upper(),)), *words, none))
            hint = _value_or(none, kind, words)
        group.add_argument(flag, type=hint, choices=choices, metavar=None if choices else metavar, **more)
        if field.name in ALIASES:
            hidden = {"default": argparse.SUPPRESS, "help": argparse.SUPPRESS, "dest": field.name}
            group.add_argument(ALIASES[field.name], type=hint, **hidden)
