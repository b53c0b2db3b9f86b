"""Class-balanced, augmented image batches: exact, sharded, elastic, resumable."""

from . import errors
from ._native import Tensor, __version__
from .batch import Batch, Replacement
from .handle import QuarantinedFile
from .loader import Bottleneck, Loader

__all__ = [
    "Batch",
    "Bottleneck",
    "Loader",
    "QuarantinedFile",
    "Replacement",
    "Tensor",
    "__version__",
    "errors",
]
