"""Who iterates: frameworks that divide between ranks what is divided already, and data loaders that read ahead.

None of them asks what it iterates, so the callers are looked at.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator
from types import FrameType
from typing import Any

# Of Accelerate, which wraps any `DataLoader` that its `prepare` gets in one of these.
_SHARDERS = ("BatchSamplerShard", "IterableDatasetShard", "DataLoaderDispatcher")
# Of PyTorch with workers, of torchdata, and of Accelerate, which looks for the end of the epoch.
_READERS = ("_MultiProcessingDataLoaderIter", "_StatefulMultiProcessingDataLoaderIter", "_StatefulSingleProcessDataLoaderIter", "DataLoaderShard")


def refuse_second_sharding(what: object, world_size: int, instead: str) -> None:
    """Raises if a caller is about to divide the batches of one of several ranks between the ranks; `instead` is what to do."""
    if world_size == 1:
        return
    for caller in _callers():
        if type(caller).__name__ in _SHARDERS:
            raise RuntimeError(
                f"{type(what).__name__} has the batches of one of {world_size} ranks, and Accelerate's {type(caller).__name__} would divide them between "
                f"the ranks once more: 1 image of {world_size} would be trained on. {instead}"
            )


def refuse_going_back(epoch: int, loaded: tuple[int, int], is_pending: bool) -> None:
    """Raises if an epoch is set before that of a state that was loaded, and not yet gone on from."""
    if is_pending and epoch < loaded[0]:
        raise RuntimeError(
            f"set_epoch({epoch}) after a state of epoch {loaded[0]}, step {loaded[1]} was loaded, which would be lost. Accelerate counts epochs from 0: call "
            f"set_epoch({loaded[0]}) of what accelerator.prepare returned. To start over, load_state_dict of the state of a new one"
        )


class Reader:
    """An iterator that draws more batches than it has returned."""

    def __init__(self, iterator: Any) -> None:
        self._iterator = weakref.ref(iterator)
        self.keeps_count = type(iterator).__name__.startswith("_Stateful")
        """Whether it is torchdata's, and saves the state of the sampler as it was when the batch returned last was drawn."""

    @classmethod
    def find(cls) -> Reader | None:
        """That which is about to iterate, if one is."""
        found = (cls(caller) for caller in _callers() if type(caller).__name__ in _READERS)
        return next(found, None)

    @property
    def is_discarded(self) -> bool:
        """Whether it was restored to the end of an epoch, from where torchdata makes another iterator for the next epoch."""
        return getattr(self._iterator(), "_finished", False)


def _callers() -> Iterator[Any]:
    frame: FrameType | None = sys._getframe(1)
    for _ in range(16):
        if frame is None:
            return
        yield frame.f_locals.get("self")
        frame = frame.f_back
