"""Class-balanced batches of indices, for any data set whose labels are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import Sampler

from .._native import SamplerPlan
from ..distributed import detect
from .wrapping import Reader, refuse_going_back, refuse_second_sharding

VERSION = 1


class BalancedBatchSampler(Sampler[list[int]]):
    """Batches of indices with exact class counts, for ``DataLoader(dataset, batch_sampler=...)``.

    In each epoch a class is drawn exactly as often as ``balance`` says, in each batch (of all ranks together) its count is off by less than one
    from its share, and each sample is used once before any of its class is used again. Where ``WeightedRandomSampler`` draws with replacement
    and leaves about 37 % of the samples out of an epoch, this one leaves out none that fit.

    One iteration is one epoch, and the next one is the next epoch, in another order; also after a loop that was left early. ``set_epoch``
    chooses the epoch. Ranks have equal numbers of batches, and together the batches of one rank alone.

    Args:
        labels: One label for each sample of the data set: integers from 0 (a sequence, a tensor, or an array), or names, which are sorted.
        batch_size: Samples in a batch of one rank.
        balance: ``"oversample"`` (every class as often as the largest), ``"undersample"``, ``"natural"``, ``"power:0.5"``,
            ``"effective:0.999"``, or a weight for each label, ``{"birds": 2, "flowers": 1}``; labels without a weight are not drawn. Or a schedule
            over ``epochs``: ``"progressive"``, ``"natural>oversample@0.8"``.
        epochs: Number of epochs over which a schedule changes; later ones draw as the last. Other balances need none.
        seed: Of the order; equal on all ranks.
        rank: By default that of ``torch.distributed`` if it is initialised, else ``RANK``, else 0.
        world_size: By default that of ``torch.distributed`` if it is initialised, else ``WORLD_SIZE``, else 1.
        global_batch_size: Samples in a batch of all ranks together, instead of ``batch_size``: to go on with another number of ranks.
        drop_last: Whether to leave out a last batch that is not full; which samples these are rotates from epoch to epoch.
        num_samples: Samples in an epoch of all ranks together, in the proportions of ``balance``; by default the sum that it gives.
    """

    def __init__(
        self,
        labels: Sequence[int] | Sequence[str] | torch.Tensor | Any,
        batch_size: int | None = None,
        *,
        balance: str | Mapping[Any, float] = "oversample",
        epochs: int | None = None,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        global_batch_size: int | None = None,
        drop_last: bool = True,
        num_samples: int | None = None,
    ) -> None:
        if isinstance(labels, Sampler):
            raise TypeError(
                f"labels is a {type(labels).__name__}: Lightning makes a batch sampler anew to divide it between ranks, and this one is divided already: "
                "use Trainer(use_distributed_sampler=False)"
            )
        self.rank, self.world_size, self._ranks_by = detect(rank, world_size)
        self.global_batch_size = _global_batch_size(batch_size, global_batch_size, self.world_size)
        self.balance = dict(balance) if isinstance(balance, Mapping) else balance
        self.epochs = epochs
        self.seed = seed
        self.drop_last = drop_last
        self.num_samples = num_samples
        # After the batch drawn last, by the iteration that began last, at `_began`.
        self._next = self._began = (0, 0)
        # Whether to continue within the epoch, instead of beginning another; and whether nothing was drawn since a state said so.
        self._continues = self._is_loaded = False
        self._reader: Reader | None = None
        self._iteration: object | None = None
        self.classes, labels = _classes(labels, self.balance)
        self._plan_epochs(labels)

    def _plan_epochs(self, labels: Any) -> None:
        balance, classes = self.balance, self.classes
        if isinstance(balance, dict):
            if unknown := [label for label in balance if label not in classes]:
                raise ValueError(f"balance has weights for {unknown}, which no sample is labelled with")
            weights = [float(balance.get(label, 0.0)) for label in classes]
        self._plan = plan = SamplerPlan(
            labels,
            balance=weights if isinstance(balance, dict) else balance,
            epochs=self.epochs,
            classes=len(classes) or None,
            batch_size=self.global_batch_size,
            drop_last=self.drop_last,
            num_samples=self.num_samples,
            seed=self.seed,
        )
        last = plan.batch_len(plan.steps_per_epoch - 1)
        if last < self.world_size:
            raise ValueError(
                f"the last batch has {last} samples for {self.world_size} ranks, and a rank without samples cannot make a batch of its own: "
                "use drop_last=True, or another num_samples"
            )
        self.classes = classes or list(range(len(plan.class_counts)))

    @property
    def batch_size(self) -> int:
        """Samples in a full batch of this rank."""
        return -(-(self.global_batch_size - self.rank) // self.world_size)

    @property
    def class_counts(self) -> list[int]:
        """Samples of each class, in the order of ``classes``."""
        return self._plan.class_counts

    @property
    def draws_per_class(self) -> list[int]:
        """How often each class is drawn in the next epoch, on all ranks together."""
        return self._plan.draws_per_class(self.epoch)

    @property
    def epoch(self) -> int:
        """The epoch of the next iteration."""
        return self._begin()[0]

    @property
    def sampler(self) -> BalancedBatchSampler:
        """Itself: where Lightning and Accelerate look for ``set_epoch``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is this epoch; if a state of the same epoch was loaded, the rest of it."""
        refuse_going_back(epoch, self._next, self._is_loaded)
        if self._continues and epoch == self._next[0]:
            return
        self._next, self._continues, self._is_loaded = (epoch, 0), False, False
        # Lightning makes the iterator first, and workers may have drawn from it already.
        if epoch != self._began[0]:
            self._iteration = None

    def _begin(self) -> tuple[int, int]:
        epoch, step = self._next
        return (epoch + 1, 0) if step > 0 and not self._continues else (epoch, step)

    def __len__(self) -> int:
        """Batches in an epoch: the same on every rank, also after a resume."""
        return self._plan.steps_per_epoch

    def __iter__(self) -> Iterator[list[int]]:
        refuse_second_sharding(
            self,
            self.world_size,
            "Do not give the DataLoader to accelerator.prepare; or make the sampler with rank=0, world_size=1, and Accelerate deals out whole batches",
        )
        self._check_ranks()
        if self._reader and self._reader.is_discarded and 0 < self._next[1] < len(self):
            self._next, self._continues = self._began, True
        self._reader = Reader.find()
        return self._batches()

    def _batches(self) -> Iterator[list[int]]:
        # An iteration begins with its first batch: the epoch may be set, or a state be loaded, after `iter`.
        iteration = self._iteration = object()
        self._began = epoch, start = self._begin()
        for step in range(start, len(self)):
            batch = self._plan.batch(epoch, step, self.rank, self.world_size)
            # One that another, a state or an epoch has replaced says nothing about what comes next.
            if self._iteration is iteration:
                self._next, self._continues, self._is_loaded = (epoch, step + 1), False, False
            yield batch

    def state_dict(self, step: int | None = None) -> dict[str, Any]:
        """Where to go on: after the batch that was drawn last, or after the first ``step`` batches of the current epoch.

        Plain data, equal on all ranks. Any number of ranks can go on from it, with the same ``global_batch_size``.

        Raises:
            RuntimeError: If a ``DataLoader`` with workers, or of Accelerate, draws batches ahead of the training loop, and ``step`` is not given. (That of
                ``torchdata.stateful_dataloader`` keeps count by itself.)
        """
        epoch, drawn = self._next
        if step is None and self._iteration is not None and self._reader and not self._reader.keeps_count:
            raise RuntimeError(
                f"the DataLoader has drawn {drawn} batches of epoch {epoch}, more than it has returned: give the number of batches of the "
                "epoch that were trained on, state_dict(step=...), those before a resume included; or use torchdata's StatefulDataLoader"
            )
        step = drawn if step is None else step
        if not 0 <= step <= len(self):
            raise ValueError(f"step is {step}: an epoch has {len(self)} batches")
        if step == len(self):
            epoch, step = epoch + 1, 0
        return {"version": VERSION, "epoch": epoch, "step": step} | self._identity()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Begins the next iteration where ``state`` says; ``{}`` is the beginning.

        Raises:
            ValueError: If the state is of other labels, or of another order; names what differs.
        """
        if state:
            if state.get("version") != VERSION:
                raise ValueError(f"the state has version {state.get('version')}: this release reads version {VERSION}")
            for name, own in self._identity().items():
                if state.get(name) != own:
                    raise ValueError(f"the state was saved with {name}={state.get(name)!r}, and this sampler has {name}={own!r}: they must be equal")
        self._next = self._began = (state.get("epoch", 0), state.get("step", 0))
        self._continues = self._is_loaded = True
        self._reader = self._iteration = None

    def _identity(self) -> dict[str, Any]:
        """What the order depends on."""
        balance = self.balance
        return {
            "global_batch_size": self.global_batch_size,
            "seed": self.seed,
            "balance": [[label, balance[label]] for label in self.classes if label in balance] if isinstance(balance, dict) else balance,
            "epochs": self.epochs if self._plan.is_schedule else None,
            "drop_last": self.drop_last,
            "num_samples": self.num_samples,
            "labels_crc32c": self._plan.labels_crc32c,
        }

    def _check_ranks(self) -> None:
        """Ranks that were detected must still be those of the process: a sampler may be made before the process group."""
        if self._ranks_by == "argument":
            return
        rank, world_size, by = detect(None, None)
        if (rank, world_size) != (self.rank, self.world_size):
            raise RuntimeError(
                f"the sampler was made for rank {self.rank} of {self.world_size} (by {self._ranks_by}), and this is rank {rank} of {world_size} "
                f"(by {by}): make it after init_process_group, or give rank= and world_size="
            )

    def __getstate__(self) -> dict[str, Any]:
        labels = torch.frombuffer(bytearray(self._plan.labels()), dtype=torch.int32)
        return {name: value for name, value in vars(self).items() if name not in ("_plan", "_iteration", "_reader")} | {"_labels": labels}

    def __setstate__(self, state: dict[str, Any]) -> None:
        labels = state.pop("_labels")
        self.__dict__.update(state)
        self._iteration = self._reader = None
        self._plan_epochs(labels.numpy())

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({sum(self.class_counts)} samples of {len(self.classes)} classes, balance={self.balance!r}, "
            f"batch_size={self.batch_size}, rank {self.rank} of {self.world_size} (by {self._ranks_by}), epoch {self.epoch})"
        )


