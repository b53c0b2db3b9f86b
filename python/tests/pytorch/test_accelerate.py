"""`Loader` under Accelerate."""

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState

import equibatch

from .ranks import run_ranks


@pytest.fixture(autouse=True)
def forget_processes():
    """Accelerate keeps what it found for the life of the process."""
    yield
    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()


def make(folder):
    return equibatch.Loader(folder, image_size=16, dtype="float32", global_batch_size=8)


def train(folder, saved=None, stop_after=None):
    """Three epochs of one weight; saves after `stop_after` steps and ends, or goes on from what was saved."""
    accelerator = Accelerator(cpu=True)
    model = torch.nn.Linear(3 * 16 * 16, 1)
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, 0.01)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loader = make(folder)
    model, optimizer, prepared = accelerator.prepare(model, optimizer, loader)
    assert prepared is loader
    accelerator.register_for_checkpointing(loader)
    if saved and not stop_after:
        accelerator.load_state(saved)
    losses, epoch = [], loader.state_dict()["epoch"]
    while epoch < 3:
        for batch in loader:
            images, labels = batch.to(accelerator.device)
            loss = ((model(images.flatten(1)).flatten() - labels) ** 2).mean()
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            if len(losses) == stop_after:
                accelerator.save_state(saved)
                return losses, None
        epoch += 1
    return losses, [parameter.detach().clone() for parameter in model.parameters()]


@pytest.mark.parametrize("stop_after", [1, 6, 8])
def test_a_run_goes_on_bit_for_bit(folder, tmp_path, stop_after):
    losses, weights = train(folder)
    before, _ = train(folder, tmp_path, stop_after)
    after, resumed = train(folder, tmp_path)
    assert before + after == losses
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(resumed, weights, strict=True))


def test_ranks_are_not_sharded_again(folder):
    def epoch():
        accelerator = Accelerator(cpu=True)
        assert accelerator.num_processes == 2
        return [batch.sample_ids.tolist() for batch in accelerator.prepare(make(folder))]

    whole = [batch.sample_ids.tolist() for batch in make(folder)]
    assert run_ranks(2, epoch) == [[batch[rank::2] for batch in whole] for rank in range(2)]
