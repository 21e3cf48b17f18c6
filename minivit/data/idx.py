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
import math
import os
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from ..atomic import open_regular, write_atomically
from ..errors import CheckpointError, DataError

GZIP_MAGIC = b"\x1f\x8b"
GZIP_STREAM = zlib.MAX_WBITS + 16  # tells zlib to expect gzip's header and checksum
IDX_MAGIC = b"\0\0\x08"  # of unsigned bytes
OTHER_TYPES = {0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
MOST_AXES = 4
LONGEST_HEADER = 4 + 4 * MOST_AXES  # bytes
LARGEST = 4 << 30  # bytes of a file, packed or unpacked
PIECE = 1 << 20  # bytes that are unpacked at once
MEANT = "check that it is the file you meant"
AGAIN = "move it away and fetch it again"


def find_idx(folder: Path, name: str) -> Path | None:
    """The file `name`, plain or gzipped, in `folder`; None where there is none. It is also found as unpackers leave it:
    called train-images.idx3-ubyte for train-images-idx3-ubyte, and inside a folder of its own name."""
    spellings = (name, name.replace("-idx", ".idx"))
    for place in (folder, *(folder / spelling for spelling in spellings)):
        for spelling in spellings:
            for path in (place / spelling, place / f"{spelling}.gz"):
                if os.path.exists(path) and not os.path.isdir(path):
                    return path
    return None


def read_idx(path: str | os.PathLike[str], sha256: str | None = None) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, plain or gzipped (told apart by its first bytes, not by its name).

    sha256: the checksum that the unpacked file must have, in hexadecimal; None checks none.
    Returns uint8, as many axes as the file says, an array of the caller's own. No more memory is taken than the file
    holds values, whatever its header says.
    Raises DataError for a file that is missing, no regular file, damaged, cut short, too long, or has another format or
    checksum.
    """
    try:
        with open_regular(Path(path), LARGEST) as file:
            packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            file.seek(0)
            content = unpack(file, str(path)) if packed else _read_plain(file, str(path))
    except CheckpointError as error:
        raise DataError(str(error)) from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; expected an IDX file") from None
    if sha256 not in (None, found := hashlib.sha256(content).hexdigest()):
        raise DataError(
            f"{path} is another file: unpacked, its SHA-256 is {found}, expected {sha256}; move it away to fetch it"
        )
    return parse_idx(content, str(path))


def unpack(file: BinaryIO, name: str) -> bytearray:
    """The IDX file inside a gzipped one, open at its start; errors call it `name`.

    Every gzip member is compared with its checksum, until the IDX file is whole; what stands behind that is ignored, as
    gunzip ignores it. Raises DataError for a damaged file, and as soon as it holds more than the IDX header says.
    """
    content, rest = bytearray(), file.read(PIECE)
    try:
        while rest.startswith(GZIP_MAGIC) and len(content) != _size(content, name):
            member = zlib.decompressobj(GZIP_STREAM)
            while not member.eof:
                piece = member.decompress(rest, PIECE)
                content += piece
                if len(content) > (size := _size(content, name)):
                    raise DataError(f"{name} is too long: it unpacks to more than the {size} bytes expected; {AGAIN}")
                rest = member.unused_data if member.eof else member.unconsumed_tail or file.read(PIECE)
                if not (rest or piece or member.eof):
                    raise EOFError("its end is missing")
            rest += file.read(PIECE) if len(rest) < len(GZIP_MAGIC) else b""
    except (EOFError, zlib.error) as error:
        raise DataError(f"{name} is a damaged gzip file ({error}); {AGAIN}") from None
    return content


def parse_idx(content: bytes | bytearray, name: str) -> npt.NDArray[np.uint8]:
    """The array in an unpacked IDX file; errors call it `name`. Raises DataError."""
    start, shape = _read_header(content, name)
    _check_length(len(content), start, shape, name)
    values = np.frombuffer(content, np.uint8, offset=start).reshape(shape)
    return values if values.flags.writeable else values.copy()  # a bytearray has been read for this call only


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


def _read_plain(file: BinaryIO, name: str) -> bytearray:
    """An IDX file that is not packed: nothing is read unless it is as long as its header says."""
    content = bytearray(file.read(LONGEST_HEADER))
    _check_length(os.fstat(file.fileno()).st_size, *_read_header(content, name), name)
    while piece := file.read(PIECE):
        content += piece
    return content


def _read_header(content: bytes | bytearray, name: str) -> tuple[int, tuple[int, ...]]:
    """Where the values begin, and the length of every axis. Raises DataError for anything but unsigned bytes."""
    if content[:2] == IDX_MAGIC[:2] and len(content) >= 4 and content[2] in OTHER_TYPES:
        raise DataError(
            f"{name} holds values of {OTHER_TYPES[content[2]]} (IDX type 0x{content[2]:02x}), expected unsigned bytes"
            " (0x08), 0 to 255; convert them with numpy and minivit.data.idx.write_idx"
        )
    if content[:3] != IDX_MAGIC or len(content) < 4:
        raise DataError(
            f"{name} is no IDX file of unsigned bytes: it starts with 0x{content[:4].hex()},"
            f" expected 0x000008 and the number of axes; {MEANT}"
        )
    if content[3] > MOST_AXES:
        raise DataError(f"{name} is an IDX file of {content[3]} axes, expected at most {MOST_AXES}; {MEANT}")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise DataError(f"{name} is cut short: {len(content)} bytes, expected a header of {start}; {AGAIN}")
    return start, tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4))


def _check_length(length: int, start: int, shape: tuple[int, ...], name: str) -> None:
    expected = start + math.prod(shape)
    if length != expected:
        raise DataError(
            f"{name} is {'too long' if length > expected else 'cut short'}: {length} bytes unpacked, expected"
            f" {expected} (a header of {start} and {' x '.join(map(str, shape))} values); {AGAIN}"
        )


def _size(content: bytearray, name: str) -> int:
    """How long an IDX file will be that begins like this; LARGEST as long as its header is not whole."""
    if len(content) < 4 or len(content) < min(4 + 4 * content[3], LONGEST_HEADER):
        return LARGEST
    start, shape = _read_header(content, name)
    return min(start + math.prod(shape), LARGEST)
