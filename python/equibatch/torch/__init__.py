"""PyTorch: a balanced batch sampler for data sets of your own."""

from .sampler import BalancedBatchSampler

__all__ = ["BalancedBatchSampler"]
