"""Class-balanced, augmented image batches: exact, sharded, elastic, resumable."""

from ._native import __version__

__all__ = ["__version__"]
