"""Atomic file writes: at every moment a file holds either what it held before or all of its new content."""

import contextlib
import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

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


@contextlib.contextmanager
def open_regular(path: str | Path, largest: int | None = None) -> Iterator[BinaryIO]:
    """Open a regular file to read its bytes; largest: how many it may have at most.

    Raises FileNotFoundError if there is none, and CheckpointError, in one line and at once, for anything else: a
    folder, a pipe, a device, a file that may not be read or is larger.
    """
    try:
        mode = os.stat(path).st_mode  # before it is opened, which may be more than looking, for a device
        if stat.S_ISREG(mode):
            file = open(path, "rb", opener=_open_without_waiting)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(mode):
        raise CheckpointError(f"{path}: not a regular file but a {_kind(mode)}; give the file itself")
    with file:
        size = os.fstat(file.fileno()).st_size
        if largest is not None and size > largest:
            raise CheckpointError(f"{path}: has {size} bytes, expected at most {largest}; use another copy")
        yield file


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


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
    return kinds.get(stat.S_IFMT(mode), "device")


def _open_without_waiting(path: str, flags: int) -> int:
    """For `open`: a pipe without anybody at its other end is an error to write to, and at its end to read from."""
    descriptor = os.open(path, flags & ~(os.O_CREAT | os.O_TRUNC) | getattr(os, "O_NONBLOCK", 0))
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(descriptor, True)
    return descriptor
