"""`equibatch.Loader` in this process, its batches as PyTorch's tensors in memory of their own.

The loader decides by itself which decoded images it keeps: there is no case that decodes each time. It renders on all cores, whatever `workers` says.
"""

from collections.abc import Iterator
from pathlib import Path

import equibatch
import numpy as np

from images import BATCH, SIZE, Images


def batches(images: Images, workers: int) -> Iterator[np.ndarray]:
    """Float32 NCHW batches without end, normalised by the engine."""
    return read(images, "float32")


def batches_of_bytes(images: Images, workers: int) -> Iterator[np.ndarray]:
    """The same of pixels that PyTorch normalises."""
    return read(images, "uint8")


def read(images: Images, dtype: str) -> Iterator[np.ndarray]:
    assert images.warm, "the loader keeps decoded images as it has memory"
    folder = Path(images.paths[0]).parents[1]
    loader = equibatch.Loader(folder, batch_size=BATCH, image_size=SIZE, dtype=dtype, device="cpu", rank=0, world_size=1)
    while True:
        for batch in loader:
            yield batch.images.numpy()
