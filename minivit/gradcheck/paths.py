"""Where an object keeps an array: paths of attributes, keys and indices, "layers.0.params.w"."""

from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any


def read(owner: Any, path: str) -> Any:
    """What is at a path. Raises LookupError or AttributeError where there is nothing."""
    parent, last = _parent(owner, path)
    return _step(parent, last)


def write(owner: Any, path: str, value: Any) -> None:
    """Put a value at a path. Raises LookupError, AttributeError or TypeError where it cannot be."""
    parent, last = _parent(owner, path)
    if isinstance(parent, MutableMapping):
        parent[_key(parent, last)] = value
    elif isinstance(parent, MutableSequence):
        parent[int(last)] = value
    else:
        setattr(parent, last, value)


def _parent(owner: Any, path: str) -> tuple[Any, str]:
    first, dot, rest = path.partition(".")
    if not dot or (isinstance(owner, Mapping) and path in owner):  # a key may have dots of its own
        return owner, path
    return _parent(_step(owner, first), rest)


def _step(owner: Any, name: str) -> Any:
    if isinstance(owner, Mapping):
        return owner[_key(owner, name)]
    if isinstance(owner, Sequence) and name.lstrip("-").isdigit():
        return owner[int(name)]
    return getattr(owner, name)


def _key(owner: Mapping[Any, Any], name: str) -> Any:
    return int(name) if name not in owner and name.lstrip("-").isdigit() else name
