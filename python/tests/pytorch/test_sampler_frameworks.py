"""`BalancedBatchSampler` in PyTorch's and torchdata's data loaders, in process groups, under Accelerate and Lightning."""

import json
import os
import signal

import pytest
import torch.distributed
from accelerate.data_loader import prepare_data_loader
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from equibatch.torch import BalancedBatchSampler

from .lightning_helpers import Recorder, distributed_trainer, trainer
from .numbers_dataset import Numbers
from .ranks import run_ranks

LABELS = [0] * 40 + [1] * 7 + [2] * 12
WORKERS = [(0, None), (2, "fork"), (2, "forkserver"), (2, "spawn")]


def loader(sampler, workers=0, context=None, of=DataLoader):
    return of(Numbers(len(LABELS)), batch_sampler=sampler, num_workers=workers, multiprocessing_context=context)


def lists(batches):
    return [batch.tolist() for batch in batches]


@pytest.mark.parametrize(("workers", "context"), WORKERS)
def test_the_same_batches_whatever_the_workers(workers, context):
    batches = loader(BalancedBatchSampler(LABELS, 8), workers, context)
    assert lists(batches) == list(BalancedBatchSampler(LABELS, 8))
    assert len(batches) == 15


def test_a_state_is_refused_while_workers_read_ahead():
    sampler = BalancedBatchSampler(LABELS, 8)
    batches = iter(loader(sampler, 2, "fork"))
    taken = [next(batches).tolist(), next(batches).tolist()]
    with pytest.raises(RuntimeError, match="drawn 6 batches of epoch 0, more than it has returned"):
        sampler.state_dict()
    state = sampler.state_dict(step=2)
    resumed = BalancedBatchSampler(LABELS, 8)
    resumed.load_state_dict(state)
    alone = list(BalancedBatchSampler(LABELS, 8))
    assert (taken, list(resumed)) == (alone[:2], alone[2:])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("taken", [0, 1, 7, 15])
def test_the_stateful_data_loader_goes_on_exactly(workers, taken):
    make = lambda: loader(BalancedBatchSampler(LABELS, 8), workers, "fork" if workers else None, StatefulDataLoader)
    alone = BalancedBatchSampler(LABELS, 8)
    epochs = [list(alone), list(alone)]
    before = make()
    batches = iter(before)
    assert lists(next(batches) for _ in range(taken)) == epochs[0][:taken]
    if taken == 15:
        assert next(batches, None) is None
    after = make()
    after.load_state_dict(before.state_dict())
    expected = epochs[1] if taken == 15 else epochs[0][taken:]
    assert lists(after) == expected


def test_the_ranks_of_a_group_divide_each_batch():
    for world_size in (2, 3):
        ranks = run_ranks(world_size, lambda: (repr(BalancedBatchSampler(LABELS, 4)), list(BalancedBatchSampler(LABELS, 4))))
        whole = list(BalancedBatchSampler(LABELS, 4 * world_size))
        for rank, (name, batches) in enumerate(ranks):
            assert f"rank {rank} of {world_size} (by torch.distributed)" in name
            assert batches == [batch[rank::world_size] for batch in whole]


def test_three_ranks_go_on_where_two_stopped():
    def begin():
        sampler = BalancedBatchSampler(LABELS, 6)
        batches = iter(sampler)
        return [next(batches) for _ in range(4)], json.dumps(sampler.state_dict())

    def go_on(state):
        sampler = BalancedBatchSampler(LABELS, global_batch_size=12)
        sampler.load_state_dict(json.loads(state))
        return list(sampler)

    before = run_ranks(2, begin)
    assert before[0][1] == before[1][1]
    after = run_ranks(3, go_on, before[0][1])
    whole = list(BalancedBatchSampler(LABELS, 12))
    assert [batches for batches, _ in before] == [[batch[rank::2] for batch in whole[:4]] for rank in range(2)]
    assert after == [[batch[rank::3] for batch in whole[4:]] for rank in range(3)]


