"""Batches as tensors of PyTorch."""

import numpy
import pytest
import torch
from conftest import serving

import equibatch
from equibatch.torch import as_tensor

ARRAYS = ("images", "labels", "sample_ids")


def loader(folder, **options):
    return equibatch.Loader(folder, batch_size=8, image_size=16, rank=0, world_size=1, **options)


@pytest.mark.parametrize(("dtype", "layout"), [("uint8", "nchw"), ("float16", "nhwc"), ("float32", "nchw")])
def test_tensors_have_the_bytes_in_memory_of_their_own(folder, dtype, layout):
    batch = next(iter(loader(folder, dtype=dtype, layout=layout)))
    moved = batch.to("cpu")
    for name in ARRAYS:
        array, tensor = numpy.asarray(getattr(batch, name)), getattr(moved, name)
        assert isinstance(tensor, torch.Tensor)
        assert (tensor.numpy() == array).all() and tensor.numpy().dtype == array.dtype and tuple(tensor.shape) == array.shape
        before = array.copy()
        tensor.add_(1)
        assert (array == before).all()
    assert (moved.epoch, moved.step, moved.token) == (batch.epoch, batch.step, batch.token)
    images, labels = moved
    assert images.shape[0] == len(labels) == 8 and moved["labels"] is labels
    # Tensors stay what they are.
    assert moved.to("cpu").images.data_ptr() == images.data_ptr()


def test_a_view_is_shared_on_request(folder):
    batch = next(iter(loader(folder)))
    view = torch.from_dlpack(batch.images)
    assert view.data_ptr() == numpy.asarray(batch.images).ctypes.data
    assert (as_tensor(batch.images) == view).all() and as_tensor(batch.images).data_ptr() != view.data_ptr()


def test_a_device_gives_tensors_and_normalises_bytes_there(folder):
    for layout in ("nchw", "nhwc"):
        bytes_, floats = (list(loader(folder, dtype=dtype, layout=layout, device="cpu")) for dtype in ("uint8", "float32"))
        assert len(bytes_) == len(floats) == 6
        for mine, theirs in zip(bytes_, floats, strict=True):
            assert mine.images.dtype == torch.float32 and mine.images.shape == theirs.images.shape
            # A byte is rounded by at most half of 1/255, in units of the least standard deviation.
            assert (mine.images - theirs.images).abs().max() <= 0.5 / 255 / 0.224 + 1e-4
            assert (mine.labels == theirs.labels).all()


def test_mixed_images_keep_their_weights(folder):
    batch = next(iter(loader(folder, recipe="fastai mixup(0.4)"))).to("cpu")
    assert batch.mixed_labels.dtype == torch.int64 and batch.mixed_weights.dtype == torch.float32
    assert len(batch.mixed_labels) == len(batch.mixed_weights) == 8


def test_an_empty_batch_is_an_empty_tensor(folder):
    images = sum(loader(folder, split="valid").class_counts.values())
    ranks = {"rank": 1, "world_size": images - 1, "global_batch_size": images - 1}
    batches = [batch.to("cpu") for batch in equibatch.Loader(folder, split="valid", image_size=16, **ranks)]
    assert [tuple(batch.images.shape) for batch in batches] == [(1, 3, 16, 16), (0, 3, 16, 16)]
    assert batches[1].labels.tolist() == []


def test_images_are_received_into_pinned_memory(folder, monkeypatch):
    """No GPU is needed: memory is only said to be pinned."""
    expected = [torch.from_numpy(numpy.array(batch.images)) for batch in loader(folder)]
    pinned, empty = [], torch.empty

    def pin(*size, pin_memory=False, **options):
        tensor = empty(*size, **options)
        if pin_memory:
            pinned.append(tensor.data_ptr())
        return tensor

    monkeypatch.setattr(torch, "empty", pin)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    batches = list(loader(folder, pin_memory=True))
    assert len(batches) == len(expected)
    for batch, images in zip(batches, expected, strict=True):
        assert torch.equal(batch.images, images)
        assert {batch.images.data_ptr(), batch.labels.data_ptr()} <= set(pinned)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
def test_tensors_on_a_device_are_written_to_without_harm(folder, dtype):
    expected = [torch.from_numpy(numpy.array(batch.images)) for batch in loader(folder, dtype=dtype, drop_last=False)]
    batches = loader(folder, dtype=dtype, drop_last=False, pin_memory=False, device="cpu")
    for batch, images in zip(batches, expected, strict=True):
        if dtype != "uint8":
            assert torch.equal(batch.images, images)
        batch.images.zero_()


def test_tensors_of_a_device_are_of_their_own_and_stay(folder):
    with serving(folder) as server, serving(folder, listen=f"unix:{folder.parent}/tensors") as neighbour:
        expected = [numpy.array(batch.images) for batch in loader(folder, dtype="float32")]
        for where in (folder, server.address, neighbour.address):
            # Identical streams at once, of which one is written to.
            written, read = (loader(where, dtype="float32", device="cpu") for _ in range(2))
            kept = []
            for one, other in zip(written, read, strict=True):
                one.images.zero_()
                kept.append((one.images, other.images))
            for (zeros, images), array in zip(kept, expected, strict=True):
                assert (zeros == 0).all() and (images.numpy() == array).all()


def test_memory_of_tensors_is_used_again_when_the_last_of_them_is_gone(folder):
    batches = equibatch.Loader(folder, batch_size=2, image_size=24, dtype="float32", device="cpu", rank=0, world_size=1)
    addresses = []
    for _ in range(10):
        addresses += [batch.images.data_ptr() for batch in batches]
    assert len(addresses) >= 100
    assert len(set(addresses)) <= 20, "of a stream in an epoch or two"
