"""Pickles, forks, signals, and what is left behind."""

import gc
import multiprocessing
import os
import pickle
import signal
import socket as sockets
import threading
import time

import equibatch
import numpy as np
import pytest
from equibatch.errors import ForkError
from test_loader import contents

@pytest.fixture(params=["folder", "server", "socket", "shared"])
def where(request):
    value = request.getfixturevalue(request.param)
    return value.address if request.param in ("server", "socket") else value


def loader_of(where, **arguments):
    return equibatch.Loader(where, **{"batch_size": 4, "image_size": 24, "seed": 5, **arguments})


def send_contents(loader, connection):
    connection.send(contents(loader))
    connection.close()


def in_child(method, loader):
    context = multiprocessing.get_context(method)
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=send_contents, args=(loader, sender))
    child.start()
    sender.close()
    try:
        assert receiver.poll(60), "the child hangs"
        found = receiver.recv()
        child.join(60)
        assert child.exitcode == 0
        return found
    finally:
        child.kill()


def test_a_pickle_is_a_loader_in_the_same_state(where):
    loader = loader_of(where, rank=0, world_size=2)
    iteration = iter(loader)
    next(iteration)
    copy = pickle.loads(pickle.dumps(loader))
    assert copy.state_dict() == loader.state_dict()
    assert contents(copy) == contents(iteration)
    assert repr(copy) == repr(loader)


@pytest.mark.parametrize(("method", "used"), [("fork", False), ("fork", True), ("forkserver", True), ("spawn", True)])
def test_a_child_process_reads_the_same_batches(where, method, used):
    expected = contents(loader_of(where))
    loader = loader_of(where)
    if used:
        next(iter(loader))
        loader.set_epoch(0)
        loader.start()
    assert in_child(method, loader) == expected
    assert contents(loader) == expected, "the parent's stream is not disturbed"


def test_a_stream_of_the_parent_is_refused_in_a_forked_child(where):
    iteration = iter(loader_of(where))
    kept = np.asarray(next(iteration).images)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            next(iteration)
        except ForkError:
            code = 0 if kept.sum() >= 0 else 2
        del iteration, kept
        gc.collect()
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(list(iteration)) > 0


@pytest.fixture
def ctrl_c():
    """Python's own handler of SIGINT, which a process that a shell starts in the background does not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_interrupts_a_wait(folder, ctrl_c):
    """The listener never answers. The other thread can send the signal only if the one that waits has released the interpreter's lock."""
    with sockets.create_server(("127.0.0.1", 0)) as listener:
        loader = loader_of(f"127.0.0.1:{listener.getsockname()[1]}")
        accepted = threading.Event()

        def interrupt():
            connections.append(listener.accept())
            accepted.set()
            os.kill(os.getpid(), signal.SIGINT)

        connections = []
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            len(loader)
        assert accepted.is_set()
        thread.join()
        connections[0][0].close()


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def settled(measure, limit, seconds=10):
    """`measure()` once it is at most `limit`: what is closed ends in the background."""
    until = time.monotonic() + seconds
    while (found := measure()) > limit and time.monotonic() < until:
        time.sleep(0.05)
    return found


def test_early_breaks_leave_nothing_behind(where):
    # A batch of 196 KB left behind each time would be 196 MB, or 59 MB.
    loader = loader_of(where, batch_size=16, image_size=64)
    count = 300 if isinstance(where, str) else 1000

    def break_early():
        for _ in loader:
            break

    for _ in range(20):
        break_early()
    memory, files, threads = resident(), descriptors(), threading.active_count()
    for _ in range(count):
        break_early()
    gc.collect()
    assert settled(resident, memory + (32 << 20)) <= memory + (32 << 20)
    assert settled(descriptors, files + 4) <= files + 4
    assert threading.active_count() == threads
