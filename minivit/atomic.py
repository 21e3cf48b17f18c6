"""Writing a file so that it is either whole or not there."""

import os
import secrets
from pathlib import Path


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
        raise OSError(error.errno, error.strerror, str(path)) from None  # the private name says nothing to anyone
    finally:
        private.unlink(missing_ok=True)
