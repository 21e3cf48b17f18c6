"""Flags that several commands have, and those that are made from the fields of config dataclasses, so that every
hyperparameter is written once."""

import argparse
import contextlib
import dataclasses
import types
import typing
from typing import Any

from ..machine import available_cores
from ..ops.normal_cdf import FORMS
from ..ops.resize import DIALECTS
from ..train.config import MOST_COPIES
from ..weights import PIXELS

ALIASES = {"tta": "--views", "warmup_fraction": "--warmup"}  # hidden: what flags were called before 0.1.0


def add_tta(parser: argparse.ArgumentParser) -> None:
    """Test-time augmentation."""
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


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Worker threads."""
    parser.add_argument("--threads", type=int, default=available_cores(), help="threads (default: the cores available)")


def add_loading(parser: argparse.ArgumentParser) -> None:
    """What may have to be said about another library's file."""
    group = parser.add_argument_group("another library's file, where it does not tell")
    group.add_argument("--gelu", choices=FORMS, help="the form of GELU")
    group.add_argument("--norm-eps", type=float, metavar="EPS", help="LayerNorm's epsilon")
    group.add_argument("--heads", type=int, metavar="H", help="attention heads")
    group.add_argument("--pixels", choices=tuple(PIXELS), help="the normalisation of its images")
    group.add_argument("--image-size", type=size, metavar="S|SHxSW", help="resize its positions to images of this size")
    group.add_argument("--resize", choices=DIALECTS, help="how (default: as the library does)")


def size(text: str) -> int | tuple[int, int]:
    """An image size for argparse: 224, or 224x320, height first."""
    try:
        sides = [int(side) for side in text.lower().split("x")]
        height, width = sides * 2 if len(sides) == 1 else sides
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a side or height x width, 224 or 224x320, not {text!r}") from None
    return height if height == width else (height, width)


def port(text: str) -> int:
    """A port for argparse."""
    if text.isdecimal() and 1 <= int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"must lie in 1..65535, not {text or 'empty'}")


def add_flags(group: Any, config: type, defaults: dict[str, Any]) -> None:
    """A flag for each field of a config dataclass: --its-name, typed, with its help. Flags that are not given set
    nothing. defaults: what the command then takes, where it is not the dataclass' own default."""
    types_of = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        if field.metadata["from_data"]:
            continue
        flag, hint = "--" + field.name.replace("_", "-"), types_of[field.name]
        none = field.metadata["none"]
        default = defaults.get(field.name, field.default)
        shown = f" (default: {none if default is None else default})"
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
