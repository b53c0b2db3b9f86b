"""Class-balanced, augmented image batches: exact, sharded, elastic, resumable."""

from . import errors
from ._native import Tensor, __version__
from .batch import Batch, Replacement
from .loader import Bottleneck, Loader, QuarantinedFile

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
