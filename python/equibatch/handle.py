"""A dataset of servers or of a folder, without its batches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeVar

from ._native import Description, Source
from .errors import ProtocolError, RequestError, UnreachableError
from .source import Where, forget, open_source, parse

_T = TypeVar("_T")

# What is raised if the rank with the engine ends, depending on what it was doing.
LOST = (UnreachableError, ProtocolError)

# Ranks may end one after another, each soon after it has taken the engine over.
_LONGEST_SECONDS = 30.0
_PAUSE_SECONDS = 0.02


class Takeover:
    """Goes on with the engine of another rank if the one that had it ends."""

    def __init__(self) -> None:
        self._deadline: float | None = None

    def goes_on(self, source: Source) -> bool:
        """Whether to ask again after `source` was lost: if it is shared, for a limited time after the first loss."""
        if not source.is_shared:
            return False
        forget(source)
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + _LONGEST_SECONDS
            return True
        time.sleep(_PAUSE_SECONDS)
        return now < self._deadline


class QuarantinedFile(NamedTuple):
    """A file that is not served."""

    path: str
    reason: str


class DatasetHandle:
    """What is known of a dataset, which is opened when it is asked for; see `Loader` for the arguments."""

    def __init__(self, where: Where, dataset: str, split: str, *, cache_bytes: int | None, timeout: float | None) -> None:
        parse(where)
        if cache_bytes is not None and not 0 <= cache_bytes < 1 << 63:
            raise RequestError(f"cache_bytes is {cache_bytes}: expected 0 or more")
        self._where = where
        self._dataset = dataset
        self._split = split
        self._cache_bytes = cache_bytes
        self._timeout = timeout
        self._source: Source | None = None

    def _opened(self) -> Source:
        """The engine or the servers, which all loaders of this process share as long as one of them keeps it."""
        self._source = open_source(self._where, self._dataset, self._cache_bytes, self._timeout)
        return self._source

    def _ask(self, question: Callable[[Source], _T]) -> _T:
        """The answer of the engine or the servers; if the engine is that of a rank that has ended, of the one that takes its place."""
        takeover = Takeover()
        while True:
            source = self._opened()
            try:
                return question(source)
            except LOST:
                if not takeover.goes_on(source):
                    raise

    def _describe(self, beta: float = 0.999) -> Description:
        if not 0 <= beta < 1:
            raise RequestError(f"beta is {beta}: it must be at least 0 and less than 1")
        return self._ask(lambda source: source.describe(self._dataset, beta, self._timeout))

    @property
    def classes(self) -> list[str]:
        """Names of the classes; a label is an index into them."""
        return self._describe().classes

    @property
    def class_counts(self) -> dict[str, int]:
        """Images of each class in the split."""
        description = self._describe()
        return dict(zip(description.classes, description.counts[self._split], strict=True))

    def class_weights(self, kind: Literal["inverse", "effective"] = "inverse", *, beta: float = 0.999) -> list[float]:
        """Weights for a loss over the train split, in label order: inversely proportional to the number of images, or to the effective number
        of images for ``beta`` (Cui et al., CVPR 2019). Balanced batches need none: together they count a class twice."""
        if kind == "inverse":
            return self._describe().inverse_frequency
        if kind == "effective":
            return self._describe(beta).effective_number
        raise RequestError(f"kind is {kind!r}: expected inverse or effective")

    @property
    def quarantined(self) -> list[QuarantinedFile]:
        """Files that are not served, with reasons: those refused at the start, and those found broken since."""
        return [QuarantinedFile(*file) for file in self._describe().quarantined]
