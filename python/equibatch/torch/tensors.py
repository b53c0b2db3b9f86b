"""Batches as PyTorch's tensors."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from typing import Any

import torch

from .._native import Tensor


def as_tensor(array: Tensor, *, pin_memory: bool = False) -> torch.Tensor:
    """A copy of an array of a batch, in memory of its own that may be written to.

    PyTorch has no read-only tensors: `torch.from_dlpack(array)` shares the memory of the batch instead, and nothing may write to it.
    """
    copy = torch.empty(tuple(array.shape), dtype=getattr(torch, array.dtype), pin_memory=pin_memory)
    address, _ = array.__array_interface__["data"]
    ctypes.memmove(copy.data_ptr(), address, array.nbytes)
    return copy
