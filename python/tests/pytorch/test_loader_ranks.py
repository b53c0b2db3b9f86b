"""`Loader` in process groups: the parts of the ranks are the epoch, byte for byte; with another number of ranks, too, and after a kill."""

import hashlib
import json
import os
import signal

import numpy
import pytest
import torch.distributed

import equibatch

from .ranks import run_ranks


def digest(image):
    return hashlib.sha256(numpy.ascontiguousarray(image)).hexdigest()


def contents(batch):
    """Of each image its sample, label and bytes."""
    return list(zip(batch.sample_ids.tolist(), batch.labels.tolist(), map(digest, numpy.asarray(batch.images)), strict=True))


def make(folder, **options):
    return equibatch.Loader(folder, image_size=16, **{"global_batch_size": 12} | options)


@pytest.fixture(scope="module")
def whole(folder):
    """The global batches of epoch 0."""
    return [contents(batch) for batch in make(folder, rank=0, world_size=1)]


def parts(whole, world_size):
    return [[batch[rank::world_size] for batch in whole] for rank in range(world_size)]


@pytest.mark.parametrize("world_size", [2, 3])
def test_the_parts_of_the_ranks_are_the_epoch(folder, whole, world_size):
    def epoch():
        loader = make(folder, global_batch_size=None, batch_size=12 // world_size)
        return repr(loader), len(loader), [contents(batch) for batch in loader]

    found = run_ranks(world_size, epoch)
    for rank, (name, length, batches) in enumerate(found):
        assert f"rank {rank} of {world_size} (by torch.distributed)" in name
        assert length == len(whole)
        assert batches == parts(whole, world_size)[rank]


def test_ranks_have_equal_steps_where_the_last_batch_has_no_image_for_some(folder):
    # 39 images less those of the other splits, in batches of 7: a rank may get none of the last.
    for world_size in (2, 3):
        found = run_ranks(world_size, lambda: [len(batch.labels) for batch in make(folder, split="valid", global_batch_size=7)])
        alone = [len(batch.labels) for batch in make(folder, split="valid", global_batch_size=7, rank=0, world_size=1)]
        assert [sum(sizes) for sizes in zip(*found, strict=True)] == alone


def test_three_ranks_go_on_where_two_stopped(folder, whole):
    def begin():
        loader = make(folder)
        batches = iter(loader)
        return [contents(next(batches)) for _ in range(2)], json.dumps(loader.state_dict())

    def go_on(state):
        loader = make(folder)
        loader.load_state_dict(json.loads(state))
        return [contents(batch) for batch in loader]

    before = run_ranks(2, begin)
    assert before[0][1] == before[1][1]
    assert [batches for batches, _ in before] == parts(whole[:2], 2)
    assert run_ranks(3, go_on, before[0][1]) == parts(whole[2:], 3)


def test_two_ranks_go_on_after_one_of_three_was_killed(folder, whole, tmp_path):
    state_file, killed_at = tmp_path / "state.json", 2

    def train(kill):
        loader = make(folder)
        if state_file.exists():
            loader.load_state_dict(json.loads(state_file.read_text()))
        used = []
        for step, batch in enumerate(loader):
            if kill and step == killed_at and loader.rank == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            used.append(contents(batch))
            torch.distributed.barrier()
            if loader.rank == 0:
                state_file.with_suffix(".new").write_text(json.dumps(loader.state_dict()))
                state_file.with_suffix(".new").rename(state_file)
        return used

    with pytest.raises(AssertionError, match="rank"):
        run_ranks(3, train, True)
    assert json.loads(state_file.read_text())["step"] == killed_at
    assert run_ranks(2, train, False) == parts(whole[killed_at:], 2)
