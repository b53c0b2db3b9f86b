"""Batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ._native import Tensor


def pytorch() -> Any:
    """`equibatch.torch`, which is imported by those who use it."""
    return import_module("equibatch.torch")


class Replacement(NamedTuple):
    """An image that replaces one whose file is broken."""

    slot: int
    """Index into the batch."""
    sample_id: int
    """Id of the planned sample."""


@dataclass(slots=True)
class Batch:
    """Images and their labels; ``images, labels = batch`` unpacks it, and ``dict(batch)`` has all of it.

    The arrays are read-only and not copied: NumPy, PyTorch and JAX take them by the buffer protocol, ``__array_interface__`` and
    ``__dlpack__``. Their memory returns to the stream when the last view of it is dropped; who keeps batches copies them.
    """

    images: Tensor | Any
    """``[N, 3, S, S]``, or with ``layout="nhwc"`` ``[N, S, S, 3]``. A kept last batch may leave a rank no image: then N is 0."""
    labels: Tensor | Any
    """``[N]``, int64: index into `Loader.classes`."""
    sample_ids: Tensor | Any
    """``[N]``, int64: index into the dataset's samples."""
    epoch: int
    """From 0."""
    step: int
    """Within the epoch, from 0."""
    token: dict[str, Any]
    """The position after this batch: what `Loader.state_dict` has as ``token``."""
    replacements: list[Replacement]
    """Images that replace one whose file is broken."""
    mixed_labels: Tensor | Any | None
    """``[N]``, int64: the class of the image mixed in; ``None`` if the recipe does not mix images."""
    mixed_weights: Tensor | Any | None
    """``[N]``, float32: the weight of `mixed_labels` in the label; `labels` has the rest."""

    def __iter__(self) -> Iterator[Any]:
        yield self.images
        yield self.labels

    def __len__(self) -> int:
        return 2

    def __getitem__(self, key: int | slice | str) -> Any:
        if not isinstance(key, str):
            return (self.images, self.labels)[key]
        if key not in self.keys():
            raise KeyError(key)
        return getattr(self, key)

    def keys(self) -> list[str]:
        """The names of the fields."""
        return [field.name for field in fields(self)]

    def to(self, device: Any, non_blocking: bool = False) -> Batch:
        """The batch with PyTorch tensors on ``device``, in memory of their own."""
        moved: Batch = pytorch().to(self, device, non_blocking=non_blocking)
        return moved

    def pin_memory(self) -> Batch:
        """The batch with PyTorch tensors in pinned memory."""
        pinned: Batch = pytorch().pin_memory(self)
        return pinned
