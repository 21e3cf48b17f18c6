"""Settings: what the frozen dataclasses ViTConfig, TrainConfig and Preprocessing share.

Each field is checked by its declared type when the object is made, and a message names it. NumPy numbers are numbers.
"""

import dataclasses
import numbers
import types
import typing
from typing import Any, TypeVar

import numpy as np

from .errors import ConfigError, ConfigTypeError

T = TypeVar("T")
LARGEST = 1e30  # of any number: what is larger does not fit into float32 with room to compute


def option(
    default: Any,
    help: str,
    choices: tuple[str, ...] | None = None,
    *,
    none: str = "auto",
    from_data: bool = False,
    machine: bool = False,
) -> Any:
    """A dataclass field with what its command-line flag says. none: the word that stands for None there, "off" or
    "auto"; from_data: the data decide it, so it has no flag; machine: it belongs to the machine that computes and
    changes no result."""
    metadata = {"help": help, "choices": choices, "none": none, "from_data": from_data, "machine": machine}
    return dataclasses.field(default=default, metadata=metadata)


def check(condition: bool, message: str) -> None:
    """Raise ConfigError with this message unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def check_types(settings: Any) -> None:
    """Convert every field of a frozen dataclass to its declared type: whole numbers (never bools or 3.0), numbers,
    True or False, text, tuples of these, or None. Raises ConfigTypeError, naming the field, for anything else, and
    ConfigError for numbers that are not finite."""
    for name, kind in typing.get_type_hints(type(settings)).items():
        object.__setattr__(settings, name, check_type(name, getattr(settings, name), kind))


def check_type(name: str, value: Any, kind: Any) -> Any:
    """The value, converted to a declared type as `check_types` does. Raises ConfigTypeError or ConfigError, naming
    it."""
    try:
        return _convert(value, kind)
    except TypeError:
        raise ConfigTypeError(f"{name} must be {_described(kind)}, not {value!r}") from None
    except (ValueError, OverflowError):  # a whole number may be too large for a float
        raise ConfigError(f"{name} must be finite and at most {LARGEST:g}, not {value!r}") from None


def check_count(name: str, value: Any, least: int = 1) -> int:
    """The whole number `value`, as an int. Raises ConfigTypeError, naming it, for what is none, and ConfigError for
    less than `least`."""
    count: int = check_type(name, value, int)
    check(count >= least, f"{name} must be at least {least}, not {count}")
    return count


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise ConfigError, naming the setting, unless its value is one of the choices."""
    check(value in choices, f"{name} must be one of {', '.join(choices)}, not {value!r}")


def read_settings(cls: type[T], values: Any) -> T:
    """The dataclass that these JSON values describe. Raises ConfigError if they are no dictionary, or hold a field that
    this version does not know."""
    check(isinstance(values, dict), f"the settings of a {cls.__name__} are a dictionary, not {values!r}")
    unknown = sorted(map(str, values.keys() - {field.name for field in dataclasses.fields(cls)}))  # type: ignore[arg-type]
    check(
        not unknown,
        f"this version of minivit has no {cls.__name__} setting called {', '.join(unknown)}: "
        "the file was written by a later one, so update minivit",
    )
    return cls(**values)


def _convert(value: Any, kind: Any) -> Any:
    """Raises TypeError for a value of another kind, ValueError for a number that is not finite."""
    if isinstance(kind, types.UnionType):
        for one in typing.get_args(kind):
            try:
                return _convert(value, one)
            except TypeError:
                pass
    elif typing.get_origin(kind) is tuple:
        if isinstance(value, (tuple, list, np.ndarray)):
            parts = typing.get_args(kind)
            kinds = parts[:1] * len(value) if parts[1:] == (...,) else parts
            if len(kinds) == len(value):
                return tuple(_convert(part, one) for part, one in zip(value, kinds))
    elif kind is types.NoneType:
        if value is None:
            return None
    elif kind is str:
        if isinstance(value, str):
            return str(value)
    elif kind is bool:
        if isinstance(value, (bool, np.bool_)):
            return bool(value)
    elif not isinstance(value, (bool, np.bool_)):
        if kind is int and isinstance(value, numbers.Integral):
            return int(value)
        if kind is float and isinstance(value, numbers.Real):
            number = float(value)
            if not abs(number) <= LARGEST:
                raise ValueError
            return number
    raise TypeError


def _described(kind: Any) -> str:
    if isinstance(kind, types.UnionType):
        return " or ".join(map(_described, typing.get_args(kind)))
    if typing.get_origin(kind) is tuple:
        parts = typing.get_args(kind)
        count = "a sequence" if parts[1:] == (...,) else f"{len(parts)} values"
        return f"{count}, each {_described(parts[0])}"
    words = {int: "a whole number", float: "a number", bool: "True or False", str: "text", types.NoneType: "None"}
    return words[kind]
