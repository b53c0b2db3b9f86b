"""Ranks of one machine share one engine: each image is decoded once for all of them, also if a rank is killed, and nothing is left behind."""

import multiprocessing.connection
import os
import signal
import time

import pytest
import torch.distributed
from torch.utils.data import DataLoader

from equibatch.torch import EquibatchDataset

from .ranks import CONTEXT, DEADLINE_SECONDS, run_ranks, started_ranks
from .test_loader_ranks import contents, make, parts

KILL = signal.SIGKILL


@pytest.fixture(scope="module")
def whole(folder):
    """The global batches of epoch 0, of one process."""
    return [contents(batch) for batch in steps_of(folder, rank=0, world_size=1)]


def steps_of(folder, **options):
    """Many steps, and few batches ahead of the trainer."""
    return make(folder, global_batch_size=3, prefetch=1, **options)


def images(whole):
    return len({sample for batch in whole for sample, _, _ in batch})


def decoded(loader):
    return loader._opened().decoded


def named_sockets():
    """Names of the sockets of all engines of this machine."""
    with open("/proc/net/unix") as file:
        return {line.split()[-1] for line in file if "@equibatch-" in line}


def shared_memory():
    """Bytes that this process shares with others."""
    with open("/proc/self/maps") as file:
        ends = [line.split()[0].split("-") for line in file if "memfd:equibatch" in line]
    return sum(int(end, 16) - int(start, 16) for start, end in ends)


@pytest.fixture(autouse=True)
def nothing_is_left():
    """No socket, and no file in /dev/shm.

    Those of tests that run beside this one end while it waits.
    """

    def present():
        return named_sockets() | set(os.listdir("/dev/shm"))

    before = present()
    yield
    left = present() - before
    until(lambda: not left & present())


@pytest.mark.parametrize("world_size", [2, 3])
def test_each_image_is_decoded_once_for_all_ranks(folder, whole, server, world_size):
    def epoch():
        # Nothing is decoded for another epoch.
        train, valid = steps_of(folder, epochs=1), steps_of(folder, split="valid", epochs=1)
        found = [contents(batch) for batch in train], [contents(batch) for batch in valid]
        assert train._opened() is valid._opened(), "both splits have one engine"
        torch.distributed.barrier()
        return found, decoded(train), train._described[1].transport

    valid = [contents(batch) for batch in steps_of(folder, split="valid", rank=0, world_size=1)]
    remote = [contents(batch) for batch in steps_of(server.address, rank=0, world_size=1)]
    assert remote == whole
    ranks = run_ranks(world_size, epoch)
    assert [found for found, _, _ in ranks] == list(zip(parts(whole, world_size), parts(valid, world_size), strict=True))
    counts = [count for _, count, _ in ranks if count is not None]
    assert counts == [images(whole) + images(valid)], "one rank has the engine"
    assert sorted(transport for _, _, transport in ranks) == ["in process"] + ["shared memory"] * (world_size - 1)


def test_a_rank_that_is_killed_leaves_nothing_in_the_one_with_the_engine(folder, whole):
    begun, killed = CONTEXT.Barrier(3), CONTEXT.Event()

    def train():
        loader = steps_of(folder)
        batches = iter(loader)
        used = [contents(next(batches))]
        has_engine = decoded(loader) is not None
        shared = torch.tensor([0, 0, 0])
        shared[loader.rank] = has_engine
        torch.distributed.all_reduce(shared)
        engine = int(shared.argmax())
        victim = max(rank for rank in range(3) if rank != engine)
        before = shared_memory()
        begun.wait(DEADLINE_SECONDS)
        if loader.rank == victim:
            os.kill(os.getpid(), KILL)
        assert killed.wait(DEADLINE_SECONDS)
        used += [contents(batch) for batch in batches]
        if not has_engine:
            return used, None
        until(lambda: shared_memory() <= before / 2)
        return used, decoded(loader)

    with started_ranks(3, train) as ranks:
        dead = join_killed(ranks)
        killed.set()
        rest = [rank for rank in ranks if rank is not dead]
        found = [rank.result() for rank in rest]
    assert [used for used, _ in found] == [parts(whole, 3)[rank.rank] for rank in rest]
    (count,) = [count for _, count in found if count is not None]
    assert count <= images(whole)


def test_ranks_go_on_with_an_engine_of_one_of_them_if_the_one_that_had_it_is_killed(folder, whole):
    begun, killed, done = CONTEXT.Barrier(3), CONTEXT.Event(), CONTEXT.Barrier(2)

    def train():
        loader = steps_of(folder)
        batches = iter(loader)
        used = [contents(next(batches))]
        begun.wait(DEADLINE_SECONDS)
        if decoded(loader) is not None:
            os.kill(os.getpid(), KILL)
        assert killed.wait(DEADLINE_SECONDS)
        used += [contents(batch) for batch in batches]
        state = loader.state_dict()
        # Neither ends before the other has all batches.
        done.wait(DEADLINE_SECONDS)
        return used, decoded(loader), state

    with started_ranks(3, train) as ranks:
        dead = join_killed(ranks)
        killed.set()
        rest = [rank for rank in ranks if rank is not dead]
        found = [rank.result() for rank in rest]
    assert [used for used, _, _ in found] == [parts(whole, 3)[rank.rank] for rank in rest]
    (count,) = [count for _, count, _ in found if count is not None]
    assert 0 < count <= images(whole)
    assert found[0][2] == found[1][2]


def join_killed(ranks):
    """The rank that has died."""
    sentinels = {rank.process.sentinel: rank for rank in ranks}
    (ended,) = multiprocessing.connection.wait(sentinels, DEADLINE_SECONDS)[:1]
    rank = sentinels[ended]
    rank.process.join()
    assert rank.process.exitcode == -KILL, rank.result()
    return rank


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_workers_of_a_data_loader_use_the_engine_of_their_rank(folder, whole):
    def epoch():
        loader = steps_of(folder, epochs=1)
        dataset = EquibatchDataset(loader)
        assert len(dataset) == len(whole), "opens the engine before the workers are forked"
        context = "fork"
        batches = DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context=context)
        found = [list(zip(batch.sample_ids.tolist(), batch.labels.tolist(), strict=True)) for batch in batches]
        torch.distributed.barrier()
        return found, decoded(loader)

    ranks = run_ranks(2, epoch)
    expected = [[[image[:2] for image in batch] for batch in part] for part in parts(whole, 2)]
    assert [found for found, _ in ranks] == expected
    assert [count for _, count in ranks if count is not None] == [images(whole)]


def test_ranks_that_end_one_after_another_pass_the_engine_on(folder, whole):
    def short_epochs():
        # Each loader ends with its epoch, and with it the engine, if it is that of its rank.
        return [[contents(batch) for batch in steps_of(folder, epochs=1)] for _ in range(15)]

    assert run_ranks(3, short_epochs) == [[part] * 15 for part in parts(whole, 3)]
