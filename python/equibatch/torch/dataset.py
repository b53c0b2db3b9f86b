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

    One iteration of the `DataLoader` is one epoch, and the next one is the next epoch. Of a folder, each worker has an engine and a cache of its own, unless
    ranks share one: a server decodes each image once for all of them.
    """

    def __init__(self, loader: Loader) -> None:
        super().__init__()
        self._loader = loader
        # Shared with the workers, in which the epochs begin.
        shared = torch.zeros(4 + MAX_WORKERS, dtype=torch.int64).share_memory_()
        # Epoch and step that were loaded or set, and whether they were loaded; steps per epoch, if known; for each worker the epoch that it begins next.
        self._first, self._steps, self._begins = shared[:3], shared[3], shared[4:]
        state = loader.state_dict()
        self._begin_at(state["epoch"], state["step"], is_loaded=True)

    def _begin_at(self, epoch: int, step: int, *, is_loaded: bool) -> None:
        self._first[:] = torch.tensor([epoch, step, is_loaded])
        self._begins.fill_(epoch)

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is this epoch; if a state of the same epoch was loaded, the rest of it."""
        refuse_second_sharding(self, self._loader.world_size, _INSTEAD)
        loaded_epoch, loaded_step, is_loaded = self._first.tolist()
        is_pending = bool(is_loaded) and self._begins[0] == loaded_epoch
        refuse_going_back(epoch, (loaded_epoch, loaded_step), is_pending)
        if not is_pending or epoch != loaded_epoch:
            self._begin_at(epoch, 0, is_loaded=False)

    def state_after(self, batch: Batch) -> dict[str, Any]:
        """Where to go on after ``batch``: a state for this class and for `Loader`, in plain types."""
        return self._loader.state_dict() | {"token": batch.token, "epoch": batch.token["epoch"], "step": batch.token["step"]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues, from the next iteration on, where the state was taken; with any number of ranks and of workers."""
        self._loader.load_state_dict(state)
        state = self._loader.state_dict()
        self._begin_at(state["epoch"], state["step"], is_loaded=True)

    def __len__(self) -> int:
        """Batches in an epoch: the same on every rank, also after a resume."""
        if self._steps == 0:
            self._steps.fill_(len(self._loader))
            # Opened for the answer; the engine or the connections are kept.
            self._loader._stream = None
        return int(self._steps)

    def __iter__(self) -> Iterator[Batch]:
        refuse_second_sharding(self, self._loader.world_size, _INSTEAD)
        info = get_worker_info()
        index, workers = (info.id, info.num_workers) if info else (0, 1)
        if workers > MAX_WORKERS:
            raise ValueError(f"num_workers is {workers}: at most {MAX_WORKERS} are supported")
        epoch = int(self._begins[index])
        self._begins[index] = epoch + 1
        if index == 0:
            self._begins[workers:] = epoch + 1
        step = int(self._first[1]) if epoch == self._first[0] else 0
        self._loader._refuse_beyond_end(epoch)
        # Number of the batch over all epochs; `DataLoader` returns a batch of worker 0 first.
        first = epoch * len(self) + step if workers > 1 else 0
        batches = self._loader._receive(_Position(epoch, step), ((first + index) % workers, workers))
        return (to(batch, "cpu") for batch in batches)
