"""Writes tests/fixtures/frozen.safetensors: the training steps of train_step.py with a frozen body, as fastai freezes it.

Made with torch 2.15.0, numpy and safetensors, on the CPU:

    python tests/generate/frozen.py

Everything in the body but its batch norms is without gradient; the batch norms are in training mode, and all that has a gradient is
trained, the batch norms by the learning rates of their groups. The first numbers and the batches are those of train_step.safetensors and
not stored again. For every tensor `T` there is `error/T` as there.
"""

import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional as F

from train_step import (
    BETA1, BETA2, CLASSES, EPSILON, HIDDEN, LEARNING_RATES, WEIGHT_DECAY, WIDTH, Network, batches, group, initial,
)


def train(dtype):
    network = Network(WIDTH, HIDDEN, CLASSES)
    network.load_state_dict(initial())
    network.to(dtype).train()
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            module.requires_grad_(False)
    groups = [[], [], []]
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            groups[group(name)].append(parameter)
    optimizer = torch.optim.Adam([{"params": g} for g in groups], betas=(BETA1[0], BETA2), eps=EPSILON)
    results = {}
    for step, batch in enumerate(batches()):
        for layer in (3, 7):
            network.head[layer].mask = batch[f"head.{layer}.mask"].to(dtype)
        loss = F.cross_entropy(network(batch["images"].to(dtype)), batch["labels"])
        optimizer.zero_grad()
        loss.backward()
        results[f"loss.{step}"] = loss.detach()
        for settings, rate in zip(optimizer.param_groups, LEARNING_RATES):
            settings["lr"], settings["betas"] = rate, (BETA1[step], BETA2)
            with torch.no_grad():
                for parameter in settings["params"]:
                    parameter.mul_(1 - rate * WEIGHT_DECAY)
        optimizer.step()
    convolutions = {f"{name}.weight" for name, module in network.named_modules() if isinstance(module, nn.Conv2d)}
    for name, tensor in network.state_dict().items():
        if name not in convolutions and not name.endswith("num_batches_tracked"):
            results[f"final/{name}"] = tensor.clone()
    return results


def main():
    torch.set_num_threads(1)
    exact, single = train(torch.float64), train(torch.float32)
    stored = {}
    for name, tensor in exact.items():
        scale = tensor.abs().max().item()
        stored[name] = tensor.float().numpy()
        stored[f"error/{name}"] = np.array((single[name].double() - tensor).abs().max().item() / scale, np.float32)
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "frozen.safetensors"
    metadata = {"torch": torch.__version__.split("+")[0], "made by": "tests/generate/frozen.py"}
    save_file({name: np.array(array, order="C") for name, array in stored.items()}, path, metadata)
    print(path.stat().st_size, "bytes,", len(stored), "tensors")


if __name__ == "__main__":
    main()
