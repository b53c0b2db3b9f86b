"""The native half of the package."""

from typing import Any

__version__: str

class SamplerPlan:
    """Which samples make up batch `step` of `epoch`, for samples that are known by their labels only."""

    steps_per_epoch: int
    samples_per_epoch: int
    draws_per_class: list[int]
    class_counts: list[int]
    labels_crc32c: int
    def __new__(
        cls,
        labels: Any,
        *,
        balance: str | list[float],
        classes: int | None,
        batch_size: int,
        drop_last: bool,
        num_samples: int | None,
        seed: int,
    ) -> SamplerPlan: ...
    def labels(self) -> bytes: ...
    def batch_len(self, step: int) -> int: ...
    def batch(self, epoch: int, step: int, rank: int, world_size: int) -> list[int]: ...
