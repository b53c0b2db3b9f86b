"""Writes tests/fixtures/frozen.safetensors: the training steps of train_step.py with a frozen body, as fastai freezes it.

Made with torch 2.15.0, numpy and safetensors, on the CPU:

    python tests/generate/frozen.py

Everything in the body but its batch norms is without gradient; the batch norms are in training mode, and all that has a gradient is
trained, the batch norms by the learning rates of their groups. The first numbers and the batches are those of train_step.safetensors and
not stored again. For every tensor `T` there is `error/T` as there.
"""

import torch
from torch import nn
from torch.nn import functional as F

from train_step import CLASSES, HIDDEN, WIDTH, Network, adam, add, batches, initial, save, update


def train(dtype):
    network = Network(WIDTH, HIDDEN, CLASSES)
    network.load_state_dict(initial())
    network.to(dtype).train()
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            module.requires_grad_(False)
    optimizer = adam(network)
    results = {}
    for step, batch in enumerate(batches()):
        for layer in (3, 7):
            network.head[layer].mask = batch[f"head.{layer}.mask"].to(dtype)
        loss = F.cross_entropy(network(batch["images"].to(dtype)), batch["labels"])
        optimizer.zero_grad()
        loss.backward()
        results[f"loss.{step}"] = loss.detach()
        update(optimizer, step)
    convolutions = {f"{name}.weight" for name, module in network.named_modules() if isinstance(module, nn.Conv2d)}
    for name, tensor in network.state_dict().items():
        if name not in convolutions and not name.endswith("num_batches_tracked"):
            results[f"final/{name}"] = tensor.clone()
    return results


def main():
    torch.set_num_threads(1)
    stored = {}
    add(stored, train(torch.float64), train(torch.float32))
    save(stored, "frozen")


if __name__ == "__main__":
    main()
