"""What the page sends, checked: whatever comes, it is a request that makes sense or an error of one line."""

import base64
import binascii
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError

Strokes = tuple[tuple[tuple[float, float], ...], ...]
MOST_STEPS = 50  # of AdamW
MOST_POINTS = 20_000  # of all strokes
MOST_NAMES = 400  # tensors asked for at once
MOST_GREY = 512  # side of a picture from a file


class RequestError(DataError):
    """A request that makes no sense."""


@dataclass(frozen=True)
class Request:
    """Which run: of which model and picture, for which class, with which planted bug, after how many AdamW steps.
    One of digit, strokes and pixels is given. Equal requests have the same answer while the model stays the same."""

    model: str
    digit: int | None = None
    strokes: Strokes | None = None
    pixels: bytes | None = None
    label: int | None = None
    bug: str | None = None
    steps: int = 0


def read_request(body: Any) -> Request:
    """The run that a body asks for. Raises RequestError."""
    _check(isinstance(body, dict), "a request is a JSON object")
    _check(sum(key in body for key in ("digit", "strokes", "pixels")) == 1, "give one of digit, strokes and pixels")
    return Request(
        model=_text(body, "model"),
        digit=_count(body, "digit", 9),
        strokes=_strokes(body["strokes"]) if "strokes" in body else None,
        pixels=_bytes(body["pixels"]) if "pixels" in body else None,
        label=_count(body, "label", 9_999),
        bug=_text(body, "bug") if body.get("bug") is not None else None,
        steps=_count(body, "steps", MOST_STEPS) or 0,
    )


def read_number(body: Any) -> int:
    """The number of a request, which its answer carries, too."""
    return _count(body, "number", 2**53) or 0


def read_names(body: Any) -> list[str]:
    """The names of tensors."""
    names = body.get("names")
    _check(isinstance(names, list) and len(names) <= MOST_NAMES, f"names is a list of at most {MOST_NAMES} names")
    _check(all(isinstance(name, str) for name in names), "a name is a text")
    return names


def read_entry(body: Any) -> tuple[str, tuple[int, ...]]:
    """A tensor's name, and the indices of one of its entries."""
    entry = body.get("entry")
    _check(isinstance(entry, list) and len(entry) <= 8, "entry is a list of at most 8 indices")
    _check(all(type(index) is int and 0 <= index < 2**31 for index in entry), "an index is a whole number from 0 on")
    return _text(body, "name"), tuple(entry)


def read_grey(body: Any) -> np.ndarray:
    """A grey picture (h, w), uint8."""
    grey = body.get("grey") if isinstance(body, dict) else None
    if not isinstance(grey, dict):
        raise RequestError("grey is an object of width, height and data")
    height, width = (_count(grey, name, MOST_GREY) or 0 for name in ("height", "width"))
    _check(height >= 1 and width >= 1, "a picture has at least one pixel")
    return pixels(_bytes(grey.get("data")), (height, width))


def read_text(body: Any, name: str) -> str:
    """A text of a body."""
    _check(isinstance(body, dict), "a request is a JSON object")
    return _text(body, name)


def read_line(body: Any) -> tuple[str, int]:
    """A file, as the page names it, and the number of a line of it."""
    return _text(body, "file"), _count(body, "line", 100_000) or 0


def _strokes(value: Any) -> Strokes:
    _check(isinstance(value, list), "strokes is a list of strokes")
    _check(all(isinstance(stroke, list) for stroke in value), "a stroke is a list of points")
    _check(sum(map(len, value)) <= MOST_POINTS, f"strokes have at most {MOST_POINTS} points")
    return tuple(tuple(_point(point) for point in stroke) for stroke in value)


def _point(value: Any) -> tuple[float, float]:
    fits = isinstance(value, list) and len(value) == 2 and all(type(v) in (int, float) for v in value)
    _check(fits and all(abs(v) < 1e6 and math.isfinite(v) for v in value), "a point is a pair of numbers")
    return float(value[0]), float(value[1])


def pixels(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The bytes of a picture of this shape, uint8."""
    _check(len(data) == math.prod(shape), f"a picture of {len(data)} bytes came, expected {math.prod(shape)}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _bytes(value: Any) -> bytes:
    _check(isinstance(value, str), "data is a text of base 64")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise RequestError("data is no text of base 64") from None


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or len(value) > 200:
        raise RequestError(f"{name} is a text of at most 200 letters")
    return value


def _count(body: dict[str, Any], name: str, most: int) -> int | None:
    value = body.get(name)
    _check(value is None or (type(value) is int and 0 <= value <= most), f"{name} is a whole number from 0 to {most}")
    return value


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise RequestError(message)
