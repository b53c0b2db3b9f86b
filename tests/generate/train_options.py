"""Writes tests/fixtures/train_options.safetensors: the three training steps of train_step.py with gradients clipped by their norm and with
running averages of all weights and statistics, on whole batches and on batches in two parts.

Made with torch 2.15.0, numpy and safetensors (pip install torch==2.15.0 numpy safetensors), on the CPU:

    python tests/generate/train_options.py

Clipping is torch.nn.utils.clip_grad_norm_, averaging torch.optim.swa_utils.AveragedModel. Initial state and batches are those of
train_step.safetensors. As there, numbers are float64's rounded to float32, and `error/T` is how far float32 is off.
"""

import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from train_step import BATCH, BETA1, BETA2, CLASSES, EPSILON, HIDDEN, LEARNING_RATES, WEIGHT_DECAY, WIDTH
from train_step import Network, batches, group, initial

# Clips some of the steps, and others not.
CLIP_NORM, DECAY = 200.0, 0.75


def train(dtype, parts):
    network = Network(WIDTH, HIDDEN, CLASSES)
    network.load_state_dict(initial())
    network.to(dtype).train()
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(DECAY), use_buffers=True)
    average.update_parameters(network)  # The first time it only copies.
    groups = [[], [], []]
    for name, parameter in network.named_parameters():
        groups[group(name)].append(parameter)
    optimizer = torch.optim.Adam([{"params": g} for g in groups], betas=(BETA1[0], BETA2), eps=EPSILON)
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
        for settings, rate in zip(optimizer.param_groups, LEARNING_RATES):
            settings["lr"], settings["betas"] = rate, (BETA1[step], BETA2)
            with torch.no_grad():
                for parameter in settings["params"]:
                    parameter.mul_(1 - rate * WEIGHT_DECAY)
        optimizer.step()
        average.update_parameters(network)
    for name, tensor in average.module.state_dict().items():
        # The large kernels of the last stages say nothing more, and are most of the file.
        is_large = name.startswith(("layer3", "layer4")) and tensor.dim() == 4
        if not name.endswith("num_batches_tracked") and not is_large:
            results[f"average.{name}"] = tensor.clone()
    return results


def main():
    torch.set_num_threads(1)
    stored = {"clip_norm": np.array(CLIP_NORM, np.float32), "decay": np.array(DECAY, np.float32)}
    for parts in (1, 2):
        exact, single = train(torch.float64, parts), train(torch.float32, parts)
        for name, tensor in exact.items():
            scale = tensor.abs().max().item()
            error = (single[name].double() - tensor).abs().max().item() / scale if scale > 0 else 0.0
            stored[f"{parts}/{name}"] = tensor.float().numpy()
            stored[f"error/{parts}/{name}"] = np.array(error, np.float32)
        print(parts, [(exact[f"loss.{s}"].item(), exact[f"gradient_norm.{s}"].item()) for s in range(3)])
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "train_options.safetensors"
    metadata = {"torch": torch.__version__.split("+")[0], "made by": "tests/generate/train_options.py"}
    save_file({name: np.array(array, order="C") for name, array in stored.items()}, path, metadata)
    print(path.stat().st_size, "bytes,", len(stored), "tensors")


if __name__ == "__main__":
    main()
