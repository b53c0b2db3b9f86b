"""`Loader` and `EquibatchDataModule` in Lightning."""

import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

import equibatch
from equibatch.lightning import EquibatchDataModule

from .lightning_helpers import Interrupted, Recorder, distributed_trainer, trainer
from .ranks import run_ranks


def make(folder, **options):
    return equibatch.Loader(folder, image_size=16, dtype="float32", **{"batch_size": 8} | options)


def epochs(folder, count, **options):
    loader = make(folder, rank=0, world_size=1, **options)
    return [batch.to("cpu").images for _ in range(count) for batch in loader]


def assert_equal(found, expected):
    found = list(found)
    assert len(found) == len(expected)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(found, expected, strict=True))


def test_a_module_trains_and_validates(folder, tmp_path):
    recorder = Recorder()
    module = EquibatchDataModule(folder, batch_size=8, image_size=16, dtype="float32", balance="oversample")
    trainer(tmp_path, max_epochs=3, enable_checkpointing=False).fit(recorder, datamodule=module)
    assert_equal(recorder.seen, epochs(folder, 3))
    valid = make(folder, split="valid")
    assert recorder.validated == 3 * sum(valid.class_counts.values())
    assert trainer(tmp_path, enable_checkpointing=False).validate(recorder, module, verbose=False) is not None


@pytest.mark.parametrize("stop_after", [1, 4, 6, 9])
@pytest.mark.parametrize("kind", ["loader", "module"])
def test_a_run_that_was_interrupted_goes_on_bit_for_bit(folder, tmp_path, kind, stop_after):
    """Saves a checkpoint, is interrupted in the next step, and goes on in another run."""

    def fit(name, stop_after=None, callbacks=(), **options):
        # Those who ask for the number of steps make Lightning iterate before it restores, and it forgets the state of a loader; not of a module.
        recorder = Recorder(stop_after=stop_after, estimates=kind == "module")
        arguments = {"batch_size": 8, "image_size": 16, "dtype": "float32"}
        data = {"datamodule": EquibatchDataModule(folder, **arguments)}
        if kind == "loader":
            data = {"train_dataloaders": make(folder), "val_dataloaders": make(folder, split="valid")}
        these = trainer(tmp_path / name, max_epochs=3, callbacks=list(callbacks), enable_checkpointing=bool(callbacks))
        if stop_after:
            with pytest.raises(Interrupted):
                these.fit(recorder, **data, **options)
        else:
            these.fit(recorder, **data, **options)
        return recorder

    whole = fit("whole")
    checkpoints = ModelCheckpoint(dirpath=tmp_path / "saved", every_n_train_steps=stop_after, save_top_k=-1)
    before = fit("before", stop_after + 1, [checkpoints])
    (saved,) = (tmp_path / "saved").glob("*.ckpt")
    after = fit("after", ckpt_path=saved, weights_only=False)
    assert_equal(before.seen[:stop_after] + after.seen, whole.seen)
    assert torch.equal(after.weight, whole.weight) and after.weight != 0


def test_ranks_are_not_sharded_again(folder, tmp_path):
    def fit():
        recorder = Recorder()
        module = EquibatchDataModule(folder, batch_size=4, image_size=16, dtype="float32")
        distributed_trainer(tmp_path, max_epochs=1, enable_checkpointing=False).fit(recorder, datamodule=module)
        return [images.numpy() for images in recorder.seen]

    for rank, seen in enumerate(run_ranks(2, fit)):
        assert_equal(map(torch.from_numpy, seen), [images[rank::2] for images in epochs(folder, 1)])
