"""Files as wholes: at every moment a file holds either what it held before or all of its new content; and what is read
is a regular file, of a size that such a file can have."""

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from .errors import CheckpointError

LARGEST_JSON = 16 << 20  # bytes of a JSON file; settings and results are a thousandth of that
LONGEST_STEM = 200  # bytes of a name that still leave room for the rest of the private one


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file so that at every moment, also after a crash or on a full disk, `path` holds either what it held
    before or all of `content`. Raises OSError, with the name `path`, if that cannot be done.

    The bytes go to a private file beside it, are forced to the disk, and only then take the name. A file that is
    replaced keeps its permissions; a link is followed. A pipe or a character device cannot be replaced and is
    written to; a pipe that nobody reads, a block device and a socket are refused.
    """
    with _naming(path):
        mode = _mode(Path(path))
        if mode is not None and (stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)):
            with open(path, "wb", opener=_open_without_waiting) as stream:
                stream.write(content)
            return
    with prepared({Path(path): content}) as take_names:
        take_names()


@contextlib.contextmanager
def prepared(contents: Mapping[Path, bytes]) -> Iterator[Callable[[], None]]:
    """Write several files as `write_atomically` does, in two steps: inside the `with`, the bytes are on the disk, and
    the function that it gives lets them take their names, in order. Without that call nothing has changed at the end.
    Raises OSError, with the name of the file, for a disk that is full and for what is no regular file."""
    privates: dict[Path, tuple[Path, Path]] = {}  # path: its private file, and the place that it is to take

    def take_names() -> None:
        for path, (private, place) in privates.items():
            with _naming(path):
                os.replace(private, place)

    try:
        for path, content in contents.items():
            with _naming(path):
                mode = _mode(path)
                if mode is not None and not stat.S_ISREG(mode):
                    number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
                    raise OSError(number, "Not a regular file")
                place = Path(os.path.realpath(path))
                privates[path] = place.with_name(_private_name(place.name)), place
                _write(privates[path][0], content, mode)
        yield take_names
    finally:
        for private, _ in privates.values():
            private.unlink(missing_ok=True)


def is_private(name: str, of: str) -> bool:
    """Whether this is the name of a private file on its way to the name `of`: after a crash it may be left."""
    return re.fullmatch(re.escape(f".{_stem(of)}.") + "[0-9a-f]{16}", name) is not None


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
    if type(found) is not int or not 0 <= found <= newest:
        raise CheckpointError(
            f"{path}: has format {found!r}, this version of minivit reads formats 0 to {newest}: update minivit"
        )


def write_json(path: str | Path, values: Any) -> None:
    """Write values as indented JSON, atomically."""
    write_atomically(path, json_bytes(values))


def json_bytes(values: Any) -> bytes:
    """Values as an indented JSON file."""
    return (json.dumps(values, indent=2) + "\n").encode()


def read_json(path: str | Path) -> Any:
    """The values in a JSON file; None if there is no such file. Raises CheckpointError if it is damaged, or no regular
    file of at most 16 MiB."""
    try:
        with open_regular(path, LARGEST_JSON) as file:
            return json.loads(file.read())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError, OSError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path}: not readable as JSON ({error})") from None


def _stem(name: str) -> str:
    """A name, or, where it is so long that nothing could be added to it, what stands for it."""
    encoded = os.fsencode(name)
    return name if len(encoded) <= LONGEST_STEM else hashlib.sha256(encoded).hexdigest()


def _private_name(name: str) -> str:
    return f".{_stem(name)}.{secrets.token_hex(8)}"


def _write(private: Path, content: bytes, mode: int | None) -> None:
    """Write and force to the disk. mode: that of the file it will replace, never more open than that."""

    def create(path: str, flags: int) -> int:
        return os.open(path, flags, 0o666 if mode is None else stat.S_IMODE(mode) & 0o600)

    with open(private, "xb", opener=create) as file:
        file.write(content)
        file.flush()
        if mode is not None:
            os.chmod(private, stat.S_IMODE(mode))
        os.fsync(file.fileno())


def _mode(path: Path) -> int | None:
    """The mode of what is there, links followed; None if nothing is."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
    return kinds.get(stat.S_IFMT(mode), "device")


def _open_without_waiting(path: str, flags: int) -> int:
    """For `open`: a pipe without anybody at its other end is an error to write to, and at its end to read from."""
    descriptor = os.open(path, flags & ~(os.O_CREAT | os.O_TRUNC) | getattr(os, "O_NONBLOCK", 0))
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(descriptor, True)
    return descriptor


@contextlib.contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    """An OSError inside has this path: the private file's means nothing to the user."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
