"""Views of the memory of a batch."""

import gc
import hashlib

import equibatch
import numpy as np
import pytest


@pytest.fixture
def batch(folder):
    return next(iter(equibatch.Loader(folder, batch_size=4, image_size=24, dtype="float16")))


def test_all_protocols_show_the_same_read_only_memory(batch):
    images = batch.images
    by_buffer = np.frombuffer(images, dtype=np.float16).reshape(images.shape)
    by_memoryview = np.asarray(memoryview(images))
    by_interface = np.asarray(type("Only", (), {"__array_interface__": images.__array_interface__})())
    by_dlpack = np.from_dlpack(images)
    views = [by_buffer, by_memoryview, by_interface, by_dlpack, np.asarray(images), images.numpy()]
    address = images.__array_interface__["data"][0]
    assert address % 64 == 0
    for view in views:
        assert view.shape == (4, 3, 24, 24) and view.dtype == np.float16
        assert view.__array_interface__["data"][0] == address, "nothing is copied"
        assert not view.flags.writeable
        assert view.tobytes() == by_buffer.tobytes()


def test_consumers_of_plain_bytes_read_all_of_it(batch):
    expected = batch.images.numpy().tobytes()
    assert bytes(batch.images) == expected
    assert hashlib.sha256(batch.images).digest() == hashlib.sha256(expected).digest()


def test_copies_are_writable_and_private(batch):
    before = batch.images.numpy().tobytes()
    for copy in (batch.images.numpy(copy=True), np.from_dlpack(batch.images, copy=True)):
        assert copy.tobytes() == before
        copy[:] = 0
    assert batch.images.numpy().tobytes() == before


def test_what_cannot_be_granted_is_refused(batch):
    with pytest.raises(BufferError, match="max_version"):
        batch.images.__dlpack__()
    with pytest.raises(BufferError, match="device"):
        batch.images.__dlpack__(max_version=(1, 0), dl_device=(2, 0))
    with pytest.raises(BufferError, match="stream"):
        batch.images.__dlpack__(max_version=(1, 0), stream=1)
    with pytest.raises((BufferError, ValueError, TypeError)):
        memoryview(batch.images)[0, 0, 0, 0] = 1.0
    with pytest.raises(TypeError, match="asarray"):
        batch.images.tolist()


def test_a_capsule_that_is_not_taken_over_frees_its_view(batch):
    for _ in range(100):
        batch.images.__dlpack__(max_version=(1, 0))
    assert "dltensor_versioned" in repr(batch.images.__dlpack__(max_version=(1, 3)))


def test_numbers_are_lists_and_arrays(batch):
    assert batch.labels.dtype == "int64" and batch.labels.shape == (4,) == (len(batch.labels),)
    assert batch.labels.tolist() == np.asarray(batch.labels).tolist()
    assert repr(batch.labels) == "Tensor(shape=[4], dtype=int64)"


def test_a_view_outlives_batch_and_loader(folder):
    loader = equibatch.Loader(folder, batch_size=4, image_size=24)
    view = np.asarray(next(iter(loader)).images)
    copy = view.copy()
    batches = [np.asarray(batch.images) for batch in loader]
    del loader, batches
    gc.collect()
    assert (view == copy).all()
