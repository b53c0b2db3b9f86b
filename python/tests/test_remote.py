"""Servers give the bytes of the engine."""

import itertools
import json
import socket as sockets
import subprocess
import threading

import equibatch
import numpy as np
import pytest
from blake3 import blake3
from conftest import TARGET, serving
from equibatch.errors import ProtocolError, RequestError, UnreachableError, WaitTimeoutError
from equibatch.loader import _Position
from test_loader import contents


def loader_of(where, **arguments):
    return equibatch.Loader(where, **{"batch_size": 4, "image_size": 24, "seed": 5, **arguments})


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_a_folder_and_servers_give_the_same_bytes(folder, server, socket, dtype, layout):
    arguments = {"dtype": dtype, "layout": layout, "recipe": "fastai mixup(0.4)"}
    loaders = [
        loader_of(where, **arguments)
        for where in (folder, server.address, [server.address, socket.address], socket.address)
    ]
    expected, *others = [contents(loader) + contents(loader) for loader in loaders]
    assert all(other == expected for other in others)
    state, *states = [loader.state_dict() for loader in loaders]
    assert all(other == state for other in states), "spec hash and fingerprint are equal, too"
    assert state["token"]["spec_hash"]


def test_the_client_library_receives_the_same_digests(folder, server):
    """`borrow` reads with the library of `client`, and prints digests."""
    command = [TARGET / "borrow", server.address, "8"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as borrow:
        printed, _ = borrow.communicate("\n", timeout=60)
    digests = printed.splitlines()[1].split()
    for where in (folder, server.address):
        loader = equibatch.Loader(where, batch_size=6, image_size=64, seed=7, dtype="float32", epochs=3)
        batches = itertools.chain.from_iterable(iter(loader) for _ in range(3))
        found = [blake3(memoryview(batch.images).cast("B")).hexdigest() for batch in itertools.islice(batches, 8)]
        assert found == digests


def test_a_run_begins_in_process_and_goes_on_against_servers(folder, server):
    whole = loader_of(folder)
    expected = contents(whole) + contents(whole)
    here = loader_of(folder)
    iteration = iter(here)
    seen = contents([next(iteration) for _ in range(3)])
    there = loader_of(server.address)
    there.load_state_dict(here.state_dict())
    seen += contents(there)
    back = loader_of(folder)
    back.load_state_dict(json.loads(json.dumps(there.state_dict())))
    assert seen + contents(back) == expected


def test_a_remote_dataset_describes_itself_like_a_folder(folder, server):
    here, there = loader_of(folder), loader_of(server.address)
    for name in ("classes", "class_counts", "quarantined"):
        assert getattr(here, name) == getattr(there, name)
    assert here.class_weights("effective", beta=0.9) == there.class_weights("effective", beta=0.9)
    assert len(here) == len(there)


def test_ranks_are_parts_of_the_same_batch(folder, server):
    here = [contents(loader_of(folder, rank=rank, world_size=3)) for rank in range(3)]
    there = [contents(loader_of(server.address, rank=rank, world_size=3)) for rank in range(3)]
    assert here == there
    assert len({tuple(batch[2]) for part in here for batch in part}) > len(here[0])


def test_every_nth_batch_can_be_read_alone(folder, server, socket):
    """What a worker of a data loader reads."""
    expected = contents(loader_of(folder))
    for where in (folder, server.address, [server.address, socket.address]):
        parts = [contents(loader_of(where)._receive(_Position(0, 0), (index, 3))) for index in range(3)]
        assert sorted(batch for part in parts for batch in part) == expected
        assert [part[0][1] for part in parts] == [0, 1, 2]


def test_an_empty_last_batch_arrives_from_servers_too(folder, server, socket):
    for where in (folder, server.address, socket.address):
        loader = loader_of(where, split="valid", batch_size=1, rank=29, world_size=30)
        (batch,) = loader
        assert len(batch.labels) == 0 and np.asarray(batch.images).shape == (0, 3, 24, 24)


def test_batches_in_shared_memory_return_when_the_last_view_dies(socket):
    loader = loader_of(socket.address)
    views = []
    for batch in loader:
        views.append((np.asarray(batch.images), np.array(batch.images)))
    assert "shared memory" in loader._description.transport
    assert all((view == copy).all() for view, copy in views), "what is kept is not overwritten"
    for _ in range(3):
        assert len(list(loader)) == len(loader), "more batches than the memory has slots"


def test_a_remote_epoch_has_a_bottleneck(server):
    loader = loader_of(server.address)
    list(loader)
    assert loader.bottleneck().share > 0


def test_errors_have_a_kind_and_the_words_of_the_server(server, folder):
    with pytest.raises(RequestError, match=r"refuses: image_size is 0: it must be from 1"):
        len(loader_of(server.address, image_size=0))
    with pytest.raises(RequestError, match="dataset \"trees\" is unknown: available are pictures"):
        len(loader_of(server.address, dataset="trees"))
    with pytest.raises(ValueError):
        len(loader_of(server.address, recipe="spin"))
    with pytest.raises(UnreachableError, match="cannot reach 127.0.0.1:9"):
        len(loader_of("127.0.0.1:9"))
    with pytest.raises(ConnectionError):
        loader_of("127.0.0.1:9").classes
    state = loader_of(server.address)
    next(iter(state))
    taken = state.state_dict()
    taken["token"]["fingerprint"] = "00" * 32
    other = loader_of(server.address)
    other.load_state_dict(taken)
    with pytest.raises(RequestError, match="fingerprint"):
        next(iter(other))


def iter_and_next(loader):
    return next(iter(loader))


def read_request(connection):
    """Reads the preface of HTTP/2 and frames up to the first request: earlier, an answer would end the connection before anything was asked."""
    with connection.makefile("rb") as sent:
        sent.read(len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
        kind = None
        while kind != 1:  # HEADERS
            header = sent.read(9)
            kind = header[3]
            sent.read(int.from_bytes(header[:3], "big"))


def test_what_is_no_server_is_said_so():
    with sockets.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    read_request(connection)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    connection.shutdown(sockets.SHUT_WR)
                    # Closed with unread bytes, it would be reset, and the answer lost.
                    while connection.recv(4096):
                        pass

        threading.Thread(target=answer, daemon=True).start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        for question in (len, iter_and_next, lambda loader: loader.classes):
            # Not retried, as a server is that was there before.
            with pytest.raises(ProtocolError, match="not an Equibatch server"):
                question(loader_of(address))
        listener.shutdown(sockets.SHUT_RDWR)


def test_a_server_that_is_silent_is_waited_for_until_the_timeout():
    with sockets.create_server(("127.0.0.1", 0)) as listener:
        for question in (len, iter_and_next, lambda loader: loader.classes):
            with pytest.raises(WaitTimeoutError, match="no answer within 0.1 s"):
                question(loader_of(f"127.0.0.1:{listener.getsockname()[1]}", timeout=0.1))


def test_a_token_comes_from_the_environment_and_its_lack_is_an_access_error(folder, tmp_path, monkeypatch):
    tokens = tmp_path / "tokens"
    tokens.write_text("secretsecretsecret trainer\n")
    tokens.chmod(0o600)
    address = f"unix:{tmp_path}/s"
    with serving(folder, "--tokens", str(tokens), listen=address):
        with pytest.raises(equibatch.errors.AccessError, match="token"):
            len(loader_of(address))
        monkeypatch.setenv("EQUIBATCH_TOKEN", "secretsecretsecret")
        assert len(loader_of(address)) > 0


def test_a_killed_server_is_waited_for_until_the_timeout(folder):
    with serving(folder) as server:
        # An epoch of more bytes than are underway at a time.
        loader = loader_of(server.address, timeout=0.5, image_size=512, dtype="float32", prefetch=1)
        iteration = iter(loader)
        next(iteration)
        server.kill()
        with pytest.raises(WaitTimeoutError, match="0.5 s"):
            for _ in iteration:
                pass


def test_another_server_takes_over_from_a_killed_one(folder, server):
    expected = contents(loader_of(folder))
    with serving(folder) as doomed:
        loader = loader_of([doomed.address, server.address])
        iteration = iter(loader)
        seen = contents([next(iteration)])
        doomed.kill()
        assert seen + contents(iteration) == expected
