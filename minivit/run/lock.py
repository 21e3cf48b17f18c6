"""A run's folder, held by one process through the kernel's lock on it, which ends with the process, in whatever way."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import CheckpointError


class HeldFolder:
    """A folder that this process holds. locked: whether others are kept out, which not every file system can do."""

    def __init__(self, path: Path, descriptor: int | None, locked: bool) -> None:
        self.path, self.locked, self._descriptor = path, locked, descriptor

    def is_there(self) -> bool:
        """Whether the path still leads to the folder that was opened: it may have been renamed, removed or replaced."""
        if self._descriptor is None:
            return self.path.is_dir()
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._descriptor))
        except OSError:
            return False


@contextlib.contextmanager
def held(path: Path, make: bool = False, fresh: bool = False) -> Iterator[HeldFolder]:
    """Open a folder, and keep other processes from holding it at the same time. make: make it if it is missing, with
    the folders above it, and remove again what was made if it is empty at the end; fresh: it must be missing.

    Raises CheckpointError if another process holds it, FileExistsError for one that is not fresh, and another OSError
    if it is no folder or cannot be made.
    """
    while True:
        made = _make(path, fresh) if make else []
        descriptor = _open(path)
        try:
            locked = descriptor is not None and _lock(descriptor, path)
            folder = HeldFolder(path, descriptor, locked)
            if not folder.is_there() and make:
                continue  # whoever made it has removed it meanwhile
            try:
                yield folder
            finally:
                with contextlib.suppress(OSError):  # not empty, or gone
                    for made_here in made if folder.is_there() else ():
                        made_here.rmdir()
            return
        finally:
            if descriptor is not None:
                os.close(descriptor)


def _make(path: Path, fresh: bool) -> list[Path]:
    """Make a folder and those above it; those that were missing, the innermost first."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=not fresh)
    return missing


def _open(path: Path) -> int | None:
    """A descriptor of the folder; None where folders cannot be opened (Windows)."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY) if hasattr(os, "O_DIRECTORY") else None


def _lock(descriptor: int, path: Path) -> bool:
    """Lock an open folder until it is closed or the process ends, however it ends; False where the system (Windows) or
    the file system (some network drives) has no such locks. Raises CheckpointError if another process has locked it."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CheckpointError(
            f"{path}: another process is training in it; let it end, or choose another --out"
        ) from None
    except (ImportError, OSError):
        return False
    return True
