"""The engine in process."""

import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from contextlib import contextmanager
from pathlib import Path

import equibatch
import numpy as np
import pytest
from equibatch import source


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


def contents(loader):
    return [(batch.sample_ids.tolist(), np.array(batch.images).tobytes()) for batch in loader]


def loader_of(folder, **options):
    return equibatch.Loader(folder, batch_size=4, image_size=24, rank=0, world_size=1, **options)


@pytest.fixture
def alone(folder):
    return contents(loader_of(folder))


SOCKET = """
import os, socket, sys
if sys.argv[2] == "stranger":
    os.setuid(65534)
with socket.socket(socket.AF_UNIX) as bound:
    bound.bind("\\0" + sys.argv[1])
    if sys.argv[2] != "bind":
        bound.listen()
    if sys.argv[2] == "orphan" and os.fork() > 0:
        os._exit(0)
    print("bound", flush=True)
    sys.stdin.read()
"""


def test_an_engine_that_is_given_up_can_be_opened_again_at_once(folder, ranks):
    for _ in range(20):
        loader = loader_of(folder)
        assert len(loader) > 0 and loader._opened().decoded is not None
        loader.close()


@contextmanager
def taken(folder, does):
    """Another process has the socket of the ranks."""
    name = source._socket(os.path.realpath(folder), folder.name)
    command = [sys.executable, "-c", SOCKET, name, does]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "bound\n"
        yield other
        other.kill()


def test_one_rank_alone_shares_nothing(folder, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "run")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    assert source._socket("/folder", "name") is None
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    name = source._socket("/folder", "name")
    assert name is not None
    assert name != source._socket("/folder", "other") != source._socket("/other", "name") != name
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert name != source._socket("/folder", "name")
    for variable in ("TORCHELASTIC_RUN_ID", "MASTER_PORT"):
        monkeypatch.delenv(variable, raising=False)
    assert source._socket("/folder", "name") is None, "it could be any run"


def test_ranks_that_are_bound_to_processors_have_an_engine_for_each_set(ranks, monkeypatch):
    name = source._socket("/folder", "name")
    assert source._engines(8) == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(4) if process == 0 else range(16)))
    assert source._engines(8) == 4
    assert source._engines(2) == 2
    assert source._socket("/folder", "name") != name


def test_a_rank_waits_for_the_one_that_scans_the_folder_and_scans_it_if_that_one_is_killed(folder, alone, ranks, monkeypatch):
    with taken(folder, "bind") as other:
        waited = threading.Event()
        sleep = source.time.sleep

        def wait(seconds):
            if not waited.is_set():
                waited.set()
                other.kill()
            sleep(seconds)

        monkeypatch.setattr(source.time, "sleep", wait)
        loader = loader_of(folder, dataset=folder.name)
        assert contents(loader) == alone
        assert waited.is_set()
        assert loader._opened().decoded is not None


def test_ctrl_c_ends_the_wait_for_a_rank_that_scans_the_folder(folder, ranks, monkeypatch):
    sleep = source.time.sleep

    def interrupted(seconds):
        os.kill(os.getpid(), signal.SIGINT)
        sleep(seconds)

    monkeypatch.setattr(source.time, "sleep", interrupted)
    with taken(folder, "bind"), pytest.raises(KeyboardInterrupt):
        len(loader_of(folder))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_the_socket_of_another_user_is_not_used(folder, alone, ranks):
    with taken(folder, "stranger"):
        loader = loader_of(folder)
        assert contents(loader) == alone
        assert loader._opened().decoded is not None and not loader._opened().is_shared


def test_a_socket_that_a_child_keeps_open_is_not_used(folder, alone, ranks):
    """The process that listened has ended; nothing accepts connections any more."""
    with taken(folder, "orphan"):
        loader = loader_of(folder)
        assert contents(loader) == alone
        assert not loader._opened().is_shared


def test_an_engine_is_shared_and_bytes_are_the_same(alone, shared):
    loader = loader_of(shared)
    assert contents(loader) == alone
    assert loader._opened().is_shared and loader._opened().decoded is None
    assert loader._description.transport == "shared memory"
    assert loader.classes == ["birds", "flowers"]
    assert loader.bottleneck() is not None
