"""Who iterates: frameworks that divide between ranks what is divided already, and data loaders that read ahead.

None of them asks what it iterates, so the callers are looked at.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

# Of Accelerate, which wraps any `DataLoader` that its `prepare` gets in one of these.
_SHARDERS = ("BatchSamplerShard", "IterableDatasetShard", "DataLoaderDispatcher")


def refuse_second_sharding(what: object, world_size: int) -> None:
    """Raises if a caller is about to divide the batches of one of several ranks between the ranks."""
    if world_size == 1:
        return
    for caller in _callers():
        if type(caller).__name__ in _SHARDERS:
            raise RuntimeError(
                f"{type(what).__name__} has the batches of one of {world_size} ranks, and Accelerate's {type(caller).__name__} would divide them between "
                f"the ranks once more: 1 image of {world_size} would be trained on. Do not give its DataLoader to accelerator.prepare, or make it for "
                "rank=0, world_size=1; equibatch.Loader can be prepared as it is"
            )


def reads_ahead() -> bool:
    """Whether a `DataLoader` with workers iterates: it draws more batches than it has returned."""
    return any(type(caller).__name__ == "_MultiProcessingDataLoaderIter" for caller in _callers())


def _callers() -> Iterator[Any]:
    frame = sys._getframe(2)
    for _ in range(12):
        if frame is None:
            return
        yield frame.f_locals.get("self")
        frame = frame.f_back
