"""The page: draw a digit, and see every number of a model's forward and backward pass."""
