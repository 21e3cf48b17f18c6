"""`python -m minivit` is the command `minivit`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
