"""Time the forward pass of minivit and its peers, at the model's usual batch and at batch 1, and print the table."""

from .harness import compare

if __name__ == "__main__":
    compare("forward", __doc__, steps=100, more_batches=[1])
