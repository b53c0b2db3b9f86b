"""fastai: loaders as its `DataLoaders`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from fastai.data.core import DataLoaders

from .loader import Loader


class Batches:
    """What fastai's `Learner` needs of a data loader: tuples on a device, their number, and of the data set its length."""

    n_inp = 1

    def __init__(self, loader: Loader, device: Any) -> None:
        self.loader, self.device = loader, device

    @property
    def dataset(self) -> range:
        return range(sum(self.loader.class_counts.values()))

    def to(self, device: Any) -> None:
        self.device = device

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for batch in self.loader:
            batch = batch.to(self.device)
            yield batch.images, batch.labels


def data_loaders(train: Loader, valid: Loader, *, device: Any = None) -> DataLoaders:
    """For ``Learner(data_loaders(train, valid), ...)``; images must be ``float32`` or ``float16``, which are normalised."""
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    loaders = DataLoaders(Batches(train, device), Batches(valid, device), device=device)
    loaders.vocab = train.classes
    loaders.c = len(train.classes)
    return loaders
