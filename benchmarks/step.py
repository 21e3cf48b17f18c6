"""Time one training step (forward, cross-entropy, backward, AdamW) of minivit and its peers, and print the table.

With --against DIR, another checkout of minivit is measured in the same rounds, and the table holds overheads: what a
step takes more than its matrix products alone. With --device gpu, minivit and PyTorch are compared on a card.
"""

import argparse
import sys

from .against import ROUNDS, compare_with
from .card import compare_on_card
from .harness import arguments, compare, positive

if __name__ == "__main__":
    given = {argument.partition("=")[0] for argument in sys.argv[1:]}
    if "--device" in given:
        parser = arguments(__doc__ or "", steps=50)
        parser.add_argument("--device", choices=["gpu"], required=True, help="a CUDA card, with CuPy and PyTorch")
        parser.add_argument("--batch", type=positive, nargs="+", default=argparse.SUPPRESS, help="batch sizes")
        compare_on_card(parser.parse_args())
    elif "--against" in given:
        parser = arguments(__doc__ or "", steps=20)
        parser.add_argument("--against", metavar="DIR", required=True, help=f"a checkout; rounds default to {ROUNDS}")
        parser.set_defaults(model=None, rounds=None, steps=None)
        compare_with(parser.parse_args())
    else:
        compare("step", __doc__ or "", steps=20, more_batches=[])
