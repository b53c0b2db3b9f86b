"""Writes tests/fixtures/architectures.json: the outputs of torchvision's residual networks for given weights and images.

Made with torch 2.15.0, torchvision 0.29.2 and numpy, on the CPU:

    python tests/generate/architectures.py

No weights are stored. Every tensor of a state dictionary is filled from its place in the sorted list of names, by a generator of a few
lines that the test repeats, so that a network of full size costs a line of logits. The networks are in evaluation mode and compute in
float64.
"""

import json
import pathlib

import numpy as np
import torch
from torchvision.models import resnet

CLASSES, IMAGES, SIZE = 10, 2, 64


def uniform(stream, count):
    """`count` numbers in [-1, 1) by SplitMix64, whose state starts at `stream << 40`."""
    with np.errstate(over="ignore"):
        z = (np.uint64(stream) << np.uint64(40)) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(11)).astype(np.float64) / 2**53 * 2 - 1).astype(np.float32)


def filled(name, shape, stream):
    numbers = uniform(stream, int(np.prod(shape))).reshape(shape).astype(np.float64)
    if len(shape) > 1:
        # He initialisation: keeps the scale of activations through ReLU layers.
        numbers = numbers * np.sqrt(6 / np.prod(shape[1:]))
    elif name.endswith("running_var"):
        numbers = 1 + 0.5 * numbers
    elif name.endswith("weight"):
        # The last norm of a block is small, so that activations do not grow over a hundred layers.
        numbers = 0.5 + 0.2 * numbers
    else:
        numbers = 0.1 * numbers
    return torch.from_numpy(numbers.astype(np.float32))


def main():
    images = torch.from_numpy(uniform(0, IMAGES * 3 * SIZE * SIZE).reshape(IMAGES, 3, SIZE, SIZE))
    stored = {"torchvision": "0.29.2", "made by": "tests/generate/architectures.py", "networks": {}}
    for name in ("resnet18", "resnet34", "resnet50", "resnet101"):
        thousand = getattr(resnet, name)()
        network = getattr(resnet, name)(num_classes=CLASSES)
        state = network.state_dict()
        names = sorted(name for name in state if not name.endswith("num_batches_tracked"))
        for stream, tensor in enumerate(names, 1):
            state[tensor] = filled(tensor, tuple(state[tensor].shape), stream)
        network.load_state_dict(state)
        network.double().eval()
        with torch.no_grad():
            logits = network(images.double())
        stored["networks"][name] = {
            "parameters": sum(parameter.numel() for parameter in thousand.parameters()),
            "tensors": len(names),
            "logits": logits.tolist(),
        }
        print(name, stored["networks"][name]["parameters"], logits.abs().max().item())
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "architectures.json"
    path.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()
