"""The engine in process."""

import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import equibatch
import pytest


def test_loaders_of_one_folder_share_an_engine_until_the_last_one_is_gone(folder):
    def loader_of(split):
        return equibatch.Loader(folder, dataset="shared", split=split, batch_size=4, image_size=24)

    train, valid = loader_of("train"), loader_of("valid")
    list(train)
    engine = weakref.ref(train._opened())
    list(valid)
    assert valid._opened() is engine() is train._opened()
    del train
    gc.collect()
    assert engine() is not None
    del valid
    gc.collect()
    assert engine() is None


SCRIPT = """
import contextlib, equibatch, os, sys, time
loader = equibatch.Loader(sys.argv[1], batch_size=4, image_size=24)
len(loader)
expected, deadline, found = int(sys.argv[2]), time.monotonic() + 20, 0
# A thread gives itself its name as it starts.
while found < expected and time.monotonic() < deadline:
    names = []
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            names.append(open(f"/proc/self/task/{task}/comm").read())
    found = sum(name.startswith("worker-") for name in names)
print(found)
"""


@pytest.mark.parametrize("processes", [1, 2, 1000])
def test_ranks_of_a_machine_divide_its_processors(folder, processes):
    expected = max(1, len(os.sched_getaffinity(0)) // processes)
    environment = {**os.environ, "LOCAL_WORLD_SIZE": str(processes)}
    counted = subprocess.run(
        [sys.executable, "-c", SCRIPT, folder, str(expected)],
        cwd=Path(__file__).parents[1],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(counted.stdout) == expected
