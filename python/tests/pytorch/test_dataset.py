"""`EquibatchDataset` in PyTorch's `DataLoader`."""

import json

import pytest
import torch
from accelerate.data_loader import prepare_data_loader
from conftest import serving
from torch.utils.data import DataLoader

import equibatch
from equibatch.torch import EquibatchDataset

WORKERS = [(0, None), (1, "fork"), (2, "fork"), (2, "forkserver"), (2, "spawn")]


def make(folder, **options):
    ranks = {"rank": 0, "world_size": 1, "global_batch_size": 8} | options
    return equibatch.Loader(folder, image_size=16, **ranks)


def data_loader(dataset, workers=0, context=None, **options):
    return DataLoader(dataset, batch_size=None, num_workers=workers, multiprocessing_context=context, **options)


def contents(batches):
    return [(batch.epoch, batch.step, batch.images.numpy().tolist(), batch.labels.tolist()) for batch in batches]


@pytest.mark.parametrize(("workers", "context"), WORKERS)
def test_the_order_is_that_of_the_loader(folder, workers, context):
    loader = make(folder)
    expected = contents(loader) + contents(loader)
    batches = data_loader(EquibatchDataset(make(folder)), workers, context)
    assert len(batches) == 6
    assert contents(batches) + contents(batches) == expected


def test_workers_that_stay_begin_the_next_epoch(folder):
    loader = make(folder)
    expected = [contents(loader) for _ in range(4)]
    dataset = EquibatchDataset(make(folder))
    batches = data_loader(dataset, 2, "fork", persistent_workers=True)
    assert [contents(batches), contents(batches)] == expected[:2]
    dataset.set_epoch(3)
    assert contents(batches) == expected[3]
    # Other workers over the same data set go on.
    dataset.set_epoch(1)
    assert contents(data_loader(dataset, 1, "fork")) == expected[1]
    assert contents(data_loader(dataset, 2, "fork")) == expected[2]
    # An epoch that is left early is over.
    next(iter(data_loader(dataset, 2, "fork")))
    dataset.set_epoch(2)
    next(iter(batches))
    assert contents(data_loader(dataset, 2, "fork")) == expected[3]


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.parametrize("taken", [1, 4, 6])
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_another_number_of_workers_and_ranks_goes_on_exactly(folder, workers, taken):
    loader = make(folder)
    expected = [contents(loader), contents(loader)]
    dataset = EquibatchDataset(make(folder))
    batches = iter(data_loader(dataset, 2, "fork"))
    used = [next(batches) for _ in range(taken)]
    assert contents(used) == expected[0][:taken]
    state = json.loads(json.dumps(dataset.state_after(used[-1])))
    # It is a state of the loader, too.
    for resumed in (make(folder), EquibatchDataset(make(folder))):
        resumed.load_state_dict(state)
        resumed.set_epoch(state["epoch"])
        again = resumed if isinstance(resumed, equibatch.Loader) else data_loader(resumed, workers, "fork" if workers else None)
        assert contents(again) == (expected[0][taken:] or expected[1])
        if taken < 6:
            assert contents(again) == expected[1]
    ranks = [EquibatchDataset(make(folder, rank=rank, world_size=2)) for rank in range(2)]
    for rank in ranks:
        rank.load_state_dict(state)
    parts = [contents(data_loader(rank, workers, "fork" if workers else None)) for rank in ranks]
    for whole, left, right in zip(expected[0][taken:] or expected[1], *parts, strict=True):
        assert (left[2], right[2]) == (whole[2][::2], whole[2][1::2])


def test_workers_share_a_server(folder):
    expected = contents(make(folder))
    with serving(folder) as server:
        assert contents(data_loader(EquibatchDataset(make(server.address)), 2, "fork")) == expected


def test_the_number_of_epochs_ends_the_data_set(folder):
    dataset = EquibatchDataset(make(folder, epochs=1))
    assert len(list(data_loader(dataset))) == 6
    with pytest.raises(equibatch.errors.RequestError, match="all 1 epochs are over"):
        list(data_loader(dataset))
    # Of no state that was loaded: any order will do.
    for epoch in (5, 3, 0):
        dataset.set_epoch(epoch)
    assert next(iter(data_loader(dataset))).step == 0


def test_batches_are_not_batched_again(folder):
    with pytest.raises(TypeError, match="Batch"):
        next(iter(DataLoader(EquibatchDataset(make(folder)), batch_size=2)))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("dispatch", [None, False, True])
def test_accelerate_does_not_shard_it_again(folder, workers, dispatch):
    dataset = EquibatchDataset(make(folder, rank=1, world_size=2))
    options = {"num_processes": 2, "process_index": 1, "device": torch.device("cpu"), "put_on_device": True, "dispatch_batches": dispatch}
    batches = data_loader(dataset, workers, "fork" if workers else None)
    prepared = prepare_data_loader(batches, **options)
    with pytest.raises(RuntimeError, match="one of 2 ranks, and Accelerate's (DataLoaderDispatcher|IterableDatasetShard)"):
        next(iter(prepared))


def test_accelerate_does_not_set_the_epoch_back(folder):
    dataset = EquibatchDataset(make(folder))
    state = dataset._loader.state_dict()
    dataset.load_state_dict(state | {"epoch": 3, "step": 2, "token": state["token"] | {"epoch": 3, "step": 2}})
    prepared = prepare_data_loader(data_loader(dataset), num_processes=1, process_index=0, put_on_device=False)
    with pytest.raises(RuntimeError, match=r"set_epoch\(0\) after a state of epoch 3, step 2"):
        next(iter(prepared))
    prepared.set_epoch(3)
    batch = next(iter(prepared))
    assert (batch.epoch, batch.step) == (3, 2)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_schedule_changes_over_the_epochs_of_the_loader(folder, workers):
    def make():
        return equibatch.Loader(folder, batch_size=8, image_size=16, balance="progressive", epochs=3, rank=0, world_size=1)

    loader, others = make(), DataLoader(EquibatchDataset(make()), batch_size=None, num_workers=workers)
    for _ in range(3):
        assert [batch.labels.tolist() for batch in loader] == [batch.labels.tolist() for batch in others]
