"""Images are received into memory of the caller, from every source."""

import gc
import weakref

import equibatch
import pytest
from equibatch.loader import _Position
from test_processes import settled

BYTES = 4 * 3 * 24 * 24


class Memory(bytearray):
    """Can be referred to weakly."""


class Allocator:
    """Memory with marks behind it, as PyTorch would give pinned memory."""

    def __init__(self):
        self.all = []

    def __call__(self, nbytes):
        assert nbytes == BYTES
        memory = Memory(b"\xee" * (nbytes + 8))
        self.all.append(weakref.ref(memory))
        return memory, memory

    @property
    def alive(self):
        gc.collect()
        # Memory that another thread gives back is released by the next call of the extension.
        loader_of("127.0.0.1:1")
        return sum(memory() is not None for memory in self.all)


@pytest.fixture(params=["folder", "server", "socket", "shared"])
def where(request):
    value = request.getfixturevalue(request.param)
    return value.address if request.param in ("server", "socket") else value


def loader_of(where, **options):
    return equibatch.Loader(where, batch_size=4, image_size=24, seed=5, rank=0, world_size=1, drop_last=False, **options)


def open_stream(where, allocate, **options):
    loader = loader_of(where, **options)
    return loader._opened().stream(loader._request(_Position(0, 0)), 2, 20.0, allocate)


def images_of(fields):
    """Images of a batch, and whether they were received into memory of the caller."""
    images = fields[3]
    if not isinstance(images, tuple):
        return bytes(images), False
    memory, dtype, shape = images
    assert (dtype, shape[1:]) == ("uint8", [3, 24, 24])
    assert memory[BYTES:] == b"\xee" * 8
    return bytes(memory[: shape[0] * BYTES // 4]), True


def test_images_are_received_into_memory_of_the_caller(where):
    allocate = Allocator()
    stream = open_stream(where, allocate, epochs=1)
    expected = [bytes(batch.images) for batch in loader_of(where, epochs=1)]
    found = []
    while (fields := stream.next(20.0)) is not None:
        found.append(images_of(fields))
        del fields
    assert [images for images, _ in found] == expected
    # A server may be faster than the first memory is allocated.
    assert all(is_in_memory for _, is_in_memory in found[5:])
    assert any(is_in_memory for _, is_in_memory in found)


def test_memory_of_a_batch_is_not_written_again(where):
    stream = open_stream(where, Allocator())
    kept = [stream.next(20.0) for _ in range(12)]
    now = [images_of(fields) for fields in kept]
    later = [stream.next(20.0) for _ in range(12)]
    assert [images_of(fields) for fields in kept] == now
    assert len(later) == 12


def test_memory_is_given_back(where):
    allocate = Allocator()
    stream = open_stream(where, allocate)
    for _ in range(50):
        stream.next(20.0)
    assert allocate.alive <= 6, "what is ahead of the caller, and no memory of batches that were used"
    kept = stream.next(20.0)
    del stream
    count = 1 if isinstance(kept[3], tuple) else 0
    assert settled(lambda: allocate.alive, count) <= count


@pytest.mark.parametrize("memory", [bytes(BYTES), bytearray(BYTES - 1), memoryview(bytearray(2 * BYTES))[::2]])
def test_memory_that_cannot_hold_a_batch_is_refused(folder, memory):
    with pytest.raises(BufferError, match=f"writable, contiguous and of at least {BYTES} bytes"):
        open_stream(folder, lambda nbytes: (memory, memory))


def test_an_error_of_the_allocator_is_raised(folder):
    def allocate(nbytes):
        raise MemoryError(f"no {nbytes} bytes")

    with pytest.raises(MemoryError, match=f"no {BYTES} bytes"):
        open_stream(folder, allocate)
