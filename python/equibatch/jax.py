"""JAX: batches as global arrays."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy

from .loader import Loader


def arrays(loader: Loader, sharding: jax.sharding.Sharding) -> Iterator[tuple[jax.Array, jax.Array]]:
    """Images and labels of an epoch, sharded over the devices of all processes along their first axis.

    Each process passes a loader of its own, made with ``rank="jax"``; ``global_batch_size`` must be a multiple of the number of devices.
    """
    for batch in loader:
        yield tuple(jax.make_array_from_process_local_data(sharding, numpy.asarray(array)) for array in batch)
