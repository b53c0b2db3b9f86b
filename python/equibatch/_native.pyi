"""The native half of the package: private; use what `equibatch` exports."""

from collections.abc import Callable, Mapping
from typing import Any, final

__all__ = ["Description", "Request", "SamplerPlan", "Source", "Stream", "StreamDescription", "Tensor", "__version__"]
__version__: str

@final
class Tensor:
    """A read-only array in memory that Rust owns."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...
    @property
    def ndim(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def __array_interface__(self) -> dict[str, Any]: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    def __dlpack__(
        self,
        *,
        stream: None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any: ...
    def tolist(self) -> list[Any]: ...
    def numpy(self, *, copy: bool = False) -> Any: ...

@final
class Request:
    def __new__(
        cls,
        *,
        dataset: str,
        split: str,
        seed: int,
        epochs: int,
        schedule_epochs: int | None,
        start: tuple[int, int, str, str],
        shard: tuple[int, int],
        batch_size: int,
        image_size: int,
        balance: str | Mapping[str, float] | None,
        recipe: str | None,
        dtype: str,
        channels_last: bool,
        drop_last: bool | None,
        stride: tuple[int, int],
    ) -> Request: ...

@final
class Description:
    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def classes(self) -> list[str]: ...
    @property
    def counts(self) -> dict[str, list[int]]: ...
    @property
    def inverse_frequency(self) -> list[float]: ...
    @property
    def effective_number(self) -> list[float]: ...
    @property
    def quarantined(self) -> list[tuple[str, str]]: ...

@final
class StreamDescription:
    @property
    def dataset(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def spec_hash(self) -> str: ...
    @property
    def classes(self) -> list[str]: ...
    @property
    def steps_per_epoch(self) -> int: ...
    @property
    def images_per_epoch(self) -> int: ...
    @property
    def draws_per_class(self) -> list[int]: ...
    @property
    def mean(self) -> list[float]: ...
    @property
    def std(self) -> list[float]: ...
    @property
    def recipe(self) -> str: ...
    @property
    def transport(self) -> str: ...

@final
class Stream:
    @property
    def description(self) -> StreamDescription: ...
    @property
    def is_usable(self) -> bool: ...
    def next(
        self, timeout: float | None, report: Callable[[], None] | None = None
    ) -> (
        tuple[
            int,
            int,
            tuple[int, int],
            Tensor | tuple[Any, str, list[int]],
            Tensor,
            Tensor,
            list[tuple[int, int]],
            Tensor | None,
            Tensor | None,
        ]
        | None
    ): ...
    def end_epoch(self, epoch: int) -> tuple[str, float] | None: ...

@final
class Source:
    @staticmethod
    def open_folder(folder: str, name: str, processes: int, cache_bytes: int | None, progress: Callable[[int, int], None]) -> Source: ...
    @staticmethod
    def open_shared(
        folder: str,
        name: str,
        *,
        socket: str,
        may_serve: bool,
        engines: int,
        processes: int,
        cache_bytes: int | None,
        progress: Callable[[int, int], None],
    ) -> Source | None: ...
    @staticmethod
    def open_servers(addresses: str, token: str | None, timeout: float | None) -> Source: ...
    @property
    def is_usable(self) -> bool: ...
    @property
    def is_shared(self) -> bool: ...
    @property
    def decoded(self) -> int | None: ...
    def describe(self, dataset: str, beta: float, timeout: float | None) -> Description: ...
    def stream(
        self, request: Request, prefetch: int, timeout: float | None, allocate: Callable[[int], tuple[Any, Any]] | None = None
    ) -> Stream: ...

@final
class SamplerPlan:
    """Which samples make up batch `step` of `epoch`, for samples that are known by their labels only."""

    steps_per_epoch: int
    samples_per_epoch: int
    is_schedule: bool
    class_counts: list[int]
    labels_crc32c: int
    def __new__(
        cls,
        labels: Any,
        *,
        balance: str | list[float],
        epochs: int | None,
        classes: int | None,
        batch_size: int,
        drop_last: bool,
        num_samples: int | None,
        seed: int,
    ) -> SamplerPlan: ...
    def labels(self) -> bytes: ...
    def draws_per_class(self, epoch: int) -> list[int]: ...
    def batch_len(self, step: int) -> int: ...
    def batch(self, epoch: int, step: int, rank: int, world_size: int) -> list[int]: ...
