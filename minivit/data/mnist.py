"""Fetching MNIST: four gzipped IDX files from the first mirror that has them, checked, and kept for the next time."""

import hashlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tqdm import tqdm

from ..errors import DataError
from .idx import GZIP_MAGIC, find_idx, read_idx, unpack, write_whole

# SHA-256 of the unpacked files, since every mirror packs anew.
CHECKSUMS: Mapping[str, str] = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
TIMEOUT = 30.0  # seconds that a mirror may stay silent
LARGEST_DOWNLOAD = 64 << 20  # bytes; more than this is not one of the files, whatever is sent


def data_folders() -> list[Path]:
    """Where data is looked for: $MINIVIT_DATA if set, the platform's folder for caches if there is a home folder. New
    files go to the first. Raises DataError if there is none."""
    chosen = os.environ.get("MINIVIT_DATA")
    folders = [Path(os.path.expanduser(chosen))] if chosen else []
    try:
        if sys.platform == "win32":
            caches = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            caches = Path.home() / "Library" / "Caches"
        else:
            caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folders.append(caches / "minivit")
    except RuntimeError:  # neither HOME nor an entry in the password database
        if not folders:
            raise DataError("there is no home folder to keep data in: set MINIVIT_DATA to a folder") from None
    return folders


def find_mnist(cache: str | os.PathLike[str] | None = None) -> Path | None:
    """The first folder with all four files, unchecked, of `cache`/mnist, `cache` and torchvision's `cache`/MNIST/raw;
    None where none has them.

    cache: None looks in all the `data_folders()`.
    """
    roots = data_folders() if cache is None else [Path(cache)]
    folders = [folder for root in roots for folder in (root / "mnist", root, root / "MNIST" / "raw")]
    return next((folder for folder in folders if all(find_idx(folder, name) for name in CHECKSUMS)), None)


def fetch_mnist(
    mirrors: Sequence[str] | str | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = True,
    checksums: Mapping[str, str] = CHECKSUMS,
) -> Path:
    """See that the four files are there and are MNIST, fetching what is missing. Returns the folder they are in.

    mirrors: addresses of folders, asked one after the other for every file; None means `MIRRORS`.
    cache: files are kept in `cache`/mnist, None: the first of `data_folders()`; what `find_mnist` finds stays there.
    progress: show bars, and a line for every mirror that fails, on stderr.
    checksums: SHA-256 of the unpacked files by name, for other data sets in these files.

    A file is written only after its bytes were checked, and appears whole or not at all; so an interruption leaves
    nothing to clean up, and two fetches at once do no harm.
    Raises DataError if no mirror sends a file, if a file already there is not the expected one (it is left alone), and
    if the folder cannot be written.
    """
    mirrors = [mirrors] if isinstance(mirrors, str) else mirrors
    folder = find_mnist(cache) or Path(data_folders()[0] if cache is None else cache) / "mnist"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"cannot make {folder}: {error.strerror}; set MINIVIT_DATA to a folder that can be written"
        ) from None
    for name, checksum in checksums.items():
        path = find_idx(folder, name)
        if path is not None:
            read_idx(path, checksum)
        else:
            write_whole(folder / f"{name}.gz", _ask_mirrors(name, checksum, mirrors or MIRRORS, folder, progress))
    return folder


def _ask_mirrors(name: str, checksum: str, mirrors: Sequence[str], folder: Path, progress: bool) -> bytes:
    """The gzipped file `name` from the first mirror that sends it right. Raises DataError with what each one said."""
    answers = []
    for mirror in mirrors:
        address = f"{mirror.rstrip('/')}/{name}.gz"
        try:
            return _download(address, checksum, progress)
        except (OSError, HTTPException, ValueError) as error:  # the network's, the protocol's, the content's
            answers.append(f"{mirror}: {_in_words(error)}")
            if progress:
                tqdm.write(f"no {name} yet: {answers[-1]}", file=sys.stderr)
    raise DataError(
        f"no mirror sent {name}.gz. {'. '.join(answers)}. Try --mirror URL with another one, or get the files"
        f" {', '.join(f'{each}.gz' for each in CHECKSUMS)} by hand and put them into {folder}"
    )


def _download(address: str, checksum: str, progress: bool) -> bytes:
    """The gzipped bytes at `address`, redirects followed, whose content has the checksum."""
    request = Request(address, headers={"User-Agent": "minivit"})
    content = bytearray()
    with urlopen(request, timeout=TIMEOUT) as reply:
        promised = getattr(reply, "length", None)  # bytes; None if the server does not say
        name = address.rsplit("/", 1)[1]
        with tqdm(desc=name, total=promised, unit="B", unit_scale=True, disable=None if progress else True) as bar:
            while len(content) <= LARGEST_DOWNLOAD and (piece := reply.read(1 << 16)):
                content += piece
                bar.update(len(piece))
    if len(content) > LARGEST_DOWNLOAD:
        raise DataError(f"more than {LARGEST_DOWNLOAD} bytes")
    if promised is not None and len(content) < promised:
        raise DataError(f"{len(content)} bytes, {promised} promised")
    if not content.startswith(GZIP_MAGIC):
        raise DataError(f"{len(content)} bytes that are not gzipped")
    found = hashlib.sha256(unpack(io.BytesIO(content), name)).hexdigest()
    if found != checksum:
        raise DataError(f"another file: its SHA-256 is {found}, expected {checksum}")
    return bytes(content)


def _in_words(error: Exception) -> str:
    """What went wrong, on one line."""
    status = f"HTTP {error.code} " if isinstance(error, HTTPError) else ""
    return status + (" ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__)
