"""Which part of each global batch is this process's."""

import os
import sys
from importlib import import_module
from typing import Any, Literal, NamedTuple

from .errors import RequestError


class Ranks(NamedTuple):
    """This process among all that train together."""

    rank: int
    world_size: int
    by: str
    """How they were found."""


def detect(rank: int | Literal["jax"] | None, world_size: int | None) -> Ranks:
    """The rank and the number of ranks: as given, else of torch.distributed, else of RANK and WORLD_SIZE, else 0 of 1."""
    if rank == "jax":
        jax: Any = import_module("jax")

        return Ranks(jax.process_index(), jax.process_count(), "jax")
    if (rank is None) != (world_size is None):
        raise RequestError(f"rank is {rank} and world_size is {world_size}: give both or none")
    if rank is not None and world_size is not None:
        return _checked(Ranks(rank, world_size, "argument"))
    # Not imported here: who trains with it has imported it.
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return Ranks(distributed.get_rank(), distributed.get_world_size(), "torch.distributed")
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        names = ("RANK", "WORLD_SIZE")
        try:
            given = [int(os.environ[name]) for name in names]
        except ValueError:
            raise RequestError(
                " and ".join(f"{name} is {os.environ[name]!r}" for name in names) + ": expected two integers"
            ) from None
        return _checked(Ranks(given[0], given[1], "RANK and WORLD_SIZE"))
    return Ranks(0, 1, "default")


def _checked(ranks: Ranks) -> Ranks:
    if not 0 <= ranks.rank < ranks.world_size:
        raise RequestError(
            f"rank is {ranks.rank} and world_size is {ranks.world_size} (by {ranks.by}): rank must be from 0 to world_size - 1"
        )
    return ranks
