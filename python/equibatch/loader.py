"""The loader."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from html import escape
from operator import index
from typing import Any, Literal, NamedTuple

from ._native import Request, Source, Stream, StreamDescription, Tensor
from .batch import Batch, Replacement, pytorch
from .display import Grid, grid, has_matplotlib
from .distributed import Ranks, detect
from .errors import ProtocolError, RequestError
from .handle import LOST, DatasetHandle, Takeover
from .progress import Progress
from .source import Where
from .state import VERSION, check, token

# Epochs that a stream without an end is asked for at a time: it goes on over the end of an epoch without a pause.
_EPOCHS_AHEAD = 100

_DTYPES = {"uint8": "u8", "float16": "f16", "float32": "f32"}
_LAYOUTS = ("nchw", "nhwc")


class Bottleneck(NamedTuple):
    """What limited the speed of an epoch."""

    name: str
    """``trainer``, ``network``, ``server CPU``, ``disk``, ``decoding``, ``cache too small`` or ``batches``."""
    share: float
    """Its share of the time of the epoch, from 0 to 1."""


class _Position(NamedTuple):
    epoch: int
    step: int


class _Open(NamedTuple):
    """A stream of one rank that has reached a position, and ends before epoch number `ends`."""

    stream: Stream
    source: Source
    ranks: Ranks
    at: _Position
    ends: int


class Loader(DatasetHandle):
    """Class-balanced, augmented image batches, from servers or from a folder.

    A plain iterable: one ``iter`` is one epoch, and frameworks leave it alone. Nothing is opened before the first batch, length or property
    that needs it, so a loader can be pickled, and used in a forked or spawned process. The batches are the same wherever they come from.

    A `for` loop that is left early ends its epoch: the next one begins the next epoch. After `load_state_dict` the next one continues where
    the state was taken.

    Args:
        where: ``"host:50051"``, a list of those, ``"unix:PATH"``, or a folder of class folders, which is then read in this process, or in
            one of the ranks on this machine for all of them. The token for servers that demand one is taken from the environment variable ``EQUIBATCH_TOKEN``.
        dataset: Its name at the server; not needed if the server has only one.
        split: ``"train"``, ``"valid"`` or ``"test"``.
        batch_size: Images per batch of this rank; 64 by default.
        global_batch_size: Images per batch of all ranks together, instead of ``batch_size``.
        image_size: Height and width in pixels.
        balance: ``"oversample"``, ``"undersample"``, ``"natural"``, ``"power:0.5"``, ``"effective:0.999"``, or a weight by class name. By default
            ``"oversample"`` for the train split and ``"natural"`` for others.
        recipe: Augmentation, as text. By default ``"fastai"`` for the train split and ``"none"`` for others.
        seed: Of sampling and augmentation.
        epochs: The loader ends after so many epochs; by default it does not end. A schedule, such as ``balance="progressive"`` or
            ``"natural>oversample@0.8"``, changes over them.
        rank: This process among ``world_size``; ``"jax"`` asks JAX for both. By default those of ``torch.distributed`` if it is initialised, else of
            the environment variables ``RANK`` and ``WORLD_SIZE``, else 0 of 1.
        world_size: Number of processes that train together.
        drop_last: Whether a last batch that is not full is left out; by default only in the train split. If it is kept, every rank gets one, and a
            rank to which no image is left an empty one.
        dtype: ``"uint8"``, or normalised ``"float16"`` or ``"float32"``.
        layout: ``"nchw"`` or ``"nhwc"``.
        prefetch: Batches received ahead from servers. In process the engine renders up to five ahead.
        pin_memory: PyTorch tensors in pinned memory instead of read-only arrays.
        device: PyTorch tensors on this device instead of read-only arrays; ``uint8`` images are normalised there, to ``float32``.
        timeout: Longest wait for servers, in seconds: for an answer, a stream, or a batch. By default, if no server can be reached at first, it is an
            error within five seconds (30 if one is there and does not answer); if the last one is lost later, it is waited for up to five minutes.
        cache_bytes: Of a folder: memory for decoded images. By default up to a quarter of the memory that is available, or half of it less 3 GiB; 0
            decodes them each time.
    """

    def __init__(
        self,
        where: Where,
        *,
        dataset: str | None = None,
        split: str = "train",
        batch_size: int | None = None,
        global_batch_size: int | None = None,
        image_size: int = 224,
        balance: str | Mapping[str, float] | None = None,
        recipe: str | None = None,
        seed: int = 0,
        epochs: int | None = None,
        rank: int | Literal["jax"] | None = None,
        world_size: int | None = None,
        drop_last: bool | None = None,
        dtype: str = "uint8",
        layout: str = "nchw",
        prefetch: int = 2,
        pin_memory: bool = False,
        device: Any = None,
        timeout: float | None = None,
        cache_bytes: int | None = None,
    ) -> None:
        if batch_size is not None and global_batch_size is not None:
            raise RequestError(f"batch_size is {batch_size} and global_batch_size is {global_batch_size}: give one of them")
        if dtype not in _DTYPES:
            raise RequestError(f"dtype is {dtype!r}: expected one of {', '.join(_DTYPES)}")
        if layout not in _LAYOUTS:
            raise RequestError(f"layout is {layout!r}: expected nchw or nhwc")
        if epochs is not None and epochs < 1:
            raise RequestError(f"epochs is {epochs}: expected 1 or more, or None for no end")
        super().__init__(where, dataset or "", split, cache_bytes=cache_bytes, timeout=timeout)
        # Per rank, if it was given so.
        self._batch_size = 64 if batch_size is None and global_batch_size is None else batch_size
        self._global_batch_size = global_batch_size
        self._spec: dict[str, Any] = {
            "split": split,
            "seed": index(seed),
            "image_size": index(image_size),
            "balance": dict(balance) if isinstance(balance, Mapping) else balance,
            "recipe": recipe,
            "drop_last": drop_last,
            "dtype": dtype,
            "layout": layout,
        }
        self._epochs = epochs
        self._asked_ranks = (rank, world_size)
        self._prefetch = prefetch
        self._pin_memory = pin_memory
        self._device = device
        self._reset()
        # To fail here, not at the first batch.
        self._request(_Position(0, 0))

    def _reset(self) -> None:
        # After the batch yielded last, by the iteration that began last.
        self._next = _Position(0, 0)
        self._token: tuple[str, str] = ("", "")
        # Whether to continue within the epoch, instead of beginning another.
        self._continues = False
        self._iteration: object = None
        # A stream that has reached a position, for the iteration that begins there.
        self._stream: _Open | None = None
        self._described: tuple[Ranks, StreamDescription] | None = None
        self._bottleneck: Bottleneck | None = None

    batch_sampler = None
    """None: Lightning asks for it where there is a `sampler`."""

    # Requests.

    @property
    def _ranks(self) -> Ranks:
        return detect(*self._asked_ranks)

    @property
    def rank(self) -> int:
        """This process among `world_size`."""
        return self._ranks.rank

    @property
    def world_size(self) -> int:
        """Number of processes that train together."""
        return self._ranks.world_size

    @property
    def global_batch_size(self) -> int:
        """Images per batch of all ranks together."""
        if self._global_batch_size is not None:
            return self._global_batch_size
        assert self._batch_size is not None
        return self._batch_size * self._ranks.world_size

    @property
    def batch_size(self) -> int:
        """Images per full batch of this rank."""
        rank, world_size, _ = self._ranks
        return -((rank - self.global_batch_size) // world_size)

    def _ends(self, at: _Position, stride: tuple[int, int]) -> int:
        """Where a stream from `at` on ends: a number of epochs."""
        ends = at.epoch + (1 if stride[1] > 1 else _EPOCHS_AHEAD)
        return min(self._epochs, ends) if self._epochs else ends

    def _request(self, at: _Position, stride: tuple[int, int] = (0, 1)) -> Request:
        rank, world_size, _ = self._ranks
        spec = self._spec
        numbers = {"seed": (spec["seed"], 64), "image_size": (spec["image_size"], 32), "batch_size": (self.global_batch_size, 32)}
        for name, (value, bits) in numbers.items():
            if not 0 <= value < 1 << bits:
                raise RequestError(f"{name} is {value}: expected an integer from 0 to 2^{bits} - 1")
        return Request(
            dataset=self._dataset,
            split=spec["split"],
            seed=spec["seed"],
            epochs=self._ends(at, stride),
            schedule_epochs=self._epochs,
            start=(at.epoch, at.step, *self._token),
            shard=(rank, world_size),
            batch_size=self.global_batch_size,
            image_size=spec["image_size"],
            balance=spec["balance"],
            recipe=spec["recipe"],
            dtype=_DTYPES[spec["dtype"]],
            channels_last=spec["layout"] == "nhwc",
            drop_last=spec["drop_last"],
            stride=stride,
        )

    def _open(self, at: _Position, stride: tuple[int, int] = (0, 1)) -> _Open:
        """A stream from `at` on: the one that has reached it, if there is one."""
        kept, self._stream = self._stream, None
        ranks = self._ranks
        if kept is not None and kept.stream.is_usable and (kept.ranks, kept.at) == (ranks, at) and stride[1] == 1:
            return kept
        # Closed before another is opened, which may be one too many.
        del kept
        request, allocate = self._request(at, stride), self._allocate()
        source, stream = self._ask(lambda source: (source, source.stream(request, self._prefetch, self._timeout, allocate)))
        self._described = (ranks, stream.description)
        return _Open(stream, source, ranks, at, self._ends(at, stride))

    def _begin(self) -> _Position:
        """Where the next iteration begins."""
        epoch, step = self._next
        if step > 0 and not self._continues:
            return _Position(epoch + 1, 0)
        return self._next

    def start(self) -> None:
        """Opens the stream, so that batches arrive before they are asked for."""
        self._stream = self._open(self._begin())

    @property
    def _description(self) -> StreamDescription:
        # A process group may have been initialised since.
        if self._described is None or self._described[0] != self._ranks:
            self.start()
        assert self._described is not None
        return self._described[1]

    # Batches.

    def __len__(self) -> int:
        """Steps of an epoch: the same on all ranks, and also after a resumption."""
        return self._description.steps_per_epoch

    def __iter__(self) -> Iterator[Batch]:
        self._refuse_beyond_end(self._begin().epoch)
        return _Iteration(self)

    def _refuse_beyond_end(self, epoch: int) -> None:
        if self._epochs is not None and epoch >= self._epochs:
            raise RequestError(f"all {self._epochs} epochs are over: set_epoch(0) starts again, a larger epochs goes on")

    def _epoch(self) -> Iterator[Batch]:
        """The next epoch, or the rest of one."""
        received = self._receive(self._begin())
        if not self._pin_memory and self._device is None:
            return received
        normalizes = self._device is not None and self._spec["dtype"] == "uint8"
        transferred: Iterator[Batch] = pytorch().transfer(
            received,
            device=self._device,
            pin_memory=self._pin_memory,
            normalization=self._normalization if normalizes else None,
            channels_last=self._spec["layout"] == "nhwc",
        )
        return transferred

    def _allocate(self) -> Callable[[int], tuple[Any, Any]] | None:
        """Where images are received, if they are to be PyTorch's."""
        if not self._pin_memory and self._device is None:
            return None
        allocator: Callable[[int], tuple[Any, Any]] = pytorch().allocator(device=self._device, pin_memory=self._pin_memory)
        return allocator

    def _normalization(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation per channel."""
        return self._description.mean, self._description.std

    def _receive(self, at: _Position, stride: tuple[int, int] = (0, 1)) -> Iterator[Batch]:
        """The batches of an epoch from `at` on: all of them, or every ``of``-th with ``stride=(index, of)``."""
        stream, source, ranks, _, ends = self._open(at, stride)
        epoch, seed = at.epoch, self._spec["seed"]
        description, following = stream.description, at
        takeover = Takeover()
        while following.epoch == epoch:
            try:
                fields = self._first_fields(stream, source) if following == at else stream.next(self._timeout)
            except LOST:
                if not takeover.goes_on(source):
                    raise
                # The batches of another engine are the same.
                del stream
                stream, source, ranks, _, ends = self._open(following, stride)
                continue
            if fields is None:
                if stride[1] > 1:
                    return
                raise ProtocolError(f"the stream ended before epoch {epoch} did")
            found, step, next_, received, labels, sample_ids, replacements, mixed_labels, mixed_weights = fields
            following, takeover = _Position(*next_), Takeover()
            yield Batch(
                images=pytorch().in_slot(*received) if isinstance(received, tuple) else received,
                labels=labels,
                sample_ids=sample_ids,
                epoch=found,
                step=step,
                token=token((description.spec_hash, description.fingerprint), seed, following, ranks.world_size),
                replacements=[Replacement(*one) for one in replacements],
                mixed_labels=mixed_labels,
                mixed_weights=mixed_weights,
            )
            del fields, received, labels, sample_ids, mixed_labels, mixed_weights
        if stride[1] == 1:
            ended = stream.end_epoch(epoch)
            self._bottleneck = Bottleneck(*ended) if ended else None
            if following.epoch < ends:
                self._stream = _Open(stream, source, ranks, following, ends)

    def _first_fields(self, stream: Stream, source: Source) -> Any:
        """The first batch of a stream, for which images may have to be decoded."""
        before = source.decoded
        if before is None:
            return stream.next(self._timeout)
        with Progress("decoding", "images") as progress:
            return stream.next(self._timeout, lambda: progress((source.decoded or 0) - before, 0))

    def _yielded(self, iteration: object, batch: Batch) -> None:
        # An iteration that another, a state or an epoch has replaced says nothing about what comes next.
        if self._iteration is iteration:
            self._next = _Position(batch.token["epoch"], batch.token["step"])
            self._token = (batch.token["spec_hash"], batch.token["fingerprint"])
            self._continues = False

    # State.

    def state_dict(self) -> dict[str, Any]:
        """The position after the batch yielded last, in plain types: equal on all ranks, so that one rank's is enough."""
        world_size = self._ranks.world_size
        return {
            "version": VERSION,
            "token": token(self._token, self._spec["seed"], self._next, world_size),
            "epoch": self._next.epoch,
            "step": self._next.step,
            "global_batch_size": self.global_batch_size,
            "world_size": world_size,
            "spec": dict(self._spec),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continues, from the next ``iter`` on, where the state was taken; with any number of ranks."""
        if not state_dict:
            return
        check(state_dict, self._spec, global_batch_size=self.global_batch_size, world_size=self._ranks.world_size)
        self._reset()
        self._global_batch_size = state_dict["global_batch_size"]
        self._next = _Position(state_dict["epoch"], state_dict["step"])
        self._token = (state_dict["token"]["spec_hash"], state_dict["token"]["fingerprint"])
        self._continues = True

    def set_epoch(self, epoch: int) -> None:
        """The next ``iter`` is this epoch; if a state of the same epoch was loaded, the rest of it."""
        if epoch < 0:
            raise RequestError(f"epoch is {epoch}: epochs are counted from 0")
        if epoch == self._next.epoch and (self._continues or self._next.step == 0):
            return
        self._next = _Position(epoch, 0)
        self._continues = False
        self._iteration = None

    @property
    def sampler(self) -> _Sampler:
        """Has `set_epoch`, for frameworks that look for it there."""
        return _Sampler(self)

    def __getstate__(self) -> dict[str, Any]:
        ranks = self._ranks
        return {
            "where": self._where,
            "arguments": {
                **self._spec,
                "dataset": self._dataset,
                "global_batch_size": self.global_batch_size,
                "epochs": self._epochs,
                "rank": ranks.rank,
                "world_size": ranks.world_size,
                "prefetch": self._prefetch,
                "pin_memory": self._pin_memory,
                "device": self._device,
                "timeout": self._timeout,
                "cache_bytes": self._cache_bytes,
            },
            "state": self.state_dict(),
        }

    def __setstate__(self, pickled: dict[str, Any]) -> None:
        Loader.__init__(self, pickled["where"], **pickled["arguments"])
        self.load_state_dict(pickled["state"])

    def close(self) -> None:
        """Closes the stream, and gives up the engine or the connections; iterations that have begun go on."""
        self._stream = self._source = None

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        rank, world_size, by = self._ranks
        given = {"dataset": self._dataset or None, **self._spec, "epochs": self._epochs, "device": self._device}
        shown = "".join(f", {name}={value!r}" for name, value in given.items() if value is not None)
        return f"Loader({self._where!r}, batch_size={self.batch_size}{shown}) as rank {rank} of {world_size} (by {by})"

    # Pictures.

    def _grid(self, count: int) -> Grid:
        # Not an iteration, so that nothing is continued differently.
        received = self._receive(self._begin())
        batch = next(received)
        if not isinstance(batch.images, Tensor):
            batch.images = batch.images.numpy()
        mean, std = self._normalization()
        return grid(batch, count, self.classes, mean, std)

    def show_batch(self, count: int = 9) -> Any:
        """The first images of the next batch with their classes: a Matplotlib figure if there is Matplotlib, else HTML for a notebook. Changes nothing
        for the next ``iter``."""
        pictures = self._grid(count)
        return pictures.figure() if has_matplotlib() else pictures

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>{self._grid(9)._repr_html_()}"

    def bottleneck(self) -> Bottleneck | None:
        """What limited the speed of the last whole epoch; ``None`` before its end."""
        return self._bottleneck


class _Iteration(Iterator[Batch]):
    """An epoch, or the rest of one."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        # Known to the loader, which the iteration keeps: not itself, so that an engine ends with its last loader.
        self._mark = object()
        self._received: Iterator[Batch] | None = None

    def __next__(self) -> Batch:
        if self._received is None:
            # It begins with its first batch: frameworks set the epoch, or load a state, after `iter`.
            self._received = self._loader._epoch()
            self._loader._iteration = self._mark
        batch = next(self._received)
        self._loader._yielded(self._mark, batch)
        return batch


class _Sampler:
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def set_epoch(self, epoch: int) -> None:
        self._loader.set_epoch(epoch)
