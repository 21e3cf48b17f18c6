"""Time one training step (forward, cross-entropy, backward, AdamW) of minivit and its peers, and print the table."""

from .harness import compare

if __name__ == "__main__":
    compare("step", __doc__, steps=20, more_batches=[])
