"""The loader as a data set, for those who need PyTorch's `DataLoader`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from ..batch import Batch
from ..loader import Loader, _Position
from .tensors import to
from .wrapping import refuse_going_back, refuse_second_sharding

MAX_WORKERS = 1024

_INSTEAD = "Do not give the DataLoader to accelerator.prepare; or give it the Loader itself, which it leaves alone"


class EquibatchDataset(IterableDataset[Batch]):
    """The batches of a `Loader`, for ``DataLoader(EquibatchDataset(loader), batch_size=None, num_workers=W)``.

    The loader alone needs no `DataLoader`: its batches are made in other threads, or by a server. In a `DataLoader` each of ``W`` workers asks for every ``W``-th
    batch, and `DataLoader` returns them in the order of the loader. The batches have tensors in memory of their own.

    One iteration of the `DataLoader` is one epoch, and the next one is the next epoch. Of a folder, each worker has an engine and a cache of its own: a server
    decodes each image once for all of them.
    """

    def __init__(self, loader: Loader) -> None:
        super().__init__()
        self._loader = loader
        # Shared with the workers, in which the epochs begin: epoch and step where a state goes on, steps per epoch if known, and for each worker the
        # epoch that it begins next.
        self._shared = torch.zeros(3 + MAX_WORKERS, dtype=torch.int64).share_memory_()
        state = loader.state_dict()
        self._begin_at(state["epoch"], state["step"])

    def _begin_at(self, epoch: int, step: int) -> None:
        self._shared[0], self._shared[1], self._shared[3:] = epoch, step, epoch

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is this epoch; if a state of the same epoch was loaded, the rest of it."""
        refuse_second_sharding(self, self._loader.world_size, _INSTEAD)
        loaded_epoch, loaded_step, _, begins = self._shared[:4].tolist()
        refuse_going_back(epoch, (loaded_epoch, loaded_step), begins == loaded_epoch)
        self._begin_at(epoch, loaded_step if epoch == loaded_epoch == begins else 0)

    def state_after(self, batch: Batch) -> dict[str, Any]:
        """Where to go on after ``batch``: a state for this class and for `Loader`, in plain types."""
        return self._loader.state_dict() | {"token": batch.token, "epoch": batch.token["epoch"], "step": batch.token["step"]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues, from the next iteration on, where the state was taken; with any number of ranks and of workers."""
        self._loader.load_state_dict(state)
        state = self._loader.state_dict()
        self._begin_at(state["epoch"], state["step"])

    def __len__(self) -> int:
        """Batches in an epoch: the same on every rank, also after a resume."""
        if self._shared[2] == 0:
            self._shared[2] = len(self._loader)
            self._loader.close()
        return int(self._shared[2])

    def __iter__(self) -> Iterator[Batch]:
        refuse_second_sharding(self, self._loader.world_size, _INSTEAD)
        info = get_worker_info()
        index, workers = (info.id, info.num_workers) if info else (0, 1)
        if workers > MAX_WORKERS:
            raise ValueError(f"num_workers is {workers}: at most {MAX_WORKERS} are supported")
        begins = self._shared[3:]
        epoch = int(begins[index])
        begins[index] = epoch + 1
        if index == 0:
            begins[workers:] = epoch + 1
        step = int(self._shared[1]) if epoch == self._shared[0] else 0
        # Number of the batch over all epochs; `DataLoader` returns a batch of worker 0 first.
        first = epoch * len(self) + step if workers > 1 else 0
        batches = self._loader._receive(_Position(epoch, step), ((first + index) % workers, workers))
        return (to(batch, "cpu") for batch in batches)