def _global_batch_size(batch_size: int | None, global_batch_size: int | None, world_size: int) -> int:
    if batch_size is not None and global_batch_size is None:
        global_batch_size = batch_size * world_size
    elif batch_size is not None or global_batch_size is None:
        raise ValueError("give batch_size (samples per rank) or global_batch_size (samples of all ranks together)")
    if global_batch_size < world_size:
        raise ValueError(f"a batch of {global_batch_size} samples is too small for {world_size} ranks: each needs at least 1")
    return global_batch_size


def _classes(labels: Any, balance: Any) -> tuple[list[Any], Any]:
    """The classes if labels are names or have weights, and the labels as integers in a sequence or a buffer."""
    if isinstance(labels, torch.Tensor):
        labels = labels.detach().cpu().numpy()
    kind = getattr(getattr(labels, "dtype", None), "kind", None)
    first = next(iter(labels), None) if kind is None else None
    if isinstance(first, str) or kind in ("U", "O", "T"):
        classes = sorted(set(labels if kind is None else labels.tolist()))
        numbers = {label: number for number, label in enumerate(classes)}
        return classes, [numbers[label] for label in (labels if kind is None else labels.tolist())]
    if isinstance(balance, dict):
        return list(range(1 + int(max(max(labels, default=-1), max(balance, default=-1))))), labels
    return [], labels
