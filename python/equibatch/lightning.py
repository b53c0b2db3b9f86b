"""Lightning: loaders as a `LightningDataModule`, with either of its packages.

A `Loader` can be given to `Trainer.fit` as it is, too: Lightning does not shard it again, sets its epoch, and saves its state in checkpoints.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from .loader import Loader

# Whose trainer it is for: that of the package which was imported.
if "lightning" in sys.modules or "pytorch_lightning" not in sys.modules:
    from lightning.pytorch import LightningDataModule
else:
    from pytorch_lightning import LightningDataModule


class EquibatchDataModule(LightningDataModule):
    """The splits of one source.

    Args:
        where: As for `Loader`.
        valid: Arguments of `Loader` that differ for validation and test, such as ``{"batch_size": 256}``.
        options: Other arguments of `Loader`.
    """

    def __init__(self, where: str | os.PathLike[str] | Sequence[str], *, valid: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__()
        self._where, self._options = where, options
        self._train: Loader | None = None
        self._state: dict[str, Any] = {}
        # What is said about drawing and augmenting is about training.
        common = {name: value for name, value in options.items() if name not in ("balance", "recipe", "drop_last", "epochs")}
        self._evaluation = {**common, **(valid or {})}

    # Called on each rank when its process group exists, from which a loader takes its rank.

    def train_dataloader(self) -> Loader:
        """Balanced and augmented; a part of each batch on each rank."""
        self._train = Loader(self._where, **self._options)
        self._train.load_state_dict(self._state)
        return self._train

    def val_dataloader(self) -> Loader:
        """Each image of the split once."""
        return Loader(self._where, split="valid", **self._evaluation)

    def test_dataloader(self) -> Loader:
        """Each image of the split once."""
        return Loader(self._where, split="test", **self._evaluation)

    # Saved here, too: where `configure_optimizers` asks for `trainer.estimated_stepping_batches`, Lightning does not restore the state of a loader.

    def state_dict(self) -> dict[str, Any]:
        """That of the train loader; Lightning saves it in checkpoints."""
        return self._train.state_dict() if self._train else self._state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Lets the train loader continue there."""
        self._state = state_dict
        if self._train:
            self._train.load_state_dict(state_dict)
