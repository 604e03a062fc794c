"""The metrics in PyTorch: batched, with gradients, and equal to those of `hearlab.metrics` (docs/learning.md).

Importing this package imports nothing; `hearlab.learning.metrics` imports torch.
"""
