"""Time one training step (forward, cross-entropy, backward, AdamW) of minivit and its peers, and print the table.

With --against DIR, another checkout of minivit is measured in the same rounds, and the table holds overheads: what a
step takes more than its matrix products alone.
"""

import sys

from .against import ROUNDS, compare_with
from .harness import arguments, compare

if __name__ == "__main__":
    if any(argument.partition("=")[0] == "--against" for argument in sys.argv[1:]):
        parser = arguments(__doc__ or "", steps=20)
        parser.add_argument("--against", metavar="DIR", required=True, help=f"a checkout; rounds default to {ROUNDS}")
        parser.set_defaults(model=None, rounds=None, steps=None)
        compare_with(parser.parse_args())
    else:
        compare("step", __doc__ or "", steps=20, more_batches=[])
