"""Speed and memory of minivit, measured beside PyTorch and beside the bare matrix products of the same shapes.

`python -m benchmarks.step` times a training step, `python -m benchmarks.inference` the forward pass alone, and
`python -m benchmarks.scaling` shows how time and memory grow with batch, tokens, width, depth and threads.
"""
