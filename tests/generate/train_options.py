"""Writes tests/fixtures/train_options.safetensors: the three training steps of train_step.py with gradients clipped by their norm and with
running averages of all weights and statistics, on whole batches and on batches in two parts.

Made with torch 2.15.0, numpy and safetensors (pip install torch==2.15.0 numpy safetensors), on the CPU:

    python tests/generate/train_options.py

Clipping is torch.nn.utils.clip_grad_norm_, averaging torch.optim.swa_utils.AveragedModel. Initial state and batches are those of
train_step.safetensors. As there, numbers are float64's rounded to float32, and `error/T` is how far float32 is off.
"""

import numpy as np
import torch
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from train_step import BATCH, CLASSES, HIDDEN, WIDTH, Network, adam, add, batches, initial, save, update

# Clips some of the steps, and others not.
CLIP_NORM, DECAY = 200.0, 0.75


def train(dtype, parts):
    network = Network(WIDTH, HIDDEN, CLASSES)
    network.load_state_dict(initial())
    network.to(dtype).train()
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(DECAY), use_buffers=True)
    average.update_parameters(network)  # The first time it only copies.
    optimizer = adam(network)
    results = {}
    for step, batch in enumerate(batches()):
        optimizer.zero_grad()
        total = 0.0
        for part in torch.arange(BATCH).chunk(parts):
            network.head[3].mask = batch["head.3.mask"][part].to(dtype)
            network.head[7].mask = batch["head.7.mask"][part].to(dtype)
            logits = network(batch["images"][part].to(dtype))
            loss = F.cross_entropy(logits, batch["labels"][part], reduction="sum") / BATCH
            loss.backward()
            total += loss.detach()
        results[f"loss.{step}"] = total
        results[f"gradient_norm.{step}"] = torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM).detach()
        update(optimizer, step)
        average.update_parameters(network)
    for name, tensor in average.module.state_dict().items():
        # The large kernels of the last stages are left out: they are most of the file and test nothing else.
        is_large = name.startswith(("layer3", "layer4")) and tensor.dim() == 4
        if not name.endswith("num_batches_tracked") and not is_large:
            results[f"average.{name}"] = tensor.clone()
    return results


def main():
    torch.set_num_threads(1)
    stored = {"clip_norm": np.array(CLIP_NORM, np.float32), "decay": np.array(DECAY, np.float32)}
    for parts in (1, 2):
        exact, single = train(torch.float64, parts), train(torch.float32, parts)
        add(stored, exact, single, f"{parts}/")
        print(parts, [(exact[f"loss.{s}"].item(), exact[f"gradient_norm.{s}"].item()) for s in range(3)])
    save(stored, "train_options")


if __name__ == "__main__":
    main()
