"""Runs a function in several processes at once that are the ranks of a gloo group."""

import multiprocessing
import os
import tempfile
import traceback
from contextlib import contextmanager
from pathlib import Path

import torch.distributed

DEADLINE_SECONDS = 120

CONTEXT = multiprocessing.get_context("fork")


def run_ranks(world_size, function, *arguments):
    """What `function(*arguments)` returns on each rank, in their order."""
    with started_ranks(world_size, function, *arguments) as ranks:
        return [rank.result() for rank in ranks]


@contextmanager
def started_ranks(world_size, function, *arguments):
    """The ranks, which run `function(*arguments)`, and are killed at the end.

    Until then each of them lives, because others may still use its connections after it has returned.
    """
    with tempfile.TemporaryDirectory() as folder:
        ranks = [Rank(rank, world_size, folder, function, arguments) for rank in range(world_size)]
        try:
            yield ranks
        finally:
            for rank in ranks:
                rank.process.kill()
                rank.process.join()


class Rank:
    """A process."""

    def __init__(self, rank, world_size, folder, function, arguments):
        self.rank = rank
        self._receiver, sender = CONTEXT.Pipe(duplex=False)
        self.process = CONTEXT.Process(target=_rank, args=(rank, world_size, folder, sender, function, arguments))
        self.process.start()
        sender.close()

    def result(self):
        """What the function returned."""
        assert self._receiver.poll(DEADLINE_SECONDS), f"rank {self.rank} has not finished"
        try:
            result, error = self._receiver.recv()
        except EOFError:
            self.process.join()
            raise AssertionError(f"rank {self.rank} died with {self.process.exitcode}") from None
        assert error is None, f"rank {self.rank}:\n{error}"
        return result


def _rank(rank, world_size, folder, sender, function, arguments):
    try:
        # As `torchrun` starts it.
        ranks = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "WORLD_SIZE": world_size, "LOCAL_WORLD_SIZE": world_size}
        os.environ |= {name: str(value) for name, value in ranks.items()}
        os.environ |= {"TORCHELASTIC_RUN_ID": folder, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
        torch.distributed.init_process_group("gloo", init_method=f"file://{Path(folder) / 'store'}", rank=rank, world_size=world_size)
        sender.send((function(*arguments), None))
    except BaseException:
        sender.send((None, traceback.format_exc()))
    finally:
        sender.close()
        multiprocessing.parent_process().join()
