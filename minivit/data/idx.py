"""The IDX format, in which MNIST and its relatives are distributed: a header of big-endian words, then the values.

    bytes 0, 1    zero
    byte 2        the type of a value; 0x08 is an unsigned byte, the only type read here
    byte 3        R, the number of axes
    R words       the length of every axis, 32 bits each
    the rest      the values, last axis fastest

The files usually travel gzipped, so both forms are read. Source: "The MNIST database", Y. LeCun, C. Cortes, C. Burges.
"""

import gzip
import hashlib
import io
import math
import os
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..atomic import write_atomically
from ..errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
LARGEST_UNPACKED = 4 << 30  # bytes that a gzipped file may unpack to
IDX_MAGIC = b"\0\0\x08"  # of unsigned bytes


def find_idx(folder: Path, name: str) -> Path | None:
    """The file `name`, else `name.gz`, in `folder`; None where there is neither."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if os.path.isfile(path)), None)


def read_idx(path: str | os.PathLike[str], sha256: str | None = None) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, plain or gzipped (told apart by its first bytes, not by its name).

    sha256: the checksum that the unpacked file must have, in hexadecimal; None checks none.
    Returns uint8, as many axes as the file says, an array of the caller's own.
    Raises DataError for a file that is missing, damaged, cut short, too long, or has another format or checksum.
    """
    try:
        packed = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; expected an IDX file") from None
    content = unpack(packed, str(path))
    if sha256 not in (None, found := hashlib.sha256(content).hexdigest()):
        raise DataError(
            f"{path} is another file: unpacked, its SHA-256 is {found}, expected {sha256}; move it away to fetch it"
        )
    return parse_idx(content, str(path))


def unpack(content: bytes, name: str) -> bytes:
    """The bytes inside `content` if it is gzipped, else `content`; errors call it `name`. Raises DataError."""
    if not content.startswith(GZIP_MAGIC):
        return content
    try:
        with gzip.open(io.BytesIO(content)) as file:
            unpacked = file.read(LARGEST_UNPACKED + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name} is a damaged gzip file ({error}), {len(content)} bytes long; fetch it again") from None
    if len(unpacked) > LARGEST_UNPACKED:
        raise DataError(
            f"{name} unpacks to more than {LARGEST_UNPACKED >> 30} GiB; check that it is the file you meant"
        )
    return unpacked


def parse_idx(content: bytes, name: str) -> npt.NDArray[np.uint8]:
    """The array in an unpacked IDX file; errors call it `name`. Raises DataError."""
    if content[:3] != IDX_MAGIC or len(content) < 4:
        raise DataError(
            f"{name} is no IDX file of unsigned bytes: it starts with 0x{content[:4].hex()},"
            " expected 0x000008 and the number of axes; check that it is the file you meant"
        )
    start = 4 + 4 * content[3]
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4))
    size = start + math.prod(shape)
    if not start <= len(content) == size:
        problem = "too long" if len(content) > size else "cut short"
        raise DataError(
            f"{name} is {problem}: {len(content)} bytes unpacked, expected {size}"
            f" (a header of {start} and {' x '.join(map(str, shape))} values); fetch it again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()


def write_idx(path: str | os.PathLike[str], values: npt.NDArray[np.uint8]) -> None:
    """Write `values` (uint8) as an IDX file, gzipped if the name ends in .gz.

    The same values give the same bytes (no time and no name inside). The file appears whole or not at all.
    Raises DataError for another dtype or a file that cannot be written.
    """
    if values.dtype != np.uint8:
        raise DataError(f"cannot write {path}: values of {values.dtype}, expected uint8; convert them first")
    path = Path(path)
    header = IDX_MAGIC + bytes([values.ndim]) + b"".join(length.to_bytes(4, "big") for length in values.shape)
    content = header + values.tobytes()
    write_whole(path, gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that whoever looks finds all of it or nothing, whatever is killed and whoever else writes it.

    Raises DataError if the folder or the disk does not let it.
    """
    try:
        write_atomically(path, content)
    except OSError as error:
        raise DataError(
            f"cannot write {path}: {error.strerror or error}; choose a folder that can be written"
        ) from None
