"""`equibatch.Loader` in this process, on the classes as they are, so that its batches are as random as those of the other loaders.

It renders on all cores, whatever `workers` says.
"""

from collections.abc import Iterator
from pathlib import Path

import equibatch
import numpy as np

from images import BATCH, SIZE, Images


def batches(images: Images, workers: int) -> Iterator[np.ndarray]:
    """Float32 NCHW batches without end, as tensors in memory of their own."""
    return read(images, dtype="float32", device="cpu")


def batches_of_bytes(images: Images, workers: int) -> Iterator[np.ndarray]:
    """The same as uint8, which a GPU normalises."""
    return read(images, dtype="uint8")


def batches_normalised_by_torch(images: Images, workers: int) -> Iterator[np.ndarray]:
    """The same as uint8, which PyTorch normalises to float32 on the CPU."""
    return read(images, dtype="uint8", device="cpu")


def read(images: Images, **options) -> Iterator[np.ndarray]:
    folder = Path(images.paths[0]).parents[1]
    cache_bytes = None if images.warm else 0
    options = {"batch_size": BATCH, "image_size": SIZE, "balance": "natural", "rank": 0, "world_size": 1} | options
    loader = equibatch.Loader(folder, cache_bytes=cache_bytes, **options)
    while True:
        for batch in loader:
            yield batch.to("cpu").images.numpy()
