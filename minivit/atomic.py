"""Atomic file writes: at every moment a file holds either what it held before or all of its new content."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import CheckpointError


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file so that at every moment, also after a crash or on a full disk, `path` holds either what it held
    before or all of `content`. Raises OSError, with the name `path`, if that cannot be done.

    The bytes go to a private file beside it, are forced to the disk, and only then take the name.
    """
    path = Path(path)
    private = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(private, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(private, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None  # the private name means nothing to the user
    finally:
        private.unlink(missing_ok=True)


def check_format(content: Mapping[str, Any], newest: int, path: str | Path) -> None:
    """Raise CheckpointError if a file's content is of a later format than this version reads."""
    found = content.get("format", 0)
    if not isinstance(found, int) or not 0 <= found <= newest:
        raise CheckpointError(
            f"{path}: has format {found!r}, this version of minivit reads formats 0 to {newest}: update minivit"
        )


def write_json(path: str | Path, values: Any) -> None:
    """Write values as indented JSON, atomically."""
    write_atomically(path, (json.dumps(values, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """The values in a JSON file; None if there is no such file. Raises CheckpointError if it is damaged."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path}: not readable as JSON ({error})") from None
