"""What the config files beside somebody else's weights tell, in our terms."""

from typing import Any, NamedTuple

from ..errors import CheckpointError
from ..preprocess import Preprocessing

# The normalisations that published models use: mean and standard deviation of each channel, of pixels in [0, 1].
PIXELS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "half": ((0.5,), (0.5,)),
    "none": ((0.0,), (1.0,)),
}

LARGEST_SIDE = 100_000  # pixels
LONGEST_TEXT = 200  # characters of a setting


class Told(NamedTuple):
    """What the files beside the weights tell.

    settings: fields of ViTConfig. image_size: the native one, in pixels. preprocessing: of picture files. sizes: width
    and depth, to be compared with the tensors'. licence: as the publisher names it. notes: what cannot be kept.
    """

    settings: dict[str, Any] = {}
    image_size: int | tuple[int, int] | None = None
    preprocessing: Preprocessing | None = None
    sizes: dict[str, int] = {}
    licence: str | None = None
    notes: tuple[str, ...] = ()


def names_of(labels: Any) -> tuple[str, ...] | None:
    """Class names, from a list or from {number: name}; None if there are none, or only transformers' placeholders.
    Names that occur twice, as in ImageNet, get their number behind them."""
    if isinstance(labels, dict):
        if not all(number.isdecimal() for number in labels):
            return None
        labels = [labels[number] for number in sorted(labels, key=int)]
    if not isinstance(labels, (list, tuple)) or not labels or not all(isinstance(name, str) for name in labels):
        return None
    if all(name == f"LABEL_{k}" for k, name in enumerate(labels)):
        return None
    return tuple(name if labels.count(name) == 1 else f"{name} ({k})" for k, name in enumerate(labels))


def size_of(value: Any) -> int | tuple[int, int] | None:
    """An image size, as the files give it: a side, or height and width; None if it is neither."""
    listed = value if isinstance(value, (list, tuple)) else (value, value)
    sides = [whole({"": side}, "") for side in listed]
    if len(sides) != 2 or sides[0] is None or sides[1] is None or max(sides[0], sides[1]) > LARGEST_SIDE:
        return None
    return sides[0] if sides[0] == sides[1] else (sides[0], sides[1])


def expect(path: Any, condition: bool, message: str) -> None:
    """Raise CheckpointError about a file, unless the condition holds."""
    if not condition:
        raise CheckpointError(f"{path}: {message}")


def section(values: dict[str, Any], name: str) -> dict[str, Any]:
    """The settings of this name; none if they are not a dictionary."""
    value = values.get(name)
    return value if isinstance(value, dict) else {}


def text(values: dict[str, Any], name: str) -> str | None:
    """The text of this name among the values, a line of it; None if there is none."""
    value = values.get(name)
    return value if isinstance(value, str) and value.isprintable() and len(value) <= LONGEST_TEXT else None


def whole(values: dict[str, Any], name: str) -> int | None:
    """The whole number of this name among the values, at least 1; None if there is none."""
    value = values.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def number(values: dict[str, Any], name: str) -> float | None:
    """The finite number of this name among the values; None if there is none."""
    value = values.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < 1e30:
        return None
    return float(value)


def pixels_of(values: dict[str, Any], mean: str, std: str) -> dict[str, tuple[float, ...]]:
    """The normalisation among the values, as ViTConfig calls it; nothing if it is not whole."""
    found = []
    for name in (mean, std):
        value = values.get(name)
        listed = value if isinstance(value, (list, tuple)) else []
        found.append(tuple(n for n in (number({"": one}, "") for one in listed) if n is not None))
    if not found[0] or len(found[0]) != len(found[1]):
        return {}
    return {"pixel_mean": found[0], "pixel_std": found[1]}


def channels_of(values: tuple[float, ...], config_channels: int) -> tuple[float, ...]:
    """One value for each channel, from one for all of them, or from one for each."""
    return values * config_channels if len(values) == 1 else values


def check_sizes(path: Any, told: Told, values: dict[str, Any]) -> None:
    """Raise CheckpointError if a config is of another model than the tensors beside it."""
    for name, size in told.sizes.items():
        if values[name] != size:
            raise CheckpointError(
                f"{path}: the config beside it is of another model: {name} {size}, the tensors have {values[name]}"
            )
