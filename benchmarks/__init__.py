"""Speed and memory of minivit, measured beside PyTorch and beside the bare matrix products of the same shapes.

    python -m benchmarks.step         one training step
    python -m benchmarks.inference    the forward pass alone
    python -m benchmarks.scaling      time and memory against batch, tokens, width, depth and threads
"""
