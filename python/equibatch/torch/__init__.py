"""PyTorch: a balanced batch sampler for data sets of your own, and batches as tensors."""

from .sampler import BalancedBatchSampler

__all__ = ["BalancedBatchSampler"]
