"""Batches as PyTorch's tensors."""

from __future__ import annotations

import contextlib
import ctypes
import math
import mmap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any
from weakref import finalize

import torch

from .._native import Tensor
from ..batch import Batch

# Of a `Batch`.
_ARRAYS = ("images", "labels", "sample_ids", "mixed_labels", "mixed_weights")

# Batches whose memory a stream keeps for later ones.
_MOST_KEPT = 8


def as_tensor(array: Tensor | torch.Tensor, *, pin_memory: bool = False) -> torch.Tensor:
    """A copy of an array of a batch, in memory of its own that may be written to; tensors are returned as they are.

    PyTorch has no read-only tensors: ``torch.from_dlpack(array)`` shares the memory of the batch instead, and nothing may write to it.
    """
    if isinstance(array, torch.Tensor):
        return array.pin_memory() if pin_memory else array
    copy = torch.empty(array.shape, dtype=getattr(torch, array.dtype), pin_memory=pin_memory)
    address, _ = array.__array_interface__["data"]
    ctypes.memmove(copy.data_ptr(), address, array.nbytes)
    return copy


def allocator(*, device: Any, pin_memory: bool) -> Callable[[int], tuple[torch.Tensor, Any]]:
    """Allocates memory into which images are received, for `in_slot`; each tensor is used for one batch.

    It is pinned if images go to a GPU: PyTorch keeps such memory, and gives it again once its copy to the GPU has ended. Otherwise memory is used again
    when the last tensor in it is gone: fresh memory costs more in page faults than a copy of the batch.
    """
    if pin_memory or (device is not None and torch.device(device).type == "cuda"):
        return _pinned
    free: list[mmap.mmap] = []

    def allocate(nbytes: int) -> tuple[torch.Tensor, Any]:
        try:
            memory = free.pop()
        except IndexError:
            memory = mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            if hasattr(mmap, "MADV_HUGEPAGE"):
                with contextlib.suppress(OSError):
                    memory.madvise(mmap.MADV_HUGEPAGE)
        # PyTorch keeps this view as long as it has a tensor in it.
        view = memoryview(memory)
        finalize(view, _keep, free, memory).atexit = False
        return torch.frombuffer(view, dtype=torch.uint8), view

    return allocate


def _pinned(nbytes: int) -> tuple[torch.Tensor, Any]:
    memory = torch.empty(nbytes, dtype=torch.uint8, pin_memory=True)
    return memory, memoryview((ctypes.c_uint8 * nbytes).from_address(memory.data_ptr())).cast("B")


def _keep(free: list[mmap.mmap], memory: mmap.mmap) -> None:
    if len(free) < _MOST_KEPT:
        free.append(memory)


def in_slot(memory: torch.Tensor, dtype: str, shape: list[int]) -> torch.Tensor:
    """The images of a batch that was received into ``memory``."""
    elements = memory.view(getattr(torch, dtype))
    return elements[: math.prod(shape)].view(shape)


def _with_each(batch: Batch, convert: Callable[[Any], torch.Tensor]) -> Batch:
    converted: dict[str, Any] = {}
    for name in _ARRAYS:
        if (array := getattr(batch, name)) is not None:
            converted[name] = convert(array)
    return replace(batch, **converted)


def to(batch: Batch, device: Any, *, non_blocking: bool = False) -> Batch:
    """The batch with tensors on ``device``, in memory of their own."""
    pinned = non_blocking and torch.device(device).type == "cuda"
    return _with_each(batch, lambda array: as_tensor(array, pin_memory=pinned).to(device, non_blocking=non_blocking))


def pin_memory(batch: Batch) -> Batch:
    """The batch with tensors in pinned memory."""
    return _with_each(batch, lambda array: as_tensor(array, pin_memory=True))


def normalized(images: torch.Tensor | Any, mean: Iterable[float], std: Iterable[float], *, channels_last: bool) -> torch.Tensor:
    """``uint8`` images as the server would send ``float32``: divided by 255, less ``mean``, divided by ``std``, per channel."""
    shape = (3,) if channels_last else (3, 1, 1)
    shift, scale = (torch.tensor(list(values), device=images.device).mul_(255).view(shape) for values in (mean, std))
    normalized: torch.Tensor = images.float().sub_(shift).div_(scale)
    return normalized


Normalization = Callable[[], tuple[Iterable[float], Iterable[float]]]
"""Mean and standard deviation per channel, of 0 to 1; known once the stream is open."""


def transfer(
    received: Iterable[Batch], *, device: Any, pin_memory: bool, normalization: Normalization | None = None, channels_last: bool = False
) -> Iterator[Batch]:
    """The batches with tensors on ``device``, or in pinned memory. To a CUDA device, the next one is copied while one is worked on.

    With ``normalization`` images are normalised there, to ``float32``.
    """
    if device is None:
        return (_with_each(batch, lambda array: as_tensor(array, pin_memory=pin_memory)) for batch in received)
    device = torch.device(device)

    def moved(batch: Batch) -> Batch:
        batch = to(batch, device, non_blocking=device.type == "cuda")
        if normalization is not None:
            batch.images = normalized(batch.images, *normalization(), channels_last=channels_last)
        return batch

    return _ahead(received, moved, device) if device.type == "cuda" else map(moved, received)


def _ahead(received: Iterable[Batch], moved: Callable[[Batch], Batch], device: torch.device) -> Iterator[Batch]:
    side, ready = torch.cuda.Stream(device), None
    for batch in received:
        with torch.cuda.stream(side):
            following = moved(batch)
        if ready is not None:
            yield _handed_over(ready, side, device)
        ready = following
    if ready is not None:
        yield _handed_over(ready, side, device)


def _handed_over(batch: Batch, side: torch.cuda.Stream, device: torch.device) -> Batch:
    current = torch.cuda.current_stream(device)
    current.wait_stream(side)
    for name in _ARRAYS:
        if (tensor := getattr(batch, name)) is not None:
            # Its memory is not given to another tensor of the side stream before the current one has finished with it.
            tensor.record_stream(current)
    return batch