def test_two_ranks_go_on_after_one_of_three_was_killed(tmp_path):
    state_file, killed_at = tmp_path / "state.json", 4

    def train(kill):
        sampler = BalancedBatchSampler(LABELS, global_batch_size=12)
        if state_file.exists():
            sampler.load_state_dict(json.loads(state_file.read_text()))
        used = open(tmp_path / f"{'before' if kill else 'after'}.{sampler.rank}", "w")
        for step, batch in enumerate(sampler):
            if kill and step == killed_at and sampler.rank == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            print(json.dumps(batch), file=used, flush=True)
            torch.distributed.barrier()
            if sampler.rank == 0:
                state_file.with_suffix(".new").write_text(json.dumps(sampler.state_dict()))
                state_file.with_suffix(".new").rename(state_file)

    with pytest.raises(AssertionError, match="rank"):
        run_ranks(3, train, True)
    assert json.loads(state_file.read_text())["step"] == killed_at
    run_ranks(2, train, False)
    batches = lambda run, rank: [json.loads(line) for line in (tmp_path / f"{run}.{rank}").read_text().splitlines()]
    whole = list(BalancedBatchSampler(LABELS, 12))
    for rank in range(3):
        assert batches("before", rank)[:killed_at] == [batch[rank::3] for batch in whole[:killed_at]]
    for rank in range(2):
        assert batches("after", rank) == [batch[rank::2] for batch in whole[killed_at:]]


def test_a_sampler_made_before_the_group_is_refused():
    early = BalancedBatchSampler(LABELS, 8)

    def use():
        with pytest.raises(RuntimeError, match="made for rank 0 of 1 .* is rank . of 2 .*torch.distributed"):
            iter(early)

    run_ranks(2, use)


def test_ranks_are_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert "rank 2 of 3 (by RANK and WORLD_SIZE)" in repr(BalancedBatchSampler(LABELS, 8))


@pytest.mark.parametrize("workers", [0, 2])
def test_accelerate_may_shard_the_batches_of_one_rank_only(workers):
    context = "fork" if workers else None
    prepare = lambda sampler, process: prepare_data_loader(
        loader(sampler, workers, context), num_processes=2, process_index=process, put_on_device=False
    )
    # It gives each process every other batch: right for batches of all ranks, and for those of one a loss of half.
    whole = BalancedBatchSampler(LABELS, 8, rank=0, world_size=1, num_samples=128)
    batches = list(whole)
    for process in range(2):
        whole.set_epoch(0)
        assert lists(prepare(whole, process)) == batches[process::2]
    with pytest.raises(RuntimeError, match="one of 2 ranks, and Accelerate's BatchSamplerShard"):
        list(prepare(BalancedBatchSampler(LABELS, 8, rank=1, world_size=2), 1))


def test_a_state_is_refused_while_accelerate_reads_ahead():
    sampler = BalancedBatchSampler(LABELS, 8)
    next(iter(prepare_data_loader(loader(sampler), num_processes=1, process_index=0, put_on_device=False)))
    with pytest.raises(RuntimeError, match="drawn 2 batches of epoch 0, more than it has returned"):
        sampler.state_dict()
    assert sampler.state_dict(step=1)["step"] == 1


def test_accelerate_does_not_set_the_epoch_back():
    whole = BalancedBatchSampler(LABELS, 8)
    whole.set_epoch(2)
    whole = list(whole)
    sampler = BalancedBatchSampler(LABELS, 8)
    sampler.load_state_dict(sampler.state_dict() | {"epoch": 2, "step": 3})
    prepared = prepare_data_loader(loader(sampler), num_processes=1, process_index=0, put_on_device=False)
    with pytest.raises(RuntimeError, match=r"set_epoch\(0\) after a state of epoch 2, step 3"):
        next(iter(prepared))
    prepared.set_epoch(2)
    assert lists(prepared) == whole[3:]


def test_lightning_sets_the_epoch_of_the_sampler(tmp_path):
    sampler = BalancedBatchSampler(LABELS, 8)
    # Three epochs of four batches: the rest of each is left out.
    recorder = Recorder()
    trainer(tmp_path, max_epochs=3, limit_train_batches=4).fit(recorder, loader(sampler))
    alone = BalancedBatchSampler(LABELS, 8)
    assert recorder.seen == [batch for _ in range(3) for batch in list(alone)[:4]]



def test_lightning_does_not_shard_it_again(tmp_path):
    def fit(**options):
        sampler, recorder = BalancedBatchSampler(LABELS, 4), Recorder()
        distributed_trainer(tmp_path, max_epochs=1, **options).fit(recorder, loader(sampler))
        return recorder.seen

    def refused():
        with pytest.raises(TypeError, match="labels is a DistributedSampler.*use_distributed_sampler=False"):
            fit()
        return fit(use_distributed_sampler=False)

    whole = list(BalancedBatchSampler(LABELS, 8))
    assert run_ranks(2, refused) == [[batch[rank::2] for batch in whole] for rank in range(2)]
