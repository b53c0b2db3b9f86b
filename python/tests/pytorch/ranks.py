"""Runs a function in several processes at once that are the ranks of a gloo group."""

import multiprocessing
import os
import tempfile
import traceback
from pathlib import Path

import torch.distributed

DEADLINE_SECONDS = 120


def run_ranks(world_size, function, *arguments):
    """What `function(*arguments)` returns on each rank, in their order."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        pipes = [context.Pipe(duplex=False) for _ in range(world_size)]
        processes = [
            context.Process(target=_rank, args=(rank, world_size, folder, pipe, function, arguments))
            for rank, (_, pipe) in enumerate(pipes)
        ]
        for process in processes:
            process.start()
        for _, pipe in pipes:
            pipe.close()
        try:
            return [_result(rank, receiver, process) for rank, ((receiver, _), process) in enumerate(zip(pipes, processes, strict=True))]
        finally:
            for process in processes:
                process.kill()
                process.join()


def _result(rank, receiver, process):
    assert receiver.poll(DEADLINE_SECONDS), f"rank {rank} has not finished"
    try:
        result, error = receiver.recv()
    except EOFError:
        process.join()
        raise AssertionError(f"rank {rank} died with {process.exitcode}") from None
    assert error is None, f"rank {rank}:\n{error}"
    return result


def _rank(rank, world_size, folder, pipe, function, arguments):
    try:
        # As `torchrun` starts it.
        ranks = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "WORLD_SIZE": world_size, "LOCAL_WORLD_SIZE": world_size}
        os.environ |= {name: str(value) for name, value in ranks.items()}
        os.environ |= {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
        torch.distributed.init_process_group("gloo", init_method=f"file://{Path(folder) / 'store'}", rank=rank, world_size=world_size)
        result = function(*arguments)
        torch.distributed.barrier()
        pipe.send((result, None))
    except BaseException:
        pipe.send((None, traceback.format_exc()))
    finally:
        pipe.close()
