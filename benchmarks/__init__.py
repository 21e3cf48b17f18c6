"""Speed and memory of minivit, compared with PyTorch and with the bare matrix products of the same shapes.

`python -m benchmarks.step` times a training step, `python -m benchmarks.inference` the forward pass only, and
`python -m benchmarks.scaling` shows how time and memory grow with batch, tokens, width, depth and threads.
"""
