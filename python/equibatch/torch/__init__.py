"""PyTorch: a balanced batch sampler for data sets of your own, and batches as tensors."""

from .dataset import EquibatchDataset
from .sampler import BalancedBatchSampler
from .tensors import allocator, as_tensor, in_slot, normalized, pin_memory, to, transfer

__all__ = ["BalancedBatchSampler", "EquibatchDataset", "allocator", "as_tensor", "in_slot", "normalized", "pin_memory", "to", "transfer"]
